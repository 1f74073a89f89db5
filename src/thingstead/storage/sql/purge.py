"""The list of deleted things whose values are still to be removed.

Values live in another file, or in other partitions, than the thing they belong to, so no
transaction can delete both. The thing's deletion notes it here; whoever has removed its values
crosses it off, and a crash between the two only means that they are removed again.
"""

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.kernel.ids import ThingId
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.tables import PURGE


class SQLPurgeList:
    """Remembers deleted things until their values are gone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pending(self, limit: int) -> list[ThingId]:
        """Return at most `limit` deleted things, those noted longest ago first."""
        statement = (
            select(PURGE.c.thing_id)
            # Every time is above zero; the bound makes this a search in the index.
            .where(PURGE.c.noted_at_ms >= 0)
            .order_by(PURGE.c.noted_at_ms, PURGE.c.thing_id)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return [ThingId(name) for name in (await connection.execute(statement)).scalars()]

    async def done(self, thing_id: ThingId) -> None:
        """Cross the thing off; doing it twice is the same as once."""
        async with self._database.writing() as connection:
            await connection.execute(delete(PURGE).where(PURGE.c.thing_id == thing_id))


async def note_for_purging(connection: AsyncConnection, thing_id: ThingId, at_ms: int) -> None:
    """Note the thing, in the transaction that deletes it."""
    await connection.execute(insert(PURGE).values(thing_id=thing_id, noted_at_ms=at_ms))
