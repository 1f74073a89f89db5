"""One timer that looks at the deadlines of all connections.

A timer object for each request would cost more than the request's parsing; a look at
every connection once a second costs 1 ms for 20,000 of them. It must not know what a
deadline means. Read on in `connection.py`, which sets deadlines and acts on them.
"""

import asyncio
from typing import Protocol


class Sweepable(Protocol):
    """Something with deadlines in seconds of the loop's clock; infinity means none."""

    deadline: float
    stall_deadline: float

    def deadline_passed(self, now: float) -> None:
        """Acts on whichever deadline is not after `now`; called at most once a sweep."""


class Sweeper:
    """Calls `deadline_passed` on watched objects, at most one interval late.

    The timer runs only while something is watched, so nobody has to start or stop it.
    All watched objects live on one loop.
    """

    def __init__(self, interval_seconds: float = 1.0) -> None:
        self._interval_seconds = interval_seconds
        self._watched: set[Sweepable] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, connection: Sweepable, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to look at the deadlines of `connection`; a second call changes nothing."""
        self._watched.add(connection)
        if self._timer is None:
            self._timer = loop.call_later(self._interval_seconds, self._sweep, loop)

    def forget(self, connection: Sweepable) -> None:
        """Stops looking at `connection`; unknown ones are ignored."""
        self._watched.discard(connection)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._watched:
            self._timer = None
            return
        # The next sweep is booked first, so that one failing connection cannot end all sweeps.
        self._timer = loop.call_later(self._interval_seconds, self._sweep, loop)
        now = loop.time()
        for connection in list(self._watched):
            if connection.deadline <= now or connection.stall_deadline <= now:
                connection.deadline_passed(now)
