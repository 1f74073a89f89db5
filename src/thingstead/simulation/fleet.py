"""A fleet of simulated things, and what each transmits when.

Pure: a transmission follows from the seed, the thing's number and the time alone, so two
fleets with one seed are identical, and a thing does not change when the fleet grows. Who
carries the transmissions to a server is `demo.py` and `remote.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from thingstead.features.values.model import Position
from thingstead.simulation.kinds import (
    Freezer,
    Greenhouse,
    Instrument,
    Measurement,
    Meter,
    Tracker,
)
from thingstead.simulation.outages import Cause, Outage, Outages
from thingstead.simulation.signals import Chance

KINDS: Final = ("greenhouse", "meter", "tracker", "freezer")
VALUES_PER_BATCH: Final = 100
# Madrid: the nearest sea is far, so that no greenhouse floats.
_CENTRE = Position(40.4168, -3.7038)
_SPREAD_DEGREES = 0.09
_SHORTEST_INTERVAL_MS = 2_000
_LONGEST_INTERVAL_MS = 10_000
_JITTER_SHARE = 0.4
_BUFFERED_EVERY_MS = 15_000
_REPEATED_SHARE = 0.01
_BUFFERED_REPEATED_SHARE = 0.30


@dataclass(frozen=True, slots=True)
class Batch:
    """What one write carries: 1 to 100 measurements.

    `is_dated` tells a thing that sends its own times from one that leaves them to the server.
    """

    measurements: tuple[Measurement, ...]
    is_dated: bool


@dataclass(frozen=True, slots=True)
class Transmission:
    """One contact with the server: its batches are sent in order, each as one write."""

    at_ms: int
    batches: tuple[Batch, ...]


class SimulatedThing:
    """One thing: its name, kind, settings and place, and what it transmits."""

    def __init__(self, seed: int, number: int) -> None:
        chance = Chance(f"{seed}/{number}")
        self.number: Final = number
        self.kind: Final = KINDS[number % len(KINDS)]
        self.name: Final = f"{self.kind.capitalize()} {number // len(KINDS) + 1}"
        self.place: Final = Position(
            lat=round(_CENTRE.lat + chance.between(-_SPREAD_DEGREES, _SPREAD_DEGREES, 1), 5),
            long=round(_CENTRE.long + chance.between(-_SPREAD_DEGREES, _SPREAD_DEGREES, 2), 5),
        )
        self._interval_ms = int(chance.between(_SHORTEST_INTERVAL_MS, _LONGEST_INTERVAL_MS, 3))
        self._has_clock = chance.uniform(4) < 0.3
        self._outages = Outages(chance.named("outages"))
        self._instrument = self._made(chance.named(self.kind))
        self._jitter = chance.named("jitter")
        self._repeats = chance.named("repeats")

    @property
    def settings(self) -> dict[str, object]:
        """What the thing tells about itself once, for `$settings`."""
        return {
            "name": self.name,
            "kind": self.kind,
            "fleet_number": self.number,
            "interval_s": round(self._interval_ms / 1_000, 1),
        }

    def next(self, now_ms: int) -> Transmission:
        """Return the first transmission after the instant."""
        slot = self._slot_from(now_ms + 1)
        outage = self._outages.during(self._slot_ms(slot))
        if outage is not None:
            slot = self._slot_from(outage.end_ms)
        return self._transmission(slot)

    def greeting(self, at_ms: int) -> Transmission:
        """Return what the thing sends when it is switched on at that instant."""
        boot = Measurement("boot", "power-on", at_ms)
        batch = Batch((boot, *self.measured(at_ms)), self._has_clock)
        return Transmission(at_ms, (batch,))

    def measured(self, at_ms: int) -> tuple[Measurement, ...]:
        """Return what it measures at that instant, whether it sends it or not."""
        position = self._instrument.position(at_ms)
        return tuple(
            Measurement(key, value, at_ms, position)
            for key, value in self._instrument.readings(at_ms).items()
        )

    def history(self, after_ms: int, until_ms: int, every_ms: int) -> Iterator[Batch]:
        """Yield what was measured after one instant and until another, in ascending order.

        Taken at whole multiples of `every_ms`, so that overlapping spans hold exactly the same
        measurements; without the times at which the thing had no power.
        """
        return _batches(
            measurement
            for at_ms in range((after_ms // every_ms + 1) * every_ms, until_ms + 1, every_ms)
            for measurement in self._recorded(at_ms)
        )

    def _recorded(self, at_ms: int) -> tuple[Measurement, ...]:
        outage = self._outages.during(at_ms)
        if outage is not None and outage.cause is Cause.POWER:
            return ()
        return self.measured(at_ms)

    def _slot_from(self, at_ms: int) -> int:
        """Return the first slot whose time is at or after the instant."""
        slot = at_ms // self._interval_ms - 1
        while self._slot_ms(slot) < at_ms:
            slot += 1
        return slot

    def _slot_ms(self, slot: int) -> int:
        return int((slot + _JITTER_SHARE * self._jitter.uniform(slot)) * self._interval_ms)

    def _transmission(self, slot: int) -> Transmission:
        at_ms = self._slot_ms(slot)
        outage = self._outages.ended_within(self._slot_ms(slot - 1), at_ms)
        measured = self.measured(at_ms)
        buffered: tuple[Batch, ...] = ()
        if outage is not None and outage.cause is Cause.NETWORK:
            buffered = tuple(self._buffered(outage))
        elif outage is not None:
            measured = (Measurement("boot", "power-on", outage.end_ms), *measured)
        share = _BUFFERED_REPEATED_SHARE if buffered else _REPEATED_SHARE
        is_repeated = self._repeats.uniform(slot) < share
        # A batch is sent twice when its acknowledgement was lost. Its values carry their
        # times, because only then can the server tell a repeat from a second measurement.
        is_dated = self._has_clock or (is_repeated and not buffered)
        batches = (*buffered, Batch(measured, is_dated))
        return Transmission(at_ms, (batches[0], *batches) if is_repeated else batches)

    def _buffered(self, outage: Outage) -> Iterator[Batch]:
        """Yield what was kept during the outage; a small memory keeps one reading of several."""
        return _batches(
            measurement
            for at_ms in range(outage.start_ms, outage.end_ms, _BUFFERED_EVERY_MS)
            for measurement in self.measured(at_ms)
        )

    def _made(self, chance: Chance) -> Instrument:
        """Return the instrument of the thing's kind."""
        if self.kind == "greenhouse":
            return Greenhouse(chance)
        if self.kind == "meter":
            return Meter(chance, self._outages.last_start_ms)
        if self.kind == "tracker":
            return Tracker(chance, self.place)
        return Freezer(chance)


class Fleet:
    """Simulated things, numbered from 0; the kinds take turns."""

    def __init__(self, seed: int, things: int = 20) -> None:
        self.things: Final = tuple(SimulatedThing(seed, number) for number in range(things))


def _batches(measurements: Iterable[Measurement]) -> Iterator[Batch]:
    remaining = iter(measurements)
    while batch := tuple(islice(remaining, VALUES_PER_BATCH)):
        yield Batch(batch, is_dated=True)
