"""When a thing is silent: without network it goes on measuring, without power it does not.

Time is cut into stretches; each holds one outage at most, wholly inside it. So the outage
at any instant is found without looking further back than the stretch it lies in.
"""

from dataclasses import dataclass
from enum import StrEnum

from thingstead.simulation.signals import Chance

_SHORTEST_MS = 60_000
_NETWORK_SHARE = 0.30
_POWER_SHARE = 0.05
# One stretch in this many brings a restart for certain, which bounds the search for the last.
_STRETCHES_PER_RESTART = 24


class Cause(StrEnum):
    """Why nothing is heard of a thing."""

    NETWORK = "network"
    POWER = "power"


@dataclass(frozen=True, slots=True)
class Outage:
    """A silence, `start_ms <= time < end_ms`; at least a minute long."""

    start_ms: int
    end_ms: int
    cause: Cause


class Outages:
    """All the silences of one thing, for all time."""

    def __init__(self, chance: Chance) -> None:
        self._kind = chance.named("kind")
        self._start = chance.named("start")
        self._length = chance.named("length")
        self._stretch_ms = int(chance.between(40, 80)) * 60_000
        self._restart = int(chance.between(0, _STRETCHES_PER_RESTART, 1))

    def during(self, at_ms: int) -> Outage | None:
        """Return the outage that the instant lies in."""
        outage = self._of_stretch(at_ms // self._stretch_ms)
        return outage if outage and outage.start_ms <= at_ms < outage.end_ms else None

    def ended_within(self, after_ms: int, until_ms: int) -> Outage | None:
        """Return the newest outage with `after_ms < end <= until_ms`.

        The span is shorter than a stretch, as that between two transmissions is.
        """
        newest = until_ms // self._stretch_ms
        for stretch in (newest, newest - 1):
            outage = self._of_stretch(stretch)
            if outage and after_ms < outage.end_ms <= until_ms:
                return outage
        return None

    def last_start_ms(self, at_ms: int) -> int:
        """Return when the thing was last switched on, at or before the instant."""
        stretch = at_ms // self._stretch_ms
        while True:
            outage = self._of_stretch(stretch)
            if outage and outage.cause is Cause.POWER and outage.end_ms <= at_ms:
                return outage.end_ms
            stretch -= 1

    def _of_stretch(self, stretch: int) -> Outage | None:
        cause = self._cause(stretch)
        if cause is None:
            return None
        start_share = self._start.between(0.05, 0.60, stretch)
        start_ms = int((stretch + start_share) * self._stretch_ms)
        longest_ms = self._stretch_ms * 0.25
        length_ms = int(self._length.between(_SHORTEST_MS, longest_ms, stretch))
        return Outage(start_ms, start_ms + length_ms, cause)

    def _cause(self, stretch: int) -> Cause | None:
        kind = self._kind.uniform(stretch)
        if stretch % _STRETCHES_PER_RESTART == self._restart or kind < _POWER_SHARE:
            return Cause.POWER
        return Cause.NETWORK if kind < _POWER_SHARE + _NETWORK_SHARE else None
