"""Taking grants away, whatever the reason, as part of a transaction.

Whoever takes rights of grants away asks `passed_on_from` before, and calls `settle` after with
what was passed on by virtue of them (`features/sharing/rights.py`). What ends the ownership of
a thing drops all entries on it, and nothing is left to settle. Each function returns the users
concerned, for the caller to announce.

Everybody waits for the transaction, so the number of statements does not grow with the number
of entries, and only entries at the places concerned are read.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.sharing.model import Entry, GivenRights, Rights
from thingstead.features.sharing.rights import supported
from thingstead.kernel.ids import GrantId, ThingId, UserId
from thingstead.storage.sql.sharing_tables import GRANT_ENTRY, LINK, USER_GRANT
from thingstead.storage.sql.user_tables import APP_USER

_Id = TypeVar("_Id", GrantId, ThingId)
_IDS_AT_ONCE = 500

# An address is in one app; the same one in another app is another account.
_RECEIVER = and_(
    APP_USER.c.app_id == USER_GRANT.c.app_id,
    APP_USER.c.email == USER_GRANT.c.email,
)
# Most of a long list of entries share the few combinations of rights that there are.
RIGHTS = tuple(Rights(number) for number in range(Rights.ALL + 1))

THIS_ENTRY = and_(
    GRANT_ENTRY.c.grant_id == bindparam("of_grant"),
    GRANT_ENTRY.c.thing_id == bindparam("of_thing"),
    GRANT_ENTRY.c.resource == bindparam("of_resource"),
)


@dataclass(frozen=True, slots=True)
class PassedOn:
    """All entries at places where somebody passed on what they hold, and the things' owners."""

    given: Sequence[GivenRights]
    owner_of: Mapping[ThingId, UserId]

    def without(self, grants: Collection[GrantId]) -> "PassedOn":
        """Return what is left when the grants are gone."""
        return PassedOn([row for row in self.given if _grant_of(row) not in grants], self.owner_of)

    def with_less(self, grant_id: GrantId, entries: Iterable[Entry]) -> "PassedOn":
        """Return what is left when the rights of the entries are taken out of the grant."""
        taken: dict[tuple[ThingId, str], Rights] = {}
        for entry in entries:
            place = (entry.thing_id, entry.resource)
            taken[place] = taken.get(place, Rights.NONE) | entry.rights
        given = []
        for row in self.given:
            entry = row.entry
            rights = entry.rights
            if row.key == grant_id:
                rights &= ~taken.get((entry.thing_id, entry.resource), Rights.NONE)
            if rights:
                given.append(replace(row, entry=replace(entry, rights=rights)))
        return PassedOn(given, self.owner_of)


async def drop_entries(
    connection: AsyncConnection, condition: ColumnElement[bool]
) -> tuple[set[UserId], set[GrantId]]:
    """Delete the entries that the condition names, and grants that have no others.

    Returns the users and the grants concerned; what was passed on is the caller's to settle.
    """
    named = select(GRANT_ENTRY.c.grant_id).where(condition)
    grants = {GrantId(name) for name in (await connection.execute(named)).scalars()}
    if not grants:
        return set(), set()
    users = await users_of_grants(connection, grants)
    await connection.execute(delete(GRANT_ENTRY).where(condition))
    await drop_emptied(connection, grants)
    return users, grants


async def drop_emptied(connection: AsyncConnection, grants: Iterable[GrantId]) -> None:
    """Delete those of the grants that have no entries."""
    has_entries = select(GRANT_ENTRY.c.grant_id).where(GRANT_ENTRY.c.grant_id == USER_GRANT.c.id)
    for page in _pages(grants):
        await connection.execute(
            delete(USER_GRANT).where(USER_GRANT.c.id.in_(page), ~has_entries.exists())
        )


async def users_of_grants(connection: AsyncConnection, grants: Iterable[GrantId]) -> set[UserId]:
    """Return who gave the grants and whose address they are for."""
    users: set[UserId] = set()
    for page in _pages(grants):
        statement = (
            select(USER_GRANT.c.giver_id, APP_USER.c.id)
            .outerjoin(APP_USER, _RECEIVER)
            .where(USER_GRANT.c.id.in_(page))
        )
        for row in (await connection.execute(statement)).all():
            users.update(user_id for user_id in row if user_id is not None)
    return users


