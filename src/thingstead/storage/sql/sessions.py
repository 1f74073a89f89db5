"""Sessions in SQL: the port `SessionStore`. Knows no engine (`database.py`) and no token."""

from collections.abc import Sequence

from sqlalchemy import Row, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.users.model import NewSession, Session, SessionUse, User
from thingstead.kernel.ids import SessionId, UserId
from thingstead.storage.sql.changes import announce_about
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.user_rows import USER_COLUMNS, has_user, user_of
from thingstead.storage.sql.user_tables import APP_USER, MAIL_LINK, SESSION


class SQLSessionStore:
    """Keeps sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def session(self, digest: bytes, *, at_ms: int) -> tuple[Session, User] | None:
        """Return the session and whose it is; None when unknown or expired."""
        statement = (
            select(
                *USER_COLUMNS,
                SESSION.c.id.label("session_id"),
                SESSION.c.created_at_ms.label("session_created_at_ms"),
                SESSION.c.seen_at_ms,
                SESSION.c.expires_at_ms,
                SESSION.c.label.label("session_label"),
            )
            .join_from(SESSION, APP_USER, SESSION.c.user_id == APP_USER.c.id)
            .where(SESSION.c.digest == digest, SESSION.c.expires_at_ms > at_ms)
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            return None
        user = user_of(row)
        session = Session(
            SessionId(row.session_id),
            user.id,
            row.session_created_at_ms,
            row.seen_at_ms,
            row.expires_at_ms,
            row.session_label,
        )
        return session, user

    async def add_session(self, session: NewSession, *, max_sessions: int) -> None:
        """Add a session; beyond `max_sessions` the user's longest unseen ones end.

        For a user who was deleted meanwhile nothing is added.
        """
        user_id = session.session.user_id
        async with self._database.writing() as connection:
            if not await has_user(connection, user_id):
                return
            if await _end_beyond(connection, session.session, max_sessions - 1):
                await announce_about(connection, users=[user_id])
            await insert_session(connection, session)

    async def sessions(self, user_id: UserId, *, at_ms: int) -> list[Session]:
        """Return the user's sessions that have not expired, the newest first."""
        statement = select(SESSION).where(
            SESSION.c.user_id == user_id, SESSION.c.expires_at_ms > at_ms
        )
        async with self._database.reading() as connection:
            found = [_session(row) for row in (await connection.execute(statement)).all()]
        return sorted(found, key=lambda session: (session.created_at_ms, session.id), reverse=True)

    async def end_session(self, user_id: UserId, session_id: SessionId) -> bool:
        """End one of the user's sessions; return False when they have none with that id."""
        statement = delete(SESSION).where(SESSION.c.id == session_id, SESSION.c.user_id == user_id)
        async with self._database.writing() as connection:
            if (await connection.execute(statement)).rowcount == 0:
                return False
            await announce_about(connection, users=[user_id])
        return True

    async def end_other_sessions(self, user_id: UserId, keep: SessionId) -> int:
        """End all of the user's sessions but one; return how many. Announced."""
        async with self._database.writing() as connection:
            ended = await end_sessions(connection, user_id, keep)
            if ended:
                await announce_about(connection, users=[user_id])
        return ended

    async def note_seen(self, uses: Sequence[SessionUse]) -> None:
        """Note that sessions were used, all in one transaction; some may have ended."""
        if not uses:
            return
        statement = (
            update(SESSION)
            .where(SESSION.c.id == bindparam("used_id"))
            .values(seen_at_ms=bindparam("used_at_ms"), expires_at_ms=bindparam("lasts_until_ms"))
        )
        rows = [
            {
                "used_id": use.session_id,
                "used_at_ms": use.seen_at_ms,
                "lasts_until_ms": use.expires_at_ms,
            }
            for use in uses
        ]
        async with self._database.writing() as connection:
            await connection.execute(statement, rows)

    async def delete_expired(self, *, at_ms: int, limit: int) -> int:
        """Delete at most `limit` expired sessions and mail links; return how many."""
        deleted = 0
        async with self._database.writing() as connection:
            for table in (SESSION, MAIL_LINK):
                expired = (
                    select(table.c.digest)
                    .where(table.c.expires_at_ms <= at_ms)
                    .limit(limit - deleted)
                )
                statement = delete(table).where(table.c.digest.in_(expired))
                deleted += (await connection.execute(statement)).rowcount
        return deleted


async def insert_session(connection: AsyncConnection, new: NewSession) -> None:
    """Add the session as part of the transaction."""
    session = new.session
    await connection.execute(
        insert(SESSION).values(
            digest=new.digest,
            id=session.id,
            user_id=session.user_id,
            created_at_ms=session.created_at_ms,
            seen_at_ms=session.seen_at_ms,
            expires_at_ms=session.expires_at_ms,
            label=session.label,
        )
    )


async def has_session(
    connection: AsyncConnection, user_id: UserId, session_id: SessionId, at_ms: int
) -> bool:
    """Return whether the user has that session and it has not expired, in the transaction."""
    statement = select(SESSION.c.id).where(
        SESSION.c.id == session_id, SESSION.c.user_id == user_id, SESSION.c.expires_at_ms > at_ms
    )
    return (await connection.execute(statement)).one_or_none() is not None


async def end_sessions(connection: AsyncConnection, user_id: UserId, keep: SessionId | None) -> int:
    """End the user's sessions, but the one named, as part of the transaction."""
    statement = delete(SESSION).where(SESSION.c.user_id == user_id)
    if keep is not None:
        statement = statement.where(SESSION.c.id != keep)
    return (await connection.execute(statement)).rowcount


async def _end_beyond(connection: AsyncConnection, newest: Session, most: int) -> bool:
    """End the longest unseen sessions until `most` are left; return whether any valid one was.

    Expired ones end without counting.
    """
    of_user = SESSION.c.user_id == newest.user_id
    await connection.execute(
        delete(SESSION).where(of_user, SESSION.c.expires_at_ms <= newest.created_at_ms)
    )
    seen = select(SESSION.c.seen_at_ms, SESSION.c.id).where(of_user)
    latest_first = sorted(map(tuple, (await connection.execute(seen)).all()), reverse=True)
    too_many = [session_id for _, session_id in latest_first[max(most, 0) :]]
    if not too_many:
        return False
    await connection.execute(delete(SESSION).where(of_user, SESSION.c.id.in_(too_many)))
    return True


def _session(row: Row[*tuple[object, ...]]) -> Session:
    return Session(
        SessionId(row.id),
        UserId(row.user_id),
        row.created_at_ms,
        row.seen_at_ms,
        row.expires_at_ms,
        row.label,
    )
