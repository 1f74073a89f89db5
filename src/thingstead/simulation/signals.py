"""Curves and chance that depend on nothing but a seed and a point in time.

Nothing here keeps a state: asked twice for the same instant, it answers the same. A fleet
made of these can start anywhere in time, and a restarted one goes on where it was without
a jump in its charts. Knows nothing of things; `kinds.py` builds those from it.
"""

import hashlib
import math
from dataclasses import dataclass

DAY_S = 86_400.0
HOUR_S = 3_600.0
_TURN = 2 * math.pi


class Chance:
    """Random numbers by place: the same seed, name and place give the same number.

    `random.Random` gives its numbers in the order of the calls; here they are asked for by
    place (a time, the number of a transmission), so no call changes the answer of another.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def named(self, name: str) -> "Chance":
        """Return an independent source below this one."""
        return Chance(f"{self._name}/{name}")

    def uniform(self, place: int = 0) -> float:
        """Return a number from 0 to below 1."""
        return (self._bits(place) >> 11) / (1 << 53)

    def between(self, low: float, high: float, place: int = 0) -> float:
        """Return a number from `low` to below `high`."""
        return low + (high - low) * self.uniform(place)

    def noise(self, place: int) -> float:
        """Return a number with mean 0 and deviation 1, never beyond 3.5.

        The sum of four uniform numbers is close enough to a bell curve, and bounded, so that
        a reading never leaves its plausible range.
        """
        bits = self._bits(place)
        total = sum((bits >> shift) & 0xFFFF for shift in (0, 16, 32, 48))
        return (total / 65_535 - 2.0) * math.sqrt(3)

    def _bits(self, place: int) -> int:
        text = f"{self._name}@{place}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


@dataclass(frozen=True, slots=True)
class Sine:
    """One swing: its amplitude, its period in seconds, its phase in radians at 1970."""

    amplitude: float
    period_s: float
    phase: float


@dataclass(frozen=True, slots=True)
class Wave:
    """A mean with swings around it; smooth, and its area is known exactly."""

    mean: float
    sines: tuple[Sine, ...]

    def at(self, at_s: float) -> float:
        """Return the height at that second since 1970."""
        return self.mean + sum(
            sine.amplitude * math.sin(_TURN * at_s / sine.period_s + sine.phase)
            for sine in self.sines
        )

    def area(self, from_s: float, until_s: float) -> float:
        """Return the integral over the time between, in units times seconds."""
        swings = sum(
            sine.amplitude
            * sine.period_s
            / _TURN
            * (
                math.cos(_TURN * from_s / sine.period_s + sine.phase)
                - math.cos(_TURN * until_s / sine.period_s + sine.phase)
            )
            for sine in self.sines
        )
        return self.mean * (until_s - from_s) + swings


def daily(amplitude: float, peak_hour: float) -> Sine:
    """Return a swing that is highest at that hour (UTC) of every day."""
    return Sine(amplitude, DAY_S, math.pi / 2 - _TURN * peak_hour / 24)


def drift(amplitude: float, chance: Chance) -> tuple[Sine, ...]:
    """Return slow swings that together stay within `amplitude` and never seem to repeat."""
    return tuple(
        Sine(
            amplitude / 3,
            chance.between(low * HOUR_S, high * HOUR_S, number),
            chance.between(0, _TURN, number + 10),
        )
        for number, (low, high) in enumerate(((1.1, 1.9), (2.6, 4.3), (6.1, 9.7)))
    )


def hour_of_day(at_s: float) -> float:
    """Return the hour of the day in UTC, from 0 to below 24."""
    return at_s % DAY_S / HOUR_S


@dataclass(frozen=True, slots=True)
class Refill:
    """Runs down from full to empty, then is filled again: a battery, or watered soil."""

    full: float
    empty: float
    period_s: float
    filling_share: float
    offset_s: float

    def at(self, at_s: float) -> float:
        """Return the level at that second."""
        share = (at_s + self.offset_s) % self.period_s / self.period_s
        running_share = 1.0 - self.filling_share
        if share < running_share:
            missing = share / running_share
        else:
            missing = 1.0 - (share - running_share) / self.filling_share
        return self.full - (self.full - self.empty) * missing


def battery(chance: Chance) -> Refill:
    """Return a battery, in percent, that lasts a day or two and is charged in a few hours."""
    period_s = chance.between(28, 50) * HOUR_S
    return Refill(
        full=chance.between(96, 100, 1),
        empty=chance.between(14, 30, 2),
        period_s=period_s,
        filling_share=0.08,
        offset_s=chance.between(0, period_s, 3),
    )
