"""Who owns which thing, in SQL: the port `LinkStore`. Knows no engine (`database.py`).

What a link means to a thing's epochs and grants stands in `ownership.py`.
"""

from itertools import groupby

from sqlalchemy import select

from thingstead.features.links.model import LinkedThing, LinkOutcome
from thingstead.kernel.ids import ThingId, UserId
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.ownership import (
    OWNED_EPOCH,
    TO_LINK,
    TO_OWNED_EPOCHS,
    disown,
    own,
    remove_thing,
    thing_of,
)
from thingstead.storage.sql.sharing_tables import LINK, THING_EPOCH
from thingstead.storage.sql.tables import THING


class SQLLinkStore:
    """Keeps who owns which thing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def link(
        self, user_id: UserId, thing_id: ThingId, *, at_ms: int, max_things: int
    ) -> LinkOutcome:
        """Make the user the thing's owner, if it has none; the current epoch is theirs.

        Of any number of concurrent calls for one thing one succeeds.
        """
        async with self._database.writing() as connection:
            return await own(connection, user_id, thing_id, at_ms, max_things)

    async def last_owner(self, thing_id: ThingId) -> UserId | None:
        """Return who owns the thing or, when nobody does, who did last."""
        statement = (
            select(THING_EPOCH.c.user_id)
            .join_from(THING_EPOCH, THING, THING_EPOCH.c.thing_id == THING.c.id)
            # Not an earlier owner in place of the last one, who was deleted.
            .where(THING_EPOCH.c.thing_id == thing_id, THING_EPOCH.c.epoch >= THING.c.epoch - 1)
            .order_by(THING_EPOCH.c.epoch.desc())
            .limit(1)
        )
        async with self._database.reading() as connection:
            found = (await connection.execute(statement)).scalar_one_or_none()
        return None if found is None else UserId(found)

    async def unlink(self, user_id: UserId, thing_id: ThingId, *, at_ms: int) -> bool:  # noqa: ARG002  # The port's: other engines may keep when.
        """End the ownership and the epoch, and every grant on the thing.

        Returns False, and changes nothing, when the thing is not the user's.
        """
        async with self._database.writing() as connection:
            return await disown(connection, user_id, thing_id)

    async def linked(self, user_id: UserId) -> list[LinkedThing]:
        """Return the user's things ascending by id."""
        statement = (
            select(THING, LINK.c.linked_at_ms, OWNED_EPOCH)
            .join_from(LINK, THING, TO_LINK)
            .join(THING_EPOCH, TO_OWNED_EPOCHS)
            .where(LINK.c.user_id == user_id)
            .order_by(LINK.c.thing_id)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        things = []
        for _, group in groupby(rows, key=lambda row: row.id):
            of_thing = list(group)
            thing = thing_of(of_thing)
            if thing is not None:
                things.append(LinkedThing(thing, of_thing[0].linked_at_ms))
        return things

    async def delete_linked(self, user_id: UserId, thing_id: ThingId, *, at_ms: int) -> bool:
        """Delete the thing as `ThingStore.delete_thing` does, if it is the user's."""
        mine = (
            select(THING.c.id)
            .join(LINK, TO_LINK)
            .where(THING.c.id == thing_id, LINK.c.user_id == user_id)
            .with_for_update()
        )
        async with self._database.writing() as connection:
            if (await connection.execute(mine)).one_or_none() is None:
                return False
            await remove_thing(connection, thing_id, at_ms)
        return True
