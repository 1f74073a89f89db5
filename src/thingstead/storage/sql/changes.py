"""The list by which one process tells the others what they must forget.

Written in the transaction that makes the change, so that there is no moment in which one is
done and not told. How a process notices new rows differs by engine: `sqlite/changes.py`
watches the file. Who misses rows because they were trimmed forgets everything.
"""

from collections.abc import Iterable

from sqlalchemy import Select, Text, delete, func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.ids import ThingId, UserId
from thingstead.storage.sql.tables import CHANGE

KEPT_CHANGES = 20_000


async def announce(connection: AsyncConnection, *changes: Change) -> None:
    """List the changes, each once, as part of the transaction; forget the oldest of the list."""
    rows = [{"kind": c.kind.value, "subject": c.subject} for c in dict.fromkeys(changes)]
    if not rows:
        return
    await connection.execute(insert(CHANGE), rows)
    newest = select(func.max(CHANGE.c.id)).scalar_subquery()
    await connection.execute(delete(CHANGE).where(CHANGE.c.id <= newest - KEPT_CHANGES))


async def announce_selected(
    connection: AsyncConnection, kind: Kind, subjects: Select[tuple[str]]
) -> None:
    """List a change of each subject that the statement finds, which may be ten thousands.

    `announce` forgets the oldest of the list; whoever calls this calls it too, afterwards.
    """
    rows = subjects.add_columns(literal(kind.value, Text))
    await connection.execute(insert(CHANGE).from_select(["subject", "kind"], rows))


async def announce_about(
    connection: AsyncConnection,
    *,
    things: Iterable[ThingId] = (),
    users: Iterable[UserId] = (),
) -> None:
    """Announce that the things and the users are no longer as they were."""
    await announce(
        connection,
        *(Change(Kind.THING, thing_id) for thing_id in things),
        *(Change(Kind.USER, user_id) for user_id in users),
    )
