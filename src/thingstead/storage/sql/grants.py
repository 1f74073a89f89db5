"""Grants in SQL: the port `GrantStore`. Knows no engine (`database.py`).

What goes when a right goes stands in `grant_rows.py`. Only a confirmed address receives: the
account of one that is not sees no grant to it, and can neither accept nor decline.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.mail.model import SealedLetter
from thingstead.features.sharing.model import Entry, GivenRights, Grant, Rights
from thingstead.kernel.ids import AppId, GrantId, ThingId, UserId
from thingstead.storage.sql.changes import announce_about
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.grant_rows import (
    drop_emptied,
    drop_entries,
    given_rights,
    settle,
    standing,
    users_of_grants,
)
from thingstead.storage.sql.outbox import put_letter
from thingstead.storage.sql.sharing_tables import GRANT_ENTRY, USER_GRANT
from thingstead.storage.sql.user_rows import has_user
from thingstead.storage.sql.user_tables import APP_USER

_GIVER = APP_USER.alias("giver")


class SQLGrantStore:
    """Keeps grants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_grant(
        self, grant: Grant, link_digest: bytes, letter: SealedLetter, *, max_grants: int
    ) -> bool:
        """Add a waiting grant with its mail.

        Returns False, and adds nothing, when the giver has `max_grants` already. Entries that
        the giver may not pass on at this moment are left out; without any there is no grant
        and no mail. The giver's grants that have expired unaccepted are forgotten.
        """
        async with self._database.writing() as connection:
            if not await has_user(connection, grant.giver_id):
                return True
            await _forget_expired(connection, grant.giver_id, grant.created_at_ms)
            if await _grant_count(connection, grant.giver_id) >= max_grants:
                return False
            entries = await _passed_on(connection, grant)
            if entries:
                await _insert(connection, grant, link_digest, entries)
                await put_letter(connection, letter, grant.created_at_ms)
                await announce_about(
                    connection, users=await users_of_grants(connection, [grant.id])
                )
        return True

    async def given(self, user_id: UserId, *, at_ms: int) -> list[Grant]:
        """Return what the user granted and has not expired unaccepted, the newest first."""
        statement = _with_entries().where(USER_GRANT.c.giver_id == user_id, _lives(at_ms))
        async with self._database.reading() as connection:
            return _newest_first((await connection.execute(statement)).all())

    async def received(self, user_id: UserId, *, at_ms: int) -> list[Grant]:
        """Return what was granted to the user's address and has not expired unaccepted."""
        statement = _with_entries().join(APP_USER, _to_address_of(user_id)).where(_lives(at_ms))
        async with self._database.reading() as connection:
            return _newest_first((await connection.execute(statement)).all())

    async def grant_of_link(self, digest: bytes, *, at_ms: int) -> Grant | None:
        """Return the waiting grant of a mail's link, changing nothing."""
        statement = _with_entries().where(USER_GRANT.c.link_digest == digest, _waits(at_ms))
        async with self._database.reading() as connection:
            return _only((await connection.execute(statement)).all())

    async def accept_by_link(self, digest: bytes, *, at_ms: int) -> Grant | None:
        """Accept the link's grant; the link is used up.

        Who has the mail has the address: an account of it is confirmed by this.
        """
        condition = USER_GRANT.c.link_digest == digest
        async with self._database.writing() as connection:
            accepted = await _accept(connection, condition, at_ms)
            if accepted is None:
                return None
            await connection.execute(
                update(APP_USER)
                .where(APP_USER.c.app_id == accepted.app_id, APP_USER.c.email == accepted.email)
                .values(confirmed_at_ms=func.coalesce(APP_USER.c.confirmed_at_ms, at_ms))
            )
            statement = _with_entries().where(USER_GRANT.c.id == accepted.id)
            return _only((await connection.execute(statement)).all())

    async def accept(self, user_id: UserId, grant_id: GrantId, *, at_ms: int) -> bool:
        """Accept a grant to the user's address; False when there is none that waits."""
        to_user = select(APP_USER.c.id).where(_to_address_of(user_id)).exists()
        condition = and_(USER_GRANT.c.id == grant_id, to_user)
        async with self._database.writing() as connection:
            return await _accept(connection, condition, at_ms) is not None

    async def revoke(
        self, user_id: UserId, grant_id: GrantId, entries: Sequence[Entry] | None = None
    ) -> bool:
        """End a grant that the user gave or received, or with `entries` those rights of it.

        Returns False when the user has no such grant. A grant without rights is gone.
        """
        to_user = select(APP_USER.c.id).where(_to_address_of(user_id)).exists()
        theirs = (
            select(USER_GRANT.c.id)
            .where(USER_GRANT.c.id == grant_id, or_(USER_GRANT.c.giver_id == user_id, to_user))
            .with_for_update()
        )
        async with self._database.writing() as connection:
            if (await connection.execute(theirs)).one_or_none() is None:
                return False
            users = await users_of_grants(connection, [grant_id])
            if entries is None:
                things, _ = await drop_entries(connection, GRANT_ENTRY.c.grant_id == grant_id)
            else:
                things = await _take_rights(connection, grant_id, entries)
            users |= await settle(connection, things)
            await announce_about(connection, users=users)
        return True


async def _accept(
    connection: AsyncConnection, condition: ColumnElement[bool], at_ms: int
) -> Row[*tuple[object, ...]] | None:
    """Accept the waiting grant that the condition names, if there is one. Announced."""
    statement = (
        update(USER_GRANT)
        .where(condition, _waits(at_ms))
        .values(accepted_at_ms=at_ms, link_digest=None)
        .returning(USER_GRANT.c.id, USER_GRANT.c.app_id, USER_GRANT.c.email)
    )
    accepted = (await connection.execute(statement)).one_or_none()
    if accepted is not None:
        users = await users_of_grants(connection, [accepted.id])
        await announce_about(connection, users=users)
    return accepted


