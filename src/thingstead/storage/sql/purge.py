"""The list of deleted things, and of deleted users and their epochs, that left something behind.

Values live in another file, or in other partitions, than the thing they belong to, so no
transaction can delete both; a user may have a million objects, and a transaction that deletes
them holds everybody up. What deletes the thing, or the user, notes it here; whoever has removed
what was left crosses it off, and a crash between the two only means that it is removed again.
"""

from sqlalchemy import BigInteger, delete, insert, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.kept_sessions.model import HolderKind
from thingstead.kernel.ids import ThingId, UserId
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.kept_session_rows import delete_kept_sessions_of
from thingstead.storage.sql.object_tables import COLLECTION, OBJECT, OBJECT_CHANGE
from thingstead.storage.sql.sharing_tables import THING_EPOCH
from thingstead.storage.sql.tables import PURGE, PURGE_EPOCH, PURGE_USER


class SQLPurgeList:
    """Remembers deleted things, epochs and users until what they left is gone."""

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

    async def pending_epochs(self, limit: int) -> list[tuple[ThingId, int]]:
        """Return at most `limit` epochs of things, those noted longest ago first."""
        statement = (
            select(PURGE_EPOCH.c.thing_id, PURGE_EPOCH.c.epoch)
            .where(PURGE_EPOCH.c.noted_at_ms >= 0)
            .order_by(PURGE_EPOCH.c.noted_at_ms, PURGE_EPOCH.c.thing_id, PURGE_EPOCH.c.epoch)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [(ThingId(row.thing_id), row.epoch) for row in rows]

    async def epoch_done(self, thing_id: ThingId, epoch: int) -> None:
        """Cross the epoch off; doing it twice is the same as once."""
        statement = delete(PURGE_EPOCH).where(
            PURGE_EPOCH.c.thing_id == thing_id, PURGE_EPOCH.c.epoch == epoch
        )
        async with self._database.writing() as connection:
            await connection.execute(statement)

    async def pending_users(self, limit: int) -> list[UserId]:
        """Return at most `limit` deleted users, those noted longest ago first."""
        statement = (
            select(PURGE_USER.c.user_id)
            .where(PURGE_USER.c.noted_at_ms >= 0)
            .order_by(PURGE_USER.c.noted_at_ms, PURGE_USER.c.user_id)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return [UserId(name) for name in (await connection.execute(statement)).scalars()]

    async def delete_objects(self, user_id: UserId, *, limit: int) -> int:
        """Delete some of a deleted user's objects and of their changes in one transaction.

        At most `limit` of each. Returns how many of that of which there were more; after 0 none
        of either is left.
        """
        key = tuple_(*OBJECT.primary_key.columns)
        some = select(*OBJECT.primary_key.columns).where(OBJECT.c.user_id == user_id).limit(limit)
        sequence = OBJECT_CHANGE.c.sequence
        changes = select(sequence).where(OBJECT_CHANGE.c.user_id == user_id).limit(limit)
        async with self._database.writing() as connection:
            await connection.execute(delete(COLLECTION).where(COLLECTION.c.user_id == user_id))
            of_objects = await connection.execute(delete(OBJECT).where(key.in_(some)))
            of_changes = await connection.execute(
                delete(OBJECT_CHANGE).where(sequence.in_(changes))
            )
        return max(of_objects.rowcount, of_changes.rowcount)

    async def user_done(self, user_id: UserId) -> None:
        """Cross the user off; doing it twice is the same as once."""
        async with self._database.writing() as connection:
            await connection.execute(delete(PURGE_USER).where(PURGE_USER.c.user_id == user_id))


async def note_for_purging(connection: AsyncConnection, thing_id: ThingId, at_ms: int) -> None:
    """Note the thing, in the transaction that deletes it; its epochs and sessions go with it."""
    await delete_kept_sessions_of(connection, HolderKind.THING, thing_id)
    await connection.execute(delete(PURGE_EPOCH).where(PURGE_EPOCH.c.thing_id == thing_id))
    await connection.execute(insert(PURGE).values(thing_id=thing_id, noted_at_ms=at_ms))


async def note_user_for_purging(connection: AsyncConnection, user_id: UserId, at_ms: int) -> None:
    """Note the user and every epoch of theirs, in the transaction that deletes them.

    Their collections and messaging sessions, which are few rows, go at once, so that nothing
    lists them any more.
    """
    await delete_kept_sessions_of(connection, HolderKind.USER, user_id)
    await connection.execute(delete(PURGE_USER).where(PURGE_USER.c.user_id == user_id))
    await connection.execute(insert(PURGE_USER).values(user_id=user_id, noted_at_ms=at_ms))
    await connection.execute(delete(COLLECTION).where(COLLECTION.c.user_id == user_id))
    of_user = THING_EPOCH.c.user_id == user_id
    await connection.execute(
        insert(PURGE_EPOCH).from_select(
            ["thing_id", "epoch", "noted_at_ms"],
            select(THING_EPOCH.c.thing_id, THING_EPOCH.c.epoch, literal(at_ms, BigInteger)).where(
                of_user
            ),
        )
    )
    await connection.execute(delete(THING_EPOCH).where(of_user))
