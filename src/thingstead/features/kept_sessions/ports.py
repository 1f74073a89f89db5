"""What keeping sessions needs from storage."""

from collections.abc import Sequence
from typing import Protocol

from thingstead.features.kept_sessions.model import (
    Holder,
    KeptSession,
    WaitingMessage,
)


class KeptSessionStore(Protocol):
    """Keeps sessions; every change is durable on return.

    Client ids and filters may hold tokens, so they are kept sealed and given back as they were. A
    session that cannot be opened any more, because another key closed it, counts as none.
    """

    async def find(self, holder: Holder, client_id: str, *, at_ms: int) -> KeptSession | None:
        """Return the session, None when there is none or it has expired."""
        ...

    async def put(self, session: KeptSession) -> None:
        """Add the session, or replace what is kept of it; its messages stay.

        Another session of the same holder and client id goes. When the holder has too many, those
        that expire first go; connected ones stay. For a holder that was deleted nothing is kept.
        """
        ...

    async def mark(self, sessions: Sequence[KeptSession]) -> None:
        """Note of each session when it expires, and how far its subscriptions came.

        All in one transaction. Sessions and filters that are not kept are passed over.
        """
        ...

    async def delete(self, session_id: str) -> None:
        """Forget the session and what waits in it; of an unknown one nothing happens."""
        ...

    async def away(self, *, at_ms: int, after: str, limit: int) -> list[KeptSession]:
        """Count every client as away, and return unexpired sessions, at most `limit`.

        A start begins with it, before anybody connects: sessions that were left connected by a
        server that was killed begin to expire. Ascending by id, behind the one named; none only
        when none is left.
        """
        ...

    async def gone(self, *, at_ms: int, limit: int) -> list[str]:
        """Delete expired sessions; return ids of deleted ones that nobody has crossed off.

        However they were deleted: by a call, with their holder, or for room. At most `limit`.
        """
        ...

    async def cross_off(self, session_ids: Sequence[str]) -> None:
        """Have `gone` tell no more of these; twice is the same as once."""
        ...


class WaitingMessageStore(Protocol):
    """Keeps what waits in sessions; every change is durable on return. Topics are kept sealed."""

    async def add_messages(
        self, messages: Sequence[tuple[str, WaitingMessage]], *, at_ms: int
    ) -> int:
        """Let messages wait in sessions, by session id; return how many were dropped for room.

        All in one transaction. The oldest of a session are dropped when it holds too many, or too
        many bytes. For a session that is gone or has expired nothing is kept, and nothing counts
        as dropped.
        """
        ...

    async def messages(self, session_id: str, *, after: int, limit: int) -> list[WaitingMessage]:
        """Return what waits in the session, ascending by number, those after a number only."""
        ...

    async def drop_messages(self, session_id: str, *, up_to: int) -> None:
        """Forget the messages of the session up to that number, which were delivered."""
        ...
