"""Kept sessions, what waits in them, and what is remembered of their packets, in memory."""

from asyncio import Future, get_running_loop
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from doubles.organisation import Organisation
from thingstead.features.kept_sessions.model import (
    Holder,
    HolderKind,
    KeptSession,
    KeptSessionLimits,
    WaitingMessage,
)


@dataclass(slots=True)
class KeptClients:
    """What outlives the stores; sessions of a holder that was deleted go when one looks."""

    organisation: Organisation
    sessions: dict[str, KeptSession] = field(default_factory=dict)
    messages: dict[str, list[WaitingMessage]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    last_number: int = 0

    def there(self) -> dict[str, KeptSession]:
        for session in list(self.sessions.values()):
            if not self.has(session.holder):
                self.delete(session.id)
        return self.sessions

    def has(self, holder: Holder) -> bool:
        if holder.kind is HolderKind.THING:
            return holder.id in self.organisation.things
        return holder.id in self.organisation.accounts

    def delete(self, session_id: str) -> None:
        if self.sessions.pop(session_id, None) is not None:
            self.messages.pop(session_id, None)
            self.gone.add(session_id)


class MemoryKeptSessionStore:
    """Keeps sessions."""

    def __init__(self, kept: KeptClients, limits: KeptSessionLimits) -> None:
        self._kept = kept
        self._limits = limits

    async def find(self, holder: Holder, client_id: str, *, at_ms: int) -> KeptSession | None:
        return next(
            (
                one
                for one in self._kept.there().values()
                if (one.holder, one.client_id) == (holder, client_id) and not _is_over(one, at_ms)
            ),
            None,
        )

    async def put(self, session: KeptSession) -> None:
        if not self._kept.has(session.holder):
            return
        others = [
            one
            for one in self._kept.there().values()
            if one.holder == session.holder and one.id != session.id
        ]
        for same in [one for one in others if one.client_id == session.client_id]:
            self._kept.delete(same.id)
            others.remove(same)
        away = [one for one in others if one.expires_at_ms is not None]
        away.sort(key=lambda one: (one.expires_at_ms, one.id))
        too_many = max(len(others) + 1 - self._limits.sessions_per_holder, 0)
        for other in away[:too_many]:
            self._kept.delete(other.id)
        self._kept.sessions[session.id] = session

    async def mark(self, sessions: Sequence[KeptSession]) -> None:
        for marked in sessions:
            kept = self._kept.there().get(marked.id)
            if kept is not None:
                came_to = {one.filter: one.after for one in marked.subscriptions}
                self._kept.sessions[kept.id] = replace(
                    kept,
                    expires_after_s=marked.expires_after_s,
                    expires_at_ms=marked.expires_at_ms,
                    subscriptions=tuple(
                        replace(one, after=came_to.get(one.filter, one.after))
                        for one in kept.subscriptions
                    ),
                )

    async def delete(self, session_id: str) -> None:
        self._kept.delete(session_id)

    async def away(self, *, at_ms: int, after: str, limit: int) -> list[KeptSession]:
        for session in list(self._kept.there().values()):
            if session.expires_at_ms is None:
                expires_at_ms = at_ms + session.expires_after_s * 1_000
                self._kept.sessions[session.id] = replace(session, expires_at_ms=expires_at_ms)
        return [
            session
            for session_id, session in sorted(self._kept.sessions.items())
            if session_id > after and not _is_over(session, at_ms)
        ][:limit]

    async def gone(self, *, at_ms: int, limit: int) -> list[str]:
        expired = [one.id for one in self._kept.there().values() if _is_over(one, at_ms)]
        for session_id in expired[:limit]:
            self._kept.delete(session_id)
        return sorted(self._kept.gone)[:limit]

    async def cross_off(self, session_ids: Sequence[str]) -> None:
        self._kept.gone.difference_update(session_ids)


class MemoryWaitingMessageStore:
    """Keeps what waits in sessions."""

    def __init__(self, kept: KeptClients, limits: KeptSessionLimits) -> None:
        self._kept = kept
        self._limits = limits

    async def add_messages(
        self, messages: Sequence[tuple[str, WaitingMessage]], *, at_ms: int
    ) -> int:
        dropped = 0
        for session_id, message in messages:
            session = self._kept.there().get(session_id)
            if session is None or _is_over(session, at_ms):
                continue
            self._kept.last_number += 1
            waiting = self._kept.messages.setdefault(session_id, [])
            waiting.append(replace(message, number=self._kept.last_number))
            while (
                len(waiting) > self._limits.messages
                or sum(map(_size, waiting)) > self._limits.message_bytes
            ):
                waiting.pop(0)
                dropped += 1
        return dropped

    async def messages(self, session_id: str, *, after: int, limit: int) -> list[WaitingMessage]:
        self._kept.there()
        waiting = self._kept.messages.get(session_id, [])
        return [message for message in waiting if message.number > after][:limit]

    async def drop_messages(self, session_id: str, *, up_to: int) -> None:
        waiting = self._kept.messages.get(session_id, [])
        waiting[:] = [message for message in waiting if message.number > up_to]


class MemoryDeliveries:
    """What is remembered of packets, by session; tests fill `packets` themselves."""

    def __init__(self) -> None:
        self.packets: dict[str, set[int]] = {}

    def release(self, session_id: str, packet_id: int) -> "Future[None]":
        self.packets.get(session_id, set()).discard(packet_id)
        future: Future[None] = get_running_loop().create_future()
        future.set_result(None)
        return future

    async def open_ids(self, session_id: str) -> list[int]:
        return sorted(self.packets.get(session_id, ()))

    async def forget(self, session_id: str) -> None:
        self.packets.pop(session_id, None)


def _is_over(session: KeptSession, at_ms: int) -> bool:
    return session.expires_at_ms is not None and session.expires_at_ms <= at_ms


def _size(message: WaitingMessage) -> int:
    return len(message.topic.encode()) + len(message.payload)
