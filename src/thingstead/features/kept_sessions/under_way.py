"""What is being stored for whom right now, so that a look into the store can be trusted."""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager


class Watch:
    """Whether anything began for a session since somebody looks."""

    __slots__ = ("is_still",)

    def __init__(self) -> None:
        self.is_still = True


class _Ongoing:
    __slots__ = ("count", "ended")

    def __init__(self) -> None:
        self.count = 0
        self.ended = asyncio.Event()


class UnderWay:
    """Counts what is under way for each session."""

    def __init__(self) -> None:
        self._ongoing: dict[str, _Ongoing] = {}
        self._watches: dict[str, set[Watch]] = {}

    @contextmanager
    def during(self, session_ids: Collection[str]) -> Iterator[None]:
        """Have something be under way for each of the sessions while the block runs."""
        for session_id in session_ids:
            self._ongoing.setdefault(session_id, _Ongoing()).count += 1
            for watch in self._watches.get(session_id, ()):
                watch.is_still = False
        try:
            yield
        finally:
            for session_id in session_ids:
                ongoing = self._ongoing[session_id]
                ongoing.count -= 1
                if not ongoing.count:
                    del self._ongoing[session_id]
                    ongoing.ended.set()

    async def ended(self, session_id: str) -> None:
        """Return once nothing is under way for the session."""
        while (ongoing := self._ongoing.get(session_id)) is not None:
            await ongoing.ended.wait()

    @contextmanager
    def watched(self, session_id: str) -> Iterator[Watch]:
        """Tell while the block runs whether anything begins for the session."""
        watch = Watch()
        self._watches.setdefault(session_id, set()).add(watch)
        try:
            yield watch
        finally:
            watches = self._watches[session_id]
            watches.remove(watch)
            if not watches:
                del self._watches[session_id]
