"""Opens subscriptions, counts them, and calls those that have something to take.

A subscriber that reads too slowly loses its subscription, with the reason, and nobody else
notices: delivering is an append to a bounded queue and never waits. What a subscriber may
hear was decided when it subscribed; when that may have changed, it is woken to check again.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from thingstead.features.live.model import End
from thingstead.features.live.ports import Bus
from thingstead.features.live.subscription import LiveCounts, LiveLimits, Subscription
from thingstead.kernel.errors import OverloadedError, TooManyStreamsError
from thingstead.kernel.ids import ThingId, UserId

_log = logging.getLogger(__name__)


class Live:
    """Opens subscriptions and keeps count of them."""

    def __init__(self, bus: Bus, limits: LiveLimits) -> None:
        self._bus = bus
        self._limits = limits
        self.counts = LiveCounts()
        self._due: list[Subscription] = []
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
        subscription = self._open_for(holder, limit, most)
        try:
            yield subscription
        finally:
            self.close(subscription)

    def open(self, thing_id: ThingId) -> Subscription:
        """Open a subscription as `subscribe` does, for a subscriber who calls `close` itself."""
        most = self._limits.streams_per_thing
        subscription = self._open_for(thing_id, f"at most {most} for one thing", most)
        subscription.follow((thing_id,))
        return subscription

    def open_user(self, user_id: UserId) -> Subscription:
        """Open a subscription as `subscribe_user` does; the subscriber calls `close` itself."""
        most = self._limits.streams_per_user
        return self._open_for(user_id, f"at most {most} for one user", most)

    def _open_for(self, holder: str, limit: str, most: int) -> Subscription:
        self._check_room(holder, limit, most)
        subscription = Subscription(
            self._bus, self._limits, self.counts, self._schedule, holder=holder
        )
        self._open.setdefault(holder, set()).add(subscription)
        self._count += 1
        return subscription

    def close(self, subscription: Subscription) -> None:
        """Let go of a subscription; of one that is closed already nothing happens."""
        holder = subscription.holder
        listeners = self._open.get(holder, set())
        if subscription not in listeners:
            return
        if subscription.ended is End.OVERFLOW:
            _log.info("a live stream of %s ended: %s", holder, End.OVERFLOW.value)
        subscription.leave()
        self._count -= 1
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

    def _schedule(self, subscription: Subscription) -> None:
        if not self._due:
            asyncio.get_running_loop().call_soon(self._call_due)
        self._due.append(subscription)

    def _call_due(self) -> None:
        due, self._due = self._due, []
        for subscription in due:
            try:
                subscription.call()
            except Exception:  # noqa: BLE001  # Supervises the pushing: one subscriber ends here.
                _log.exception("a live subscriber failed")
                subscription.end(End.CLOSED)

    def _check_room(self, holder: str, limit: str, most: int) -> None:
        if self._is_stopping:
            raise OverloadedError("the server is stopping", retry_after_s=5)
        if len(self._open.get(holder, ())) >= most:
            raise TooManyStreamsError(limit, retry_after_s=60)
        if self._count >= self._limits.streams:
            raise OverloadedError(f"{self._limits.streams} streams are open", retry_after_s=60)
