"""Taking grants away, whatever the reason, as part of a transaction.

Whoever takes a right away calls `settle` for the things concerned, which takes away what was
passed on by virtue of it (`features/sharing/rights.py`). Each function returns the users
concerned, for the caller to announce.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, and_, delete, select, update
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


async def drop_entries(
    connection: AsyncConnection, condition: ColumnElement[bool]
) -> tuple[set[ThingId], set[UserId]]:
    """Delete the entries that the condition names, and grants that have no others.

    Returns the things and the users concerned; what was passed on is the caller's to settle.
    """
    named = select(GRANT_ENTRY.c.grant_id, GRANT_ENTRY.c.thing_id).where(condition).distinct()
    rows = (await connection.execute(named)).all()
    if not rows:
        return set(), set()
    grants = {GrantId(row.grant_id) for row in rows}
    users = await users_of_grants(connection, grants)
    await connection.execute(delete(GRANT_ENTRY).where(condition))
    await drop_emptied(connection, grants)
    return {ThingId(row.thing_id) for row in rows}, users


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


async def settle(connection: AsyncConnection, things: Iterable[ThingId]) -> set[UserId]:
    """Take away all rights on the things that no longer stand; return the users concerned."""
    concerned: set[UserId] = set()
    for page in _pages(things):
        given = await given_rights(connection, page)
        left = dict(await standing(connection, page, given))
        changed = [row for row in given if left.get(row) != row.entry.rights]
        grants = {_grant_of(row) for row in changed}
        concerned |= await users_of_grants(connection, grants)
        for row in changed:
            await _set_rights(connection, row, left.get(row, Rights.NONE))
        await drop_emptied(connection, grants)
    return concerned


async def standing(
    connection: AsyncConnection, things: Sequence[ThingId], given: Sequence[GivenRights]
) -> list[tuple[GivenRights, Rights]]:
    """Return those of the rows that stand, with what is left of them, by who owns the things."""
    statement = select(LINK.c.thing_id, LINK.c.user_id).where(LINK.c.thing_id.in_(things))
    owner_of = {
        ThingId(row.thing_id): UserId(row.user_id)
        for row in (await connection.execute(statement)).all()
    }
    return supported(owner_of, given)


async def given_rights(connection: AsyncConnection, things: Sequence[ThingId]) -> list[GivenRights]:
    """Return every entry on the things; a receiver only where it gives something."""
    gives = and_(
        _RECEIVER, APP_USER.c.confirmed_at_ms.is_not(None), USER_GRANT.c.accepted_at_ms.is_not(None)
    )
    statement = (
        select(GRANT_ENTRY, USER_GRANT.c.giver_id, APP_USER.c.id.label("receiver_id"))
        .join_from(GRANT_ENTRY, USER_GRANT, GRANT_ENTRY.c.grant_id == USER_GRANT.c.id)
        .outerjoin(APP_USER, gives)
        .where(GRANT_ENTRY.c.thing_id.in_(things))
    )
    return [
        GivenRights(
            row.grant_id,
            UserId(row.giver_id),
            None if row.receiver_id is None else UserId(row.receiver_id),
            Entry(ThingId(row.thing_id), row.resource, Rights(row.rights)),
        )
        for row in (await connection.execute(statement)).all()
    ]


async def _set_rights(connection: AsyncConnection, row: GivenRights, rights: Rights) -> None:
    this = and_(
        GRANT_ENTRY.c.grant_id == _grant_of(row),
        GRANT_ENTRY.c.thing_id == row.entry.thing_id,
        GRANT_ENTRY.c.resource == row.entry.resource,
    )
    if rights:
        await connection.execute(update(GRANT_ENTRY).where(this).values(rights=int(rights)))
    else:
        await connection.execute(delete(GRANT_ENTRY).where(this))


def _grant_of(row: GivenRights) -> GrantId:
    return GrantId(str(row.key))


def _pages(ids: Iterable[_Id]) -> Iterator[list[_Id]]:
    """Give the ids in pages, because a statement takes only so many parameters."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _IDS_AT_ONCE):
        yield ordered[start : start + _IDS_AT_ONCE]