async def owners_of(
    connection: AsyncConnection, things: Iterable[ThingId]
) -> dict[ThingId, UserId]:
    """Return who owns the things; those that nobody owns are left out."""
    owners: dict[ThingId, UserId] = {}
    for page in _pages(things):
        statement = select(LINK.c.thing_id, LINK.c.user_id).where(LINK.c.thing_id.in_(page))
        for row in (await connection.execute(statement)).all():
            owners[ThingId(row.thing_id)] = UserId(row.user_id)
    return owners


async def passed_on_from(connection: AsyncConnection, condition: ColumnElement[bool]) -> PassedOn:
    """Return the entries at those of the named entries' places where somebody passed on.

    Where only the owner gave something, nothing rests on anything else, and most places are
    such. A receiver stands in a row only where it gives something.
    """
    gives = and_(
        _RECEIVER, APP_USER.c.confirmed_at_ms.is_not(None), USER_GRANT.c.accepted_at_ms.is_not(None)
    )
    statement = (
        select(
            GRANT_ENTRY,
            USER_GRANT.c.giver_id,
            APP_USER.c.id.label("receiver_id"),
            LINK.c.user_id.label("owner_id"),
        )
        .join_from(GRANT_ENTRY, USER_GRANT, GRANT_ENTRY.c.grant_id == USER_GRANT.c.id)
        .outerjoin(LINK, LINK.c.thing_id == GRANT_ENTRY.c.thing_id)
        .outerjoin(APP_USER, gives)
        .where(tuple_(GRANT_ENTRY.c.thing_id, GRANT_ENTRY.c.resource).in_(_passed_on(condition)))
    )
    rows = (await connection.execute(statement)).all()
    return PassedOn(
        [
            GivenRights(
                row.grant_id,
                UserId(row.giver_id),
                None if row.receiver_id is None else UserId(row.receiver_id),
                Entry(ThingId(row.thing_id), row.resource, RIGHTS[row.rights]),
            )
            for row in rows
        ],
        {ThingId(row.thing_id): UserId(row.owner_id) for row in rows if row.owner_id is not None},
    )


def _passed_on(condition: ColumnElement[bool]) -> Select[tuple[str, str]]:
    """Select the named entries' places at which somebody else than the owner gave something."""
    named = select(GRANT_ENTRY.c.thing_id, GRANT_ENTRY.c.resource).where(condition)
    other, other_grant, link = GRANT_ENTRY.alias(), USER_GRANT.alias(), LINK.alias()
    return (
        select(other.c.thing_id, other.c.resource)
        .join_from(other, other_grant, other_grant.c.id == other.c.grant_id)
        .outerjoin(link, link.c.thing_id == other.c.thing_id)
        .where(
            tuple_(other.c.thing_id, other.c.resource).in_(named),
            or_(link.c.user_id.is_(None), link.c.user_id != other_grant.c.giver_id),
        )
    )


async def settle(connection: AsyncConnection, passed_on: PassedOn) -> set[UserId]:
    """Take away the rights among these that do not stand; return the users concerned."""
    left = dict(supported(passed_on.owner_of, passed_on.given))
    changed = [row for row in passed_on.given if left.get(row) != row.entry.rights]
    grants = {_grant_of(row) for row in changed}
    users = await users_of_grants(connection, grants)
    less = [(row, rights) for row in changed if (rights := left.get(row))]
    gone = [_binds(row) for row in changed if row not in left]
    if less:
        statement = update(GRANT_ENTRY).where(THIS_ENTRY).values(rights=bindparam("new_rights"))
        await connection.execute(
            statement, [{**_binds(row), "new_rights": int(rights)} for row, rights in less]
        )
    if gone:
        await connection.execute(delete(GRANT_ENTRY).where(THIS_ENTRY), gone)
    await drop_emptied(connection, grants)
    return users


def entry_binds(grant_id: GrantId, entry: Entry) -> dict[str, object]:
    """Return the binds of `THIS_ENTRY`."""
    return {
        "of_grant": grant_id,
        "of_thing": entry.thing_id,
        "of_resource": entry.resource,
    }


def _binds(row: GivenRights) -> dict[str, object]:
    return entry_binds(_grant_of(row), row.entry)


def _grant_of(row: GivenRights) -> GrantId:
    return GrantId(str(row.key))


def _pages(ids: Iterable[_Id]) -> Iterator[list[_Id]]:
    """Give the ids in pages, because a statement takes only so many parameters."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _IDS_AT_ONCE):
        yield ordered[start : start + _IDS_AT_ONCE]