async def _forget_expired(connection: AsyncConnection, giver_id: UserId, at_ms: int) -> None:
    expired = (
        USER_GRANT.c.giver_id == giver_id,
        USER_GRANT.c.accepted_at_ms.is_(None),
        USER_GRANT.c.expires_at_ms <= at_ms,
    )
    # Nothing rests on what was never accepted, so nothing is to be settled.
    grants = select(USER_GRANT.c.id).where(*expired)
    await connection.execute(delete(GRANT_ENTRY).where(GRANT_ENTRY.c.grant_id.in_(grants)))
    await connection.execute(delete(USER_GRANT).where(*expired))


async def _grant_count(connection: AsyncConnection, giver_id: UserId) -> int:
    statement = (
        select(func.count()).select_from(USER_GRANT).where(USER_GRANT.c.giver_id == giver_id)
    )
    return (await connection.execute(statement)).scalar_one()


async def _passed_on(connection: AsyncConnection, grant: Grant) -> list[Entry]:
    """Return the grant's entries as far as its giver may pass them on now."""
    things = sorted({entry.thing_id for entry in grant.entries})
    given = await given_rights(connection, things)
    given += [GivenRights(grant.id, grant.giver_id, None, entry) for entry in grant.entries]
    return [
        Entry(row.entry.thing_id, row.entry.resource, rights)
        for row, rights in await standing(connection, things, given)
        if row.key == grant.id
    ]


async def _insert(
    connection: AsyncConnection, grant: Grant, link_digest: bytes, entries: Iterable[Entry]
) -> None:
    await connection.execute(
        insert(USER_GRANT).values(
            id=grant.id,
            app_id=grant.app_id,
            giver_id=grant.giver_id,
            email=grant.email,
            link_digest=link_digest,
            created_at_ms=grant.created_at_ms,
            expires_at_ms=grant.expires_at_ms,
        )
    )
    rows: list[Mapping[str, object]] = [
        {
            "grant_id": grant.id,
            "thing_id": entry.thing_id,
            "resource": entry.resource,
            "rights": int(entry.rights),
        }
        for entry in entries
    ]
    await connection.execute(insert(GRANT_ENTRY), rows)


async def _take_rights(
    connection: AsyncConnection, grant_id: GrantId, entries: Iterable[Entry]
) -> set[ThingId]:
    """Take the rights that the entries name out of the grant; return the things concerned."""
    things = set()
    for entry in entries:
        this = and_(
            GRANT_ENTRY.c.grant_id == grant_id,
            GRANT_ENTRY.c.thing_id == entry.thing_id,
            GRANT_ENTRY.c.resource == entry.resource,
        )
        left = GRANT_ENTRY.c.rights.bitwise_and(int(Rights.ALL & ~entry.rights))
        await connection.execute(update(GRANT_ENTRY).where(this).values(rights=left))
        await connection.execute(delete(GRANT_ENTRY).where(this, GRANT_ENTRY.c.rights == 0))
        things.add(entry.thing_id)
    await drop_emptied(connection, [grant_id])
    return things


def _with_entries() -> Select[*tuple[object, ...]]:
    return (
        select(USER_GRANT, GRANT_ENTRY, _GIVER.c.email.label("giver_email"))
        .join_from(USER_GRANT, GRANT_ENTRY, GRANT_ENTRY.c.grant_id == USER_GRANT.c.id)
        .join(_GIVER, _GIVER.c.id == USER_GRANT.c.giver_id)
    )


def _to_address_of(user_id: UserId) -> ColumnElement[bool]:
    return and_(
        APP_USER.c.id == user_id,
        APP_USER.c.confirmed_at_ms.is_not(None),
        APP_USER.c.app_id == USER_GRANT.c.app_id,
        APP_USER.c.email == USER_GRANT.c.email,
    )


def _waits(at_ms: int) -> ColumnElement[bool]:
    return and_(USER_GRANT.c.accepted_at_ms.is_(None), USER_GRANT.c.expires_at_ms > at_ms)


def _lives(at_ms: int) -> ColumnElement[bool]:
    return or_(USER_GRANT.c.accepted_at_ms.is_not(None), USER_GRANT.c.expires_at_ms > at_ms)


def _newest_first(rows: Sequence[Row[*tuple[object, ...]]]) -> list[Grant]:
    """Return the grants in the rows, each with its entries in the order of thing and resource."""
    ordered = sorted(rows, key=lambda row: (row.id, row.thing_id, row.resource))
    grants = [_grant(list(group)) for _, group in groupby(ordered, key=lambda row: row.id)]
    return sorted(grants, key=lambda grant: (grant.created_at_ms, grant.id), reverse=True)


def _only(rows: Sequence[Row[*tuple[object, ...]]]) -> Grant | None:
    return next(iter(_newest_first(rows)), None)


def _grant(rows: Sequence[Row[*tuple[object, ...]]]) -> Grant:
    first = rows[0]
    return Grant(
        id=GrantId(first.id),
        app_id=AppId(first.app_id),
        giver_id=UserId(first.giver_id),
        giver_email=first.giver_email,
        email=first.email,
        created_at_ms=first.created_at_ms,
        expires_at_ms=first.expires_at_ms,
        accepted_at_ms=first.accepted_at_ms,
        entries=tuple(
            Entry(ThingId(row.thing_id), row.resource, Rights(row.rights)) for row in rows
        ),
    )
