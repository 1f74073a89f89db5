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
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.mail.model import SealedLetter
from thingstead.features.sharing.model import (
    MOST_ENTRIES_RECEIVED,
    Entry,
    Grant,
    GrantOutcome,
    Rights,
)
from thingstead.kernel.ids import AppId, GrantId, ThingId, UserId
from thingstead.storage.sql.changes import announce_about
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.grant_rows import (
    RIGHTS,
    THIS_ENTRY,
    drop_emptied,
    drop_entries,
    entry_binds,
    owners_of,
    passed_on_from,
    settle,
    users_of_grants,
)
from thingstead.storage.sql.many_rows import folded, rows_of
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
        self,
        grant: Grant,
        link_digest: bytes,
        letter: SealedLetter,
        *,
        max_grants: int,
        max_entries: int,
    ) -> GrantOutcome:
        """Add a waiting grant with its mail.

        Adds nothing when the giver has `max_grants` already, or would have more than
        `max_entries` entries in all their grants. Entries that the giver may not pass on at
        this moment are left out; without any there is no grant and no mail. The giver's
        grants that have expired unaccepted are forgotten.
        """
        async with self._database.writing() as connection:
            if not await has_user(connection, grant.giver_id):
                return GrantOutcome.ADDED
            await _forget_expired(connection, grant.giver_id, grant.created_at_ms)
            if await _grant_count(connection, grant.giver_id) >= max_grants:
                return GrantOutcome.TOO_MANY_GRANTS
            held = await _entry_count(connection, grant.giver_id)
            if held + len(grant.entries) > max_entries:
                return GrantOutcome.TOO_MANY_ENTRIES
            if await _insert_standing(connection, grant, link_digest):
                await put_letter(connection, letter, grant.created_at_ms)
                await announce_about(
                    connection, users=await users_of_grants(connection, [grant.id])
                )
        return GrantOutcome.ADDED

    async def given(self, user_id: UserId, *, at_ms: int, email: str | None = None) -> list[Grant]:
        """Return what the user granted and has not expired unaccepted, the newest first.

        With `email` only what they granted to that address.
        """
        theirs = USER_GRANT.c.giver_id == user_id
        if email is not None:
            theirs = and_(theirs, USER_GRANT.c.email == email)
        return await self._newest_first(_with_entries().where(theirs, _lives(at_ms)))

    async def received(self, user_id: UserId, *, at_ms: int) -> list[Grant]:
        """Return what was granted to the user's address and has not expired unaccepted.

        Of those that wait, as many, from the newest on, as have `MOST_ENTRIES_RECEIVED`
        entries together with the accepted ones.
        """
        entries = (
            select(func.count())
            .where(GRANT_ENTRY.c.grant_id == USER_GRANT.c.id)
            .scalar_subquery()
            .label("entries")
        )
        theirs = _to_address_of(user_id)
        counted = select(USER_GRANT, entries).join(APP_USER, theirs).where(_lives(at_ms))
        async with self._database.reading() as connection:
            rows = (await connection.execute(counted)).all()
        statement = _with_entries().join(APP_USER, theirs).where(_lives(at_ms))
        listed = _listed(rows)
        if len(listed) < len(rows):
            statement = statement.where(USER_GRANT.c.id.in_(listed))
        return await self._newest_first(statement)

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
            of_grant = GRANT_ENTRY.c.grant_id == grant_id
            passed_on = await passed_on_from(connection, of_grant)
            if entries is None:
                await drop_entries(connection, of_grant)
                passed_on = passed_on.without({grant_id})
            else:
                await _take_rights(connection, grant_id, entries)
                passed_on = passed_on.with_less(grant_id, entries)
            users |= await settle(connection, passed_on)
            await announce_about(connection, users=users)
        return True

    async def _newest_first(self, statement: Select[*tuple[object, ...]]) -> list[Grant]:
        async with self._database.reading() as connection:
            rows = await rows_of(connection, statement)
        return await folded(_newest_first, rows)


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


async def _entry_count(connection: AsyncConnection, giver_id: UserId) -> int:
    statement = (
        select(func.count())
        .select_from(USER_GRANT)
        .join(GRANT_ENTRY, GRANT_ENTRY.c.grant_id == USER_GRANT.c.id)
        .where(USER_GRANT.c.giver_id == giver_id)
    )
    return (await connection.execute(statement)).scalar_one()


async def _insert_standing(connection: AsyncConnection, grant: Grant, link_digest: bytes) -> bool:
    """Insert the grant as far as its giver may pass it on now; return whether anything is left."""
    owners = await owners_of(connection, {entry.thing_id for entry in grant.entries})
    entries = [entry for entry in grant.entries if entry.thing_id in owners]
    if not entries:
        return False
    await _insert(connection, grant, link_digest, entries)
    if all(owners[entry.thing_id] == grant.giver_id for entry in entries):
        return True
    # Its own entries are at places where somebody passes on, so they are settled as well.
    of_grant = GRANT_ENTRY.c.grant_id == grant.id
    await settle(connection, await passed_on_from(connection, of_grant))
    left = select(USER_GRANT.c.id).where(USER_GRANT.c.id == grant.id)
    return (await connection.execute(left)).one_or_none() is not None


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
) -> None:
    """Take the rights that the entries name out of the grant."""
    left = GRANT_ENTRY.c.rights.bitwise_and(bindparam("kept"))
    rows = [
        {**entry_binds(grant_id, entry), "kept": int(Rights.ALL & ~entry.rights)}
        for entry in entries
    ]
    if rows:
        await connection.execute(update(GRANT_ENTRY).where(THIS_ENTRY).values(rights=left), rows)
    of_grant = GRANT_ENTRY.c.grant_id == grant_id
    await connection.execute(delete(GRANT_ENTRY).where(of_grant, GRANT_ENTRY.c.rights == 0))
    await drop_emptied(connection, [grant_id])


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


def _listed(rows: Sequence[Row[*tuple[object, ...]]]) -> list[str]:
    """Return the ids of those of the grants that are listed to their receiver."""
    listed = []
    entries = 0
    newest_first = sorted(rows, key=lambda row: (row.created_at_ms, row.id), reverse=True)
    for row in sorted(newest_first, key=lambda row: row.accepted_at_ms is None):
        entries += row.entries
        if row.accepted_at_ms is not None or entries <= MOST_ENTRIES_RECEIVED:
            listed.append(row.id)
    return listed


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
            Entry(ThingId(row.thing_id), row.resource, RIGHTS[row.rights]) for row in rows
        ),
    )
