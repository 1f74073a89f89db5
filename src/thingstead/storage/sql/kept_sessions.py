"""Kept sessions in SQL: the port `KeptSessionStore`. Knows no engine (`database.py`).

The seal is passed in, so that nothing that may hold a token leaves here unsealed.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Row, bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.kept_sessions.model import (
    Holder,
    HolderKind,
    KeptSession,
    KeptSessionLimits,
    KeptSubscription,
)
from thingstead.features.things.ports import Seal
from thingstead.kernel.errors import ThingsteadError
from thingstead.kernel.ids import ThingId, UserId, digest
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.kept_session_rows import delete_kept_sessions
from thingstead.storage.sql.kept_session_tables import (
    KEPT_SESSION,
    KEPT_SUBSCRIPTION,
    PURGE_KEPT_SESSION,
)
from thingstead.storage.sql.things import has_thing
from thingstead.storage.sql.user_rows import has_user

_Rows = Sequence[Row[*tuple[object, ...]]]


class SQLKeptSessionStore:
    """Keeps sessions."""

    def __init__(self, database: Database, seal: Seal, limits: KeptSessionLimits) -> None:
        self._database = database
        self._seal = seal
        self._limits = limits

    async def find(self, holder: Holder, client_id: str, *, at_ms: int) -> KeptSession | None:
        """Return the session, None when there is none or it has expired."""
        statement = (
            select(KEPT_SESSION, KEPT_SUBSCRIPTION)
            .outerjoin(KEPT_SUBSCRIPTION, KEPT_SUBSCRIPTION.c.session_id == KEPT_SESSION.c.id)
            .where(
                *_of(holder),
                KEPT_SESSION.c.client_digest == digest(client_id),
                or_(KEPT_SESSION.c.expires_at_ms.is_(None), KEPT_SESSION.c.expires_at_ms > at_ms),
            )
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        if not rows:
            return None
        return self._session(rows[0], [row for row in rows if row.session_id is not None])

    async def put(self, session: KeptSession) -> None:
        """Add the session, or replace what is kept of it; its messages stay.

        Another session of the same holder and client id goes. When the holder has too many, those
        that expire first go; connected ones stay. For a holder that was deleted nothing is kept.
        """
        async with self._database.writing() as connection:
            if not await _has_holder(connection, session.holder):
                return
            await self._make_room(connection, session)
            changed = (
                update(KEPT_SESSION)
                .where(KEPT_SESSION.c.id == session.id)
                .values(
                    expires_after_s=session.expires_after_s, expires_at_ms=session.expires_at_ms
                )
            )
            if (await connection.execute(changed)).rowcount == 0:
                await self._insert(connection, session)
            await self._replace_subscriptions(connection, session)

    async def mark(self, sessions: Sequence[KeptSession]) -> None:
        """Note of each session when it expires, and how far its subscriptions came.

        All in one transaction. Sessions and filters that are not kept are passed over.
        """
        async with self._database.writing() as connection:
            await connection.execute(_MARK, [_mark(session) for session in sessions])
            came_to = [
                {
                    "of_session": session.id,
                    "of_filter": digest(subscription.filter),
                    "came_to": subscription.after,
                }
                for session in sessions
                for subscription in session.subscriptions
            ]
            if came_to:
                await connection.execute(_NOTE, came_to)

    async def delete(self, session_id: str) -> None:
        """Forget the session and what waits in it; of an unknown one nothing happens."""
        known = select(KEPT_SESSION.c.id).where(KEPT_SESSION.c.id == session_id)
        async with self._database.writing() as connection:
            found = (await connection.execute(known)).scalars().all()
            await delete_kept_sessions(connection, found)

    async def away(self, *, at_ms: int, after: str, limit: int) -> list[KeptSession]:
        """Count every client as away, and return unexpired sessions, at most `limit`.

        Sessions that were left connected begin to expire. Ascending by id, behind the one named;
        none only when none is left.
        """
        left = (
            update(KEPT_SESSION)
            .where(KEPT_SESSION.c.expires_at_ms.is_(None))
            .values(expires_at_ms=at_ms + KEPT_SESSION.c.expires_after_s * 1_000)
        )
        async with self._database.writing() as connection:
            await connection.execute(left)
            while True:
                page = (
                    select(KEPT_SESSION)
                    .where(KEPT_SESSION.c.id > after, KEPT_SESSION.c.expires_at_ms > at_ms)
                    .order_by(KEPT_SESSION.c.id)
                    .limit(limit)
                )
                rows = (await connection.execute(page)).all()
                found = await self._with_subscriptions(connection, rows)
                if found or not rows:
                    return found
                # None of these can be opened.
                after = rows[-1].id

    async def gone(self, *, at_ms: int, limit: int) -> list[str]:
        """Delete expired sessions; return ids of deleted ones that nobody has crossed off.

        At most `limit` of either.
        """
        expired = (
            select(KEPT_SESSION.c.id).where(KEPT_SESSION.c.expires_at_ms <= at_ms).limit(limit)
        )
        # No id is empty; the bound makes this a search in the key.
        noted = PURGE_KEPT_SESSION.c.session_id
        gone = select(noted).where(noted > "").order_by(noted).limit(limit)
        async with self._database.writing() as connection:
            found = (await connection.execute(expired)).scalars().all()
            await delete_kept_sessions(connection, found)
            return list((await connection.execute(gone)).scalars())

    async def cross_off(self, session_ids: Sequence[str]) -> None:
        """Have `gone` tell no more of these; twice is the same as once."""
        statement = delete(PURGE_KEPT_SESSION).where(
            PURGE_KEPT_SESSION.c.session_id.in_(session_ids)
        )
        async with self._database.writing() as connection:
            await connection.execute(statement)

    async def _make_room(self, connection: AsyncConnection, session: KeptSession) -> None:
        """Delete another session of the client, and others of the holder that are too many."""
        others = select(
            KEPT_SESSION.c.id, KEPT_SESSION.c.client_digest, KEPT_SESSION.c.expires_at_ms
        ).where(*_of(session.holder), KEPT_SESSION.c.id != session.id)
        rows = (await connection.execute(others)).all()
        client_digest = digest(session.client_id)
        gone = [row.id for row in rows if row.client_digest == client_digest]
        too_many = len(rows) - len(gone) + 1 - self._limits.sessions_per_holder
        if too_many > 0:
            soonest_first = sorted(
                (row.expires_at_ms, row.id)
                for row in rows
                if row.expires_at_ms is not None and row.client_digest != client_digest
            )
            gone += [session_id for _, session_id in soonest_first[:too_many]]
        await delete_kept_sessions(connection, gone)

    async def _insert(self, connection: AsyncConnection, session: KeptSession) -> None:
        await connection.execute(
            insert(KEPT_SESSION).values(
                id=session.id,
                holder_kind=session.holder.kind.value,
                holder_id=session.holder.id,
                client_digest=digest(session.client_id),
                sealed_client_id=self._seal.close(session.client_id),
                expires_after_s=session.expires_after_s,
                expires_at_ms=session.expires_at_ms,
            )
        )

    async def _replace_subscriptions(
        self, connection: AsyncConnection, session: KeptSession
    ) -> None:
        await connection.execute(
            delete(KEPT_SUBSCRIPTION).where(KEPT_SUBSCRIPTION.c.session_id == session.id)
        )
        rows = [
            {
                "session_id": session.id,
                "filter_digest": digest(one.filter),
                "position": position,
                "sealed_filter": self._seal.close(one.filter),
                "options": one.options,
                "after_sequence": one.after,
            }
            for position, one in enumerate(session.subscriptions)
        ]
        if rows:
            await connection.execute(insert(KEPT_SUBSCRIPTION), rows)

    async def _with_subscriptions(
        self, connection: AsyncConnection, rows: _Rows
    ) -> list[KeptSession]:
        subscribed = select(KEPT_SUBSCRIPTION).where(
            KEPT_SUBSCRIPTION.c.session_id.in_([row.id for row in rows])
        )
        subscriptions: dict[object, list[Row[*tuple[object, ...]]]] = {}
        for row in (await connection.execute(subscribed)).all():
            subscriptions.setdefault(row.session_id, []).append(row)
        found = (self._session(row, subscriptions.get(row.id, ())) for row in rows)
        return [session for session in found if session is not None]

    def _session(
        self, row: Row[*tuple[object, ...]], subscriptions: Iterable[Row[*tuple[object, ...]]]
    ) -> KeptSession | None:
        """Return the session, None when another key closed it: then nobody can use it."""
        try:
            return KeptSession(
                id=row.id,
                holder=Holder(HolderKind(row.holder_kind), row.holder_id),
                client_id=self._seal.open(row.sealed_client_id),
                expires_after_s=row.expires_after_s,
                subscriptions=tuple(
                    KeptSubscription(
                        self._seal.open(one.sealed_filter), one.options, one.after_sequence
                    )
                    for one in sorted(subscriptions, key=lambda one: one.position)
                ),
                expires_at_ms=row.expires_at_ms,
            )
        except ThingsteadError:
            return None


_MARK = (
    update(KEPT_SESSION)
    .where(KEPT_SESSION.c.id == bindparam("of_session"))
    .values(expires_after_s=bindparam("lasts_s"), expires_at_ms=bindparam("lasts_until_ms"))
)
_NOTE = (
    update(KEPT_SUBSCRIPTION)
    .where(
        KEPT_SUBSCRIPTION.c.session_id == bindparam("of_session"),
        KEPT_SUBSCRIPTION.c.filter_digest == bindparam("of_filter"),
    )
    .values(after_sequence=bindparam("came_to"))
)


def _mark(session: KeptSession) -> dict[str, object]:
    return {
        "of_session": session.id,
        "lasts_s": session.expires_after_s,
        "lasts_until_ms": session.expires_at_ms,
    }


def _of(holder: Holder) -> tuple[ColumnElement[bool], ...]:
    return (
        KEPT_SESSION.c.holder_kind == holder.kind.value,
        KEPT_SESSION.c.holder_id == holder.id,
    )


async def _has_holder(connection: AsyncConnection, holder: Holder) -> bool:
    if holder.kind is HolderKind.THING:
        return await has_thing(connection, ThingId(holder.id))
    return await has_user(connection, UserId(holder.id))
