"""Reading rows that may be ten thousands, without holding the event loop up.

Fetching happens in the driver's thread, but making rows of what it brings happens on the event
loop: 10,000 at once take 15 ms there. Page by page others get their turn in between, and what
is made of the rows is made in another thread.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Row, Select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import CompoundSelect

_Rows = Sequence[Row[*tuple[object, ...]]]
_Folded = TypeVar("_Folded")

_PAGE = 1_000


async def rows_of(
    connection: AsyncConnection,
    statement: Select[*tuple[object, ...]] | CompoundSelect[*tuple[object, ...]],
) -> _Rows:
    """Return the statement's rows, which are one state of the database, read page by page."""
    rows: list[Row[*tuple[object, ...]]] = []
    async with connection.stream(statement) as result:
        async for page in result.partitions(_PAGE):
            rows.extend(page)
    return rows


async def folded(fold: Callable[[_Rows], _Folded], rows: _Rows) -> _Folded:
    """Return what the function makes of the rows; of many in another thread."""
    if len(rows) <= _PAGE:
        return fold(rows)
    return await asyncio.to_thread(fold, rows)
