"""The one way in for values, and the way out.

`submit` checks a write, hands it to the store, and returns the store's future, which
resolves after the durable commit; nothing is acknowledged before. What was committed is
announced on the bus in commit order, and only where somebody listens.
"""

from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import replace

from thingstead.features.live.model import LiveEvent
from thingstead.features.live.ports import Bus
from thingstead.features.things.model import Thing
from thingstead.features.values.checks import WriteChecker, WriteLimits
from thingstead.features.values.errors import ResourceNotFoundError
from thingstead.features.values.model import (
    Appended,
    Delivery,
    DocumentChange,
    IncomingWrite,
    MagicEcho,
    Reading,
    StoredValue,
    Window,
    Write,
)
from thingstead.features.values.ports import ValueStore
from thingstead.kernel.budget import Budgets, Rate
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import InvalidLimitError, TooManyRequestsError
from thingstead.kernel.ids import ThingId


class Values:
    """Writes and reads values of things whose right to do so was checked before."""

    def __init__(
        self,
        store: ValueStore,
        bus: Bus,
        clock: Clock,
        *,
        limits: WriteLimits,
        rate: Rate,
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._checker = WriteChecker(limits)
        self._rates: Budgets[ThingId] = Budgets(rate)
        store.on_commit(self._announce)

    def submit(
        self, thing: Thing, incoming: IncomingWrite, *, is_broadcast: bool = True
    ) -> "Future[Appended]":
        """Check and queue a write; see `submit_encoded`."""
        return self.submit_encoded(thing, lambda: incoming, is_broadcast=is_broadcast)

    def submit_encoded(
        self,
        thing: Thing,
        decode: Callable[[], IncomingWrite],
        *,
        is_broadcast: bool = True,
        delivery: Delivery | None = None,
    ) -> "Future[Appended]":
        """Decode, check and queue a write; the future resolves after the durable commit.

        With a `delivery`, a packet that was stored before is not stored again, and its
        `Appended` says `is_repeat`. The rate is looked at first: a thing that writes too often
        must not cost the time that decoding takes, up to half a second for a body at its limit.

        Raises:
            ThingsteadError: the write is wrong, or came too soon; nothing is stored. The
                errors that only the store can find come from the future (`ValueStore.append`).
        """
        self._check_rate(thing.id)
        write = self._checker.checked(
            thing, decode(), self._clock.now_ms(), is_broadcast=is_broadcast
        )
        if delivery is not None:
            write = replace(write, delivery=delivery)
        return self._store.append(write)

    def submit_change(self, thing: Thing, change: DocumentChange) -> "Future[Appended]":
        """Queue a change of one document, such as a description."""
        self._check_rate(thing.id)
        echo = (MagicEcho(change.name, change.value),)
        return self._store.append(Write(thing.id, (), (change,), echo, epochs=thing.epochs))

    async def read(self, thing: Thing, key: str, window: Window) -> Reading:
        """Return the values in the window, newest first, of the epochs that may be seen.

        Raises:
            ResourceNotFoundError: the thing has never written that key in these epochs.
        """
        reading = await self._store.newest(thing.id, thing.epochs, key, window)
        if reading is None:
            raise ResourceNotFoundError
        return reading

    async def keys(self, thing: Thing) -> list[str]:
        """Return the keys written in the epochs that may be seen, in alphabetical order."""
        return await self._store.keys(thing.id, thing.epochs)

    async def check(self) -> None:
        """Raise what keeps values from being written or read, if anything does."""
        await self._store.check()

    def _check_rate(self, thing_id: ThingId) -> None:
        wait = self._rates.take(thing_id, self._clock.monotonic())
        if wait > 0:
            raise TooManyRequestsError(
                f"at most {self._rates.rate.per_second:g} writes of one thing in a second",
                retry_after_s=int(wait) + 1,
            )

    def _announce(self, committed: Sequence[tuple[Write, Appended]]) -> None:
        has_listener = self._bus.has_listener
        for write, appended in committed:
            if write.is_broadcast and has_listener(write.thing_id) and not appended.is_repeat:
                entries = _entries(write, appended)
                if entries:
                    self._bus.publish(
                        LiveEvent(write.thing_id, appended.sequence, entries, write.epochs[-1])
                    )


def _entries(write: Write, appended: Appended) -> tuple[StoredValue | MagicEcho, ...]:
    """Return what subscribers see of a write: without the repeats, in the order sent."""
    order = range(len(write.values)) if write.echo is None else write.echo
    entries: list[StoredValue | MagicEcho] = []
    for item in order:
        if isinstance(item, MagicEcho):
            entries.append(item)
        elif item not in appended.repeats:
            value = write.values[item]
            entries.append(StoredValue(value.key, value.value, value.at_ms, value.position))
    return tuple(entries)


def window_limit(text: str | None, *, default: int = 1, most: int = 100) -> int:
    """Return the `limit` that a query names; larger ones than `most` are treated as `most`.

    Raises:
        InvalidLimitError: it is no whole number, or less than 1.
    """
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or len(text) > 18 or int(text) < 1:
        raise InvalidLimitError(f"expected a whole number from 1 to {most}")
    return min(int(text), most)
