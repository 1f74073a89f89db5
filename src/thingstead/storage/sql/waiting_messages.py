"""What waits in kept sessions, in SQL: the port `WaitingMessageStore`. Knows no engine."""

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.kept_sessions.model import KeptSessionLimits, WaitingMessage
from thingstead.features.things.ports import Seal
from thingstead.kernel.errors import ThingsteadError
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.kept_session_tables import KEPT_SESSION, WAITING_MESSAGE

# Rows that are looked at in one go when there are too many.
_PAGE = 200
_REMEMBERED_TOPICS = 256


class SQLWaitingMessageStore:
    """Keeps what waits in sessions."""

    def __init__(self, database: Database, seal: Seal, limits: KeptSessionLimits) -> None:
        self._database = database
        self._seal = seal
        # A key may close 2^32 secrets (`sealing/aesgcm.py`): topics recur, messages are many.
        self._closed = lru_cache(_REMEMBERED_TOPICS)(seal.close)
        self._limits = limits

    async def add_messages(
        self, messages: Sequence[tuple[str, WaitingMessage]], *, at_ms: int
    ) -> int:
        """Let messages wait in sessions, by session id; return how many were dropped for room.

        All in one transaction. For a session that is gone or has expired nothing is kept.
        """
        by_session: dict[str, list[WaitingMessage]] = {}
        for session_id, message in messages:
            by_session.setdefault(session_id, []).append(message)
        there = select(
            KEPT_SESSION.c.id, KEPT_SESSION.c.waiting, KEPT_SESSION.c.waiting_bytes
        ).where(
            KEPT_SESSION.c.id.in_(list(by_session)),
            or_(KEPT_SESSION.c.expires_at_ms.is_(None), KEPT_SESSION.c.expires_at_ms > at_ms),
        )
        dropped = 0
        async with self._database.writing() as connection:
            for session in (await connection.execute(there)).all():
                added = by_session[session.id]
                await self._insert(connection, session.id, added, at_ms)
                waiting = session.waiting + len(added)
                size = session.waiting_bytes + sum(map(_size, added))
                dropped += await self._settle(connection, session.id, waiting, size)
        return dropped

    async def messages(self, session_id: str, *, after: int, limit: int) -> list[WaitingMessage]:
        """Return what waits in the session, ascending by number, those after a number only.

        What another key closed is passed over.
        """
        statement = (
            select(
                WAITING_MESSAGE.c.number, WAITING_MESSAGE.c.sealed_topic, WAITING_MESSAGE.c.payload
            )
            .where(WAITING_MESSAGE.c.session_id == session_id, WAITING_MESSAGE.c.number > after)
            .order_by(WAITING_MESSAGE.c.number)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        found = map(self._message, rows)
        return [message for message in found if message is not None]

    async def drop_messages(self, session_id: str, *, up_to: int) -> None:
        """Forget the messages of the session up to that number, which were delivered."""
        delivered = (
            delete(WAITING_MESSAGE)
            .where(WAITING_MESSAGE.c.session_id == session_id, WAITING_MESSAGE.c.number <= up_to)
            .returning(WAITING_MESSAGE.c.size)
        )
        async with self._database.writing() as connection:
            sizes = (await connection.execute(delivered)).scalars().all()
            await connection.execute(
                update(KEPT_SESSION)
                .where(KEPT_SESSION.c.id == session_id)
                .values(
                    waiting=KEPT_SESSION.c.waiting - len(sizes),
                    waiting_bytes=KEPT_SESSION.c.waiting_bytes - sum(sizes),
                )
            )

    async def _insert(
        self,
        connection: AsyncConnection,
        session_id: str,
        messages: Sequence[WaitingMessage],
        at_ms: int,
    ) -> None:
        rows = [
            {
                "session_id": session_id,
                "size": _size(message),
                "at_ms": at_ms,
                "sealed_topic": self._closed(message.topic),
                "payload": message.payload,
            }
            for message in messages
        ]
        await connection.execute(insert(WAITING_MESSAGE), rows)

    async def _settle(
        self, connection: AsyncConnection, session_id: str, waiting: int, size: int
    ) -> int:
        """Drop the oldest beyond the limits, note how much is left, and return how many went."""
        before = waiting
        while self._is_too_much(waiting, size):
            oldest = (
                select(WAITING_MESSAGE.c.number, WAITING_MESSAGE.c.size)
                .where(WAITING_MESSAGE.c.session_id == session_id)
                .order_by(WAITING_MESSAGE.c.number)
                .limit(_PAGE)
            )
            up_to = 0
            for row in (await connection.execute(oldest)).all():
                if not self._is_too_much(waiting, size):
                    break
                up_to, waiting, size = row.number, waiting - 1, size - row.size
            await connection.execute(
                delete(WAITING_MESSAGE).where(
                    WAITING_MESSAGE.c.session_id == session_id, WAITING_MESSAGE.c.number <= up_to
                )
            )
        await connection.execute(
            update(KEPT_SESSION)
            .where(KEPT_SESSION.c.id == session_id)
            .values(waiting=waiting, waiting_bytes=size)
        )
        return before - waiting

    def _is_too_much(self, waiting: int, size: int) -> bool:
        return waiting > self._limits.messages or size > self._limits.message_bytes

    def _message(self, row: Row[*tuple[object, ...]]) -> WaitingMessage | None:
        try:
            return WaitingMessage(self._seal.open(row.sealed_topic), row.payload, row.number)
        except ThingsteadError:
            return None


def _size(message: WaitingMessage) -> int:
    """Return what counts of a message: the bytes of its topic and of its payload."""
    return len(message.topic.encode("utf-8")) + len(message.payload)
