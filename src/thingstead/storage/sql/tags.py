"""Tags in SQL: the port of `features/tags/ports.py`. Knows no engine (`database.py`)."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.tags.model import TagName
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.kernel.ids import ThingId
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.tables import THING_TAG
from thingstead.storage.sql.things import has_thing


class SQLTagStore:
    """Keeps the tags of things."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tags(self, thing_id: ThingId) -> list[TagName]:
        """Return the thing's tags in alphabetical order, which is that of their code points."""
        async with self._database.reading() as connection:
            return await _tags(connection, thing_id)

    async def add_tags(
        self, thing_id: ThingId, names: Sequence[TagName], *, max_tags: int, at_ms: int
    ) -> bool:
        """Add the tags in one transaction; those that are there already change nothing.

        Returns False, and adds none, when the thing would have more than `max_tags`.

        Raises:
            ThingNotFoundError: the thing has been deleted.
        """
        async with self._database.writing() as connection:
            if not await has_thing(connection, thing_id):
                raise ThingNotFoundError
            present = await _tags(connection, thing_id)
            missing = set(names).difference(present)
            if not missing:
                return True
            if len(present) + len(missing) > max_tags:
                return False
            await connection.execute(
                insert(THING_TAG),
                [{"thing_id": thing_id, "name": name, "created_at_ms": at_ms} for name in missing],
            )
        return True

    async def delete_tag(self, thing_id: ThingId, name: TagName) -> bool:
        """Delete the tag; return False when the thing does not have it."""
        statement = delete(THING_TAG).where(
            THING_TAG.c.thing_id == thing_id, THING_TAG.c.name == name
        )
        async with self._database.writing() as connection:
            return (await connection.execute(statement)).rowcount == 1


async def _tags(connection: AsyncConnection, thing_id: ThingId) -> list[TagName]:
    statement = (
        select(THING_TAG.c.name).where(THING_TAG.c.thing_id == thing_id).order_by(THING_TAG.c.name)
    )
    return [TagName(name) for name in (await connection.execute(statement)).scalars()]
