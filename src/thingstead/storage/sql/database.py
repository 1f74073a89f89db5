"""What the statements in this folder need from an engine: a connection to read or to write on.

Knows no engine; `sqlite/core.py` has the one for SQLite. Errors of the database leave both
context managers translated (`kernel/errors.py`), so the statements catch nothing.
"""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection


class Database(Protocol):
    """Gives out connections; what is committed on one is seen by the next one given out."""

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Give a connection for one statement that changes nothing."""
        ...

    def writing(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Give a connection in a transaction: durable after the block, undone if it raises."""
        ...
