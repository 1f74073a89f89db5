"""Which clients that are away want what is relayed about a thing: in memory, for a quick look."""

from collections.abc import Mapping, Sequence

from thingstead.features.kept_sessions.model import KeptSubscription

ByThing = Mapping[str, Sequence[KeptSubscription]]
"""By a thing's id: the subscriptions of one session that want what is relayed about it."""


class Away:
    """The subscriptions of sessions whose clients are away, by the thing that they are about."""

    def __init__(self) -> None:
        self._by_thing: dict[str, dict[str, tuple[KeptSubscription, ...]]] = {}
        self._things: dict[str, tuple[str, ...]] = {}

    def put(self, session_id: str, by_thing: ByThing) -> None:
        """Have the session be away with these subscriptions only."""
        self.drop(session_id)
        wanted = {thing_id: tuple(some) for thing_id, some in by_thing.items() if some}
        if not wanted:
            return
        self._things[session_id] = tuple(wanted)
        for thing_id, subscriptions in wanted.items():
            self._by_thing.setdefault(thing_id, {})[session_id] = subscriptions

    def mark(self, session_id: str) -> object:
        """Return what is another object whenever the session was put here anew."""
        return self._things.get(session_id)

    def drop(self, session_id: str) -> None:
        """Forget the session; twice is the same as once."""
        for thing_id in self._things.pop(session_id, ()):
            sessions = self._by_thing[thing_id]
            del sessions[session_id]
            if not sessions:
                del self._by_thing[thing_id]

    def about(self, thing_id: str) -> list[tuple[str, KeptSubscription]]:
        """Return who wants what is relayed about the thing: ids of sessions, each subscription."""
        sessions = self._by_thing.get(thing_id)
        if sessions is None:
            return []
        return [(session_id, one) for session_id, some in sessions.items() for one in some]
