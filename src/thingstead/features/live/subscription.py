"""One listener's bounded queue, and how it learns that there is something in it.

Delivering is an append and never waits. A subscriber either waits for one event after the
other (`next`), or is called when there is something to take (`push_to`, `take`): then no task
belongs to it, and what came within one turn of the event loop is taken at once.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from thingstead.features.live.conflation import conflated
from thingstead.features.live.model import End, Wake
from thingstead.features.live.ports import Bus, Event


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """How many may listen, and how much may wait for each."""

    streams_per_thing: int = 100
    streams_per_user: int = 50
    streams: int = 20_000
    queued_events: int = 256
    queued_bytes: int = 256 * 1024


@dataclass(slots=True)
class LiveCounts:
    """What happened since the start: events queued, values conflated, streams ended by reason."""

    queued: int = 0
    conflated: int = 0
    ends: Counter[End] = field(default_factory=Counter)


class Overflow(Enum):
    """What happens to a subscriber whose queue is full."""

    CLOSE = "its subscription ends"
    CONFLATE = "of each key of each thing only the newest value stays"
    KEEP = "its subscription ends, and what it did not take stays for who keeps it elsewhere"


# After these ends the subscriber may still have what it was told, and will come again for it.
_KEPT_ENDS = frozenset({End.OVERFLOW, End.SHUTDOWN, End.INTERRUPTED})
_KEPT_QUEUES = 4


class SubscriptionEndedError(Exception):
    """The subscription is over; `reason` says why. Events queued before are gone."""

    def __init__(self, reason: End) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Subscription:
    """One listener's queue. Events of a topic come in commit order.

    `accepts`, when there is one, chooses among the events of the topics before they are queued.
    """

    __slots__ = (
        "_bus",
        "_counts",
        "_end",
        "_floor",
        "_held_to",
        "_is_due",
        "_limits",
        "_queue",
        "_queued_bytes",
        "_ready",
        "_recheck",
        "_schedule",
        "_topics",
        "_waiter",
        "accepts",
        "holder",
        "overflow",
        "rechecks",
    )

    def __init__(
        self,
        bus: Bus,
        limits: LiveLimits,
        counts: LiveCounts,
        schedule: "Callable[[Subscription], None]",
        *,
        holder: str = "",
    ) -> None:
        self.holder = holder
        self._bus = bus
        self._limits = limits
        self._counts = counts
        self._schedule = schedule
        self._topics: frozenset[str] = frozenset()
        # A list takes 56 bytes while it is empty, a deque 760; and it never grows long.
        self._queue: list[Event] = []
        self._queued_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._end: End | None = None
        self._recheck = False
        self.rechecks = 0
        """How often the right to listen had to be checked again; only to be compared."""
        self._ready: Callable[[], None] | None = None
        self._is_due = False
        self._held_to: int | None = None
        self._floor = -1
        self.accepts: Callable[[Event], bool] | None = None
        self.overflow = Overflow.CLOSE

    def follow(self, topics: Iterable[str]) -> None:
        """Listen to these topics and no others from now on; what is queued stays queued."""
        wanted = frozenset(topics)
        for topic in self._topics - wanted:
            self._bus.unlisten(topic, self.deliver)
        for topic in wanted - self._topics:
            self._bus.listen(topic, self.deliver)
        self._topics = wanted

    def deliver(self, event: Event) -> None:
        """Queue the event, or do what `overflow` says when the queue is full."""
        if self.accepts is not None and not self.accepts(event):
            return
        if self._end is not None:
            self._keep_late(event)
            return
        if event.sequence <= self._floor:
            return
        if self._held_to is not None:
            self._held_to = max(self._held_to, event.sequence)
            return
        weight = event.weight()
        queue = self._queue
        queue.append(event)
        self._queued_bytes += weight
        self._counts.queued += 1
        limits = self._limits
        # A single event may be larger than the bound, which is for what piles up.
        if len(queue) > limits.queued_events or (
            self._queued_bytes > limits.queued_bytes and len(queue) > 1
        ):
            self._make_room()
        self._wake()

    @property
    def _is_kept(self) -> bool:
        return self.overflow is Overflow.KEEP and self._end in _KEPT_ENDS

    def _keep_late(self, event: Event) -> None:
        """Keep what comes after the end, if it is to be kept; of too much the newest."""
        if not self._is_kept or self._held_to is not None:
            return
        queue, limits = self._queue, self._limits
        queue.append(event)
        self._queued_bytes += event.weight()
        while len(queue) > 1 and (
            len(queue) > limits.queued_events * _KEPT_QUEUES
            or self._queued_bytes > limits.queued_bytes * _KEPT_QUEUES
        ):
            self._queued_bytes -= queue.pop(0).weight()

    def _make_room(self) -> None:
        limits = self._limits
        if self.overflow is Overflow.CONFLATE:
            self._queue, dropped = conflated(self._queue)
            self._counts.conflated += dropped
            self._queued_bytes = sum(event.weight() for event in self._queue)
            # Half of it must be free, or the next event would cost a look at all of them again.
            is_roomy = (
                len(self._queue) <= limits.queued_events // 2
                and self._queued_bytes <= limits.queued_bytes // 2
            )
            if is_roomy or len(self._queue) == 1:
                return
        self.end(End.OVERFLOW)

    def end(self, reason: End) -> None:
        """End the subscription; the first reason stays."""
        if self._end is None:
            self._end = reason
            self._counts.ends[reason] += 1
            if not self._is_kept:
                self._clear()
            self._wake()

    def _clear(self) -> None:
        self._queue.clear()
        self._queued_bytes = 0

    def left(self) -> list[Event]:
        """Return what was not taken, in order, for who keeps it elsewhere; asked twice, once.

        With `Overflow.KEEP` also what came since the subscription ended, unless it ended because
        the subscriber left or may not listen; some times as much as the queue holds, the newest.
        """
        events, self._queue = self._queue, []
        self._queued_bytes = 0
        return events

    def leave(self) -> None:
        """Listen no longer, and call nobody again."""
        self._ready = None
        self.follow(())
        self.end(End.CLOSED)
        self._clear()

    @property
    def ended(self) -> End | None:
        """Why the subscription ended, None while it has not."""
        return self._end

    def recheck(self) -> None:
        """Have the subscriber check its right before any further event."""
        self._recheck = True
        self.rechecks += 1
        self._wake()

    def takes_recheck(self) -> bool:
        """Return whether the right to listen must be checked again; asked twice, once."""
        is_due, self._recheck = self._recheck, False
        return is_due

    def hold(self) -> None:
        """Queue nothing until `release`; only how far the events went is noted."""
        self._held_to = -1

    @property
    def held_to(self) -> int:
        """The highest sequence among the events since `hold`, -1 when there was none."""
        return -1 if self._held_to is None else self._held_to

    def release(self) -> None:
        """Queue events again."""
        self._held_to = None

    def start_after(self, sequence: int) -> None:
        """Leave out every event up to that sequence, those that are queued already too.

        The subscriber knows them from the store, which can show a write before it is announced.
        """
        self._floor = sequence
        self._keep(lambda event: event.sequence > sequence)

    def sift(self) -> None:
        """Leave out what is queued and no longer accepted; for after `accepts` was changed."""
        accepts = self.accepts
        if accepts is not None:
            self._keep(accepts)

    def _keep(self, is_wanted: Callable[[Event], bool]) -> None:
        self._queue = [event for event in self._queue if is_wanted(event)]
        self._queued_bytes = sum(event.weight() for event in self._queue)

    def push_to(self, ready: Callable[[], None]) -> None:
        """Have `ready` called, at most once a turn of the loop, when there is something to take.

        That is an event, the end, or a recheck. It must not raise; what does not take is
        called again with the next event or by `poke`.
        """
        self._ready = ready
        self._wake()

    def poke(self) -> None:
        """Have `ready` called again, if there is anything to take."""
        if self._queue or self._recheck or self._end is not None:
            self._wake()

    @property
    def waiting(self) -> int:
        """How many events are queued."""
        return len(self._queue)

    def take(self, most: int = 64) -> list[Event]:
        """Return what is queued, in order, at most `most`; empty when there is nothing.

        Raises:
            SubscriptionEndedError: the subscription has ended.
        """
        if self._end is not None:
            raise SubscriptionEndedError(self._end)
        events = self._queue
        if len(events) <= most:
            self._queue = []
            self._queued_bytes = 0
            return events
        self._queue = events[most:]
        del events[most:]
        for event in events:
            self._queued_bytes -= event.weight()
        self._wake()
        return events

    def call(self) -> None:
        """Call `ready`, having been scheduled; from then on it can be scheduled again."""
        self._is_due = False
        if self._ready is not None:
            self._ready()

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
        event = self._queue.pop(0)
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
        if self._ready is not None:
            if not self._is_due:
                self._is_due = True
                self._schedule(self)
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
