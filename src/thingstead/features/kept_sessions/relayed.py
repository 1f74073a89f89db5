"""What is relayed without being stored, and waits for clients that are away.

`away_for` says for whom, `keep` stores it, `waiting` gives it. A client that is back stays
away, for `away_for`, until `waiting` found nothing left: so what comes meanwhile is neither lost
nor overtakes what came before.
"""

from collections.abc import Sequence

from thingstead.features.kept_sessions.away import Away, ByThing
from thingstead.features.kept_sessions.batches import Batches
from thingstead.features.kept_sessions.model import KeptSubscription, WaitingMessage
from thingstead.features.kept_sessions.ports import WaitingMessageStore
from thingstead.features.kept_sessions.under_way import UnderWay
from thingstead.kernel.clock import Clock

MOST_WAITING_BYTES = 16 * 1024 * 1024
# About what a message takes in memory beside its payload and its topic.
OVERHEAD_BYTES = 300


class Relayed:
    """Knows who is away, and stores what they miss."""

    def __init__(self, messages: WaitingMessageStore, clock: Clock) -> None:
        self._messages = messages
        self._clock = clock
        self._away = Away()
        self._under_way = UnderWay()
        self._batches: Batches[tuple[str, WaitingMessage]] = Batches(
            self._store, _weight, most=MOST_WAITING_BYTES
        )

    def put(self, session_id: str, by_thing: ByThing) -> None:
        """Have the session be away, wanting what is relayed about these things."""
        self._away.put(session_id, by_thing)

    def drop(self, session_id: str) -> None:
        """Have the session be away no longer; twice is the same as once."""
        self._away.drop(session_id)

    def away_for(self, thing_id: str) -> list[tuple[str, KeptSubscription]]:
        """Return which sessions want what is relayed about the thing, one entry a subscription."""
        return self._away.about(thing_id)

    async def keep(self, messages: Sequence[tuple[str, WaitingMessage]]) -> None:
        """Let messages wait, by session id; durable on return.

        Raises:
            OverloadedError: too much waits to be stored; nothing was.
        """
        if messages:
            with self._under_way.during({session_id for session_id, _ in messages}):
                await self._batches.add(messages)

    async def waiting(self, session_id: str, after: int, limit: int) -> list[WaitingMessage]:
        """Return what waits behind a number; the session is away no longer when that is nothing.

        Unless its client left meanwhile: then it is away anew, whatever was found.
        """
        mark = self._away.mark(session_id)
        while True:
            await self._under_way.ended(session_id)
            with self._under_way.watched(session_id) as watch:
                found = await self._messages.messages(session_id, after=after, limit=limit)
            if found:
                return found
            if watch.is_still:
                if self._away.mark(session_id) is mark:
                    self._away.drop(session_id)
                return []

    async def delivered(self, session_id: str, up_to: int) -> None:
        """Forget the messages up to that number."""
        await self._messages.drop_messages(session_id, up_to=up_to)

    async def _store(self, messages: Sequence[tuple[str, WaitingMessage]]) -> None:
        await self._messages.add_messages(messages, at_ms=self._clock.now_ms())


def _weight(message: tuple[str, WaitingMessage]) -> int:
    return OVERHEAD_BYTES + len(message[1].topic) + len(message[1].payload)
