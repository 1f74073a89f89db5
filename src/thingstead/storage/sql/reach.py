"""What a user may do, in SQL: the port `ReachStore`. Knows no engine (`database.py`).

All of it is one statement, so that it is one state of the database: rights of one moment with
epochs of the next could show what the thing's next owner writes.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from sqlalchemy import BigInteger, Integer, Row, Select, cast, literal, null, select, union_all

from thingstead.features.links.model import LinkedThing
from thingstead.features.sharing.model import Reach, Rights, SharedThing
from thingstead.features.things.model import Thing
from thingstead.kernel.ids import ThingId, UserId
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.many_rows import folded, rows_of
from thingstead.storage.sql.ownership import OWNED_EPOCH, TO_LINK, TO_OWNED_EPOCHS, thing_of
from thingstead.storage.sql.sharing_tables import GRANT_ENTRY, LINK, THING_EPOCH, USER_GRANT
from thingstead.storage.sql.tables import THING, key_text
from thingstead.storage.sql.user_tables import APP_USER

_Row = Row[*tuple[object, ...]]

_OWNED, _SHARED, _RIGHT = 0, 1, 2


class SQLReachStore:
    """Knows what users may do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reach(self, user_id: UserId) -> Reach:
        """Return all that the user may do now, in one statement."""
        granted = _granted_to(user_id)
        is_granted = THING.c.id.in_(granted.with_only_columns(GRANT_ENTRY.c.thing_id))
        statement = union_all(
            _things(_OWNED).where(LINK.c.user_id == user_id),
            _things(_SHARED).where(is_granted),
            granted,
        )
        async with self._database.reading() as connection:
            rows = await rows_of(connection, statement)
        return await folded(_reach, rows)


def _reach(rows: Sequence[_Row]) -> Reach:
    owned = {
        thing.id: LinkedThing(thing, first.linked_at_ms)
        for thing, first in _things_in(rows, _OWNED)
    }
    rights: dict[ThingId, dict[str, Rights]] = {}
    for row in rows:
        if row.part == _RIGHT:
            of_thing = rights.setdefault(ThingId(row.id), {})
            of_thing[row.resource] = of_thing.get(row.resource, Rights.NONE) | row.rights
    shared = {
        thing.id: SharedThing(thing, rights[thing.id])
        for thing, _ in _things_in(rows, _SHARED)
        if thing.id not in owned
    }
    return Reach(owned, shared)


def _granted_to(user_id: UserId) -> Select[*tuple[object, ...]]:
    """Select the entries that give the user something, in the shape of `_things`."""
    return (
        select(
            literal(_RIGHT, Integer).label("part"),
            GRANT_ENTRY.c.thing_id.label("id"),
            cast(null(), Integer).label("product_id"),
            cast(null(), BigInteger).label("created_at_ms"),
            cast(null(), Integer).label("epoch"),
            cast(null(), BigInteger).label("linked_at_ms"),
            cast(null(), Integer).label("owned_epoch"),
            GRANT_ENTRY.c.resource,
            GRANT_ENTRY.c.rights,
        )
        .join_from(
            APP_USER,
            USER_GRANT,
            (USER_GRANT.c.app_id == APP_USER.c.app_id) & (USER_GRANT.c.email == APP_USER.c.email),
        )
        .join(GRANT_ENTRY, GRANT_ENTRY.c.grant_id == USER_GRANT.c.id)
        .where(
            APP_USER.c.id == user_id,
            APP_USER.c.confirmed_at_ms.is_not(None),
            USER_GRANT.c.accepted_at_ms.is_not(None),
        )
    )


def _things(part: int) -> Select[*tuple[object, ...]]:
    """Select things that somebody owns, one row for each epoch of the owner's."""
    return (
        select(
            literal(part, Integer).label("part"),
            THING,
            LINK.c.linked_at_ms,
            OWNED_EPOCH,
            cast(null(), key_text()).label("resource"),
            cast(null(), Integer).label("rights"),
        )
        .join_from(THING, LINK, TO_LINK)
        .join(THING_EPOCH, TO_OWNED_EPOCHS)
    )


def _things_in(rows: Sequence[_Row], part: int) -> Iterator[tuple[Thing, _Row]]:
    """Give each thing of the part, ascending by id, and the first of its rows."""
    of_part = sorted((row for row in rows if row.part == part), key=lambda row: row.id)
    for _, group in groupby(of_part, key=lambda row: row.id):
        of_thing = list(group)
        thing = thing_of(of_thing)
        if thing is not None:
            yield thing, of_thing[0]
