"""Subscriptions with bounded queues.

A subscriber that reads too slowly loses its subscription, with the reason, and nobody else
notices: delivering is an append to a bounded queue and never waits. What a subscriber may
hear was decided when it subscribed; when that may have changed, it is woken to check again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from thingstead.features.live.model import End, Wake
from thingstead.features.live.ports import Bus, Event
from thingstead.kernel.errors import OverloadedError, TooManyStreamsError
from thingstead.kernel.ids import ThingId, UserId


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """How many may listen, and how much may wait for each."""

    streams_per_thing: int = 100
    streams_per_user: int = 50
    streams: int = 20_000
    queued_events: int = 256
    queued_bytes: int = 256 * 1024


class SubscriptionEndedError(Exception):
    """The subscription is over; `reason` says why. Events queued before are gone."""

    def __init__(self, reason: End) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Subscription:
    """One listener's queue. Events of a topic come in commit order; `next` takes one by one.

    `accepts`, when there is one, chooses among the events of the topics before they are queued.
    """

    __slots__ = (
        "_bus",
        "_end",
        "_limits",
        "_queue",
        "_queued_bytes",
        "_recheck",
        "_topics",
        "_waiter",
        "accepts",
    )

    def __init__(self, bus: Bus, limits: LiveLimits) -> None:
        self._bus = bus
        self._limits = limits
        self._topics: frozenset[str] = frozenset()
        self._queue: deque[Event] = deque()
        self._queued_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._end: End | None = None
        self._recheck = False
        self.accepts: Callable[[Event], bool] | None = None

    def follow(self, topics: Iterable[str]) -> None:
        """Listen to these topics and no others from now on; what is queued stays queued."""
        wanted = frozenset(topics)
        for topic in self._topics - wanted:
            self._bus.unlisten(topic, self.deliver)
        for topic in wanted - self._topics:
            self._bus.listen(topic, self.deliver)
        self._topics = wanted

    def deliver(self, event: Event) -> None:
        """Queue the event, or end the subscription when the queue is full."""
        if self.accepts is not None and not self.accepts(event):
            return
        weight = event.weight()
        limits = self._limits
        if len(self._queue) >= limits.queued_events or (
            self._queue and self._queued_bytes + weight > limits.queued_bytes
        ):
            self.end(End.OVERFLOW)
            return
        self._queue.append(event)
        self._queued_bytes += weight
        self._wake()

    def end(self, reason: End) -> None:
        """End the subscription; the first reason stays."""
        if self._end is None:
            self._end = reason
            self._queue.clear()
            self._wake()

    def recheck(self) -> None:
        """Have `next` return `Wake.RECHECK` before any further event."""
        self._recheck = True
        self._wake()

    async def next(self, patience_s: float) -> Event | Wake:
        """Return the next event, or why there is none after at most `patience_s` seconds.

        Raises:
            SubscriptionEndedError: the subscription has ended.
        """
        if self._end is None and not self._recheck and not self._queue:
            await self._wait(patience_s)
        if self._end is not None:
            raise SubscriptionEndedError(self._end)
        if self._recheck:
            self._recheck = False
            return Wake.RECHECK
        if not self._queue:
            return Wake.KEEP_ALIVE
        event = self._queue.popleft()
        self._queued_bytes -= event.weight()
        return event

    async def _wait(self, patience_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(patience_s, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Live:
    """Opens subscriptions and keeps count of them."""

    def __init__(self, bus: Bus, limits: LiveLimits) -> None:
        self._bus = bus
        self._limits = limits
        self._open: dict[str, set[Subscription]] = {}
        self._count = 0
        self._is_stopping = False

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def subscribe(self, thing_id: ThingId) -> Iterator[Subscription]:
        """Open a subscription to a thing; every event committed from now on reaches it.

        Raises:
            TooManyStreamsError: the thing has as many as it may.
            OverloadedError: the process has as many as it may, or is stopping.
        """
        most = self._limits.streams_per_thing
        with self._opened(thing_id, f"at most {most} for one thing", most) as subscription:
            subscription.follow((thing_id,))
            yield subscription

    @contextmanager
    def subscribe_user(self, user_id: UserId) -> Iterator[Subscription]:
        """Open a subscription of a user's, which follows nothing yet.

        Raises:
            TooManyStreamsError: the user has as many as they may.
            OverloadedError: the process has as many as it may, or is stopping.
        """
        most = self._limits.streams_per_user
        with self._opened(user_id, f"at most {most} for one user", most) as subscription:
            yield subscription

    @contextmanager
    def _opened(self, holder: str, limit: str, most: int) -> Iterator[Subscription]:
        self._check_room(holder, limit, most)
        subscription = Subscription(self._bus, self._limits)
        self._open.setdefault(holder, set()).add(subscription)
        self._count += 1
        try:
            yield subscription
        finally:
            subscription.follow(())
            self._count -= 1
            listeners = self._open[holder]
            listeners.discard(subscription)
            if not listeners:
                del self._open[holder]

    def recheck(self, holder: str | None = None) -> None:
        """Have the subscribers of one thing or user, or all, check whether they may listen."""
        concerned = self._open.values() if holder is None else [self._open.get(holder, set())]
        for listeners in concerned:
            for subscription in listeners:
                subscription.recheck()

    def stop(self) -> None:
        """End every subscription and open no more."""
        self._is_stopping = True
        for listeners in list(self._open.values()):
            for subscription in listeners:
                subscription.end(End.SHUTDOWN)

    def _check_room(self, holder: str, limit: str, most: int) -> None:
        if self._is_stopping:
            raise OverloadedError("the server is stopping", retry_after_s=5)
        if len(self._open.get(holder, ())) >= most:
            raise TooManyStreamsError(limit, retry_after_s=60)
        if self._count >= self._limits.streams:
            raise OverloadedError(f"{self._limits.streams} streams are open", retry_after_s=60)
