"""What the kinds of simulated thing measure: greenhouse, meter, tracker, freezer.

Each answers for any instant what it would measure then (`signals.py` says why). When it
sends that, and what happens to it on the way, is `fleet.py`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from thingstead.features.values.model import Position
from thingstead.simulation.signals import (
    HOUR_S,
    Chance,
    Refill,
    Sine,
    Wave,
    battery,
    daily,
    drift,
    hour_of_day,
)

Reading = float | int | bool | str
_TURN = 2 * math.pi
_METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """One reading of one resource: what, when, and where when the thing moves."""

    key: str
    value: Reading
    at_ms: int
    position: Position | None = None


class Instrument(Protocol):
    """Measures what a kind of thing measures."""

    def readings(self, at_ms: int) -> dict[str, Reading]:
        """Return every resource's reading."""
        ...

    def position(self, at_ms: int) -> Position | None:
        """Return where it is, or None when it stays where it was put."""
        ...


class Greenhouse:
    """Climate and soil under glass: warm and dry by day, watered every other day."""

    def __init__(self, chance: Chance) -> None:
        self._temperature = Wave(
            chance.between(19, 24), (daily(6.5, 14.5), *drift(1.5, chance.named("temperature")))
        )
        self._humidity = Wave(
            chance.between(58, 68, 1), (daily(-14, 14.5), *drift(5, chance.named("humidity")))
        )
        self._clouds = Wave(0.75, drift(0.22, chance.named("clouds")))
        drying_s = chance.between(34, 52, 2) * HOUR_S
        self._soil = Refill(52, 27, drying_s, 0.02, chance.between(0, drying_s, 3))
        self._battery = battery(chance.named("battery"))
        self._noise = chance.named("noise")

    def readings(self, at_ms: int) -> dict[str, Reading]:
        """Return degrees Celsius, percent, percent, lux and percent."""
        at_s = at_ms / 1_000
        noise = self._noise.noise(at_ms)
        daylight = max(0.0, math.sin(math.pi * (hour_of_day(at_s) - 6.5) / 13))
        return {
            "temperature": round(self._temperature.at(at_s) + noise * 0.12, 2),
            "humidity": round(min(99.0, self._humidity.at(at_s) - noise * 0.5), 1),
            "soil_moisture": round(self._soil.at(at_s) + noise * 0.15, 1),
            "light": round(daylight * 62_000 * self._clouds.at(at_s) * (1 + noise * 0.01)),
            "battery": round(self._battery.at(at_s), 1),
        }

    def position(self, at_ms: int) -> None:  # noqa: ARG002
        """Return None: it stays."""
        return


class Meter:
    """An electricity meter: two peaks a day; its energy counter starts anew with the meter."""

    def __init__(self, chance: Chance, last_start_ms: Callable[[int], int]) -> None:
        self._last_start_ms = last_start_ms
        # The mean exceeds all swings together, so that the energy counter never runs backwards.
        swings = (daily(170, 19), Sine(110, 12 * HOUR_S, 0.6), *drift(90, chance.named("power")))
        self._power = Wave(chance.between(450, 900), swings)
        self._noise = chance.named("noise")

    def readings(self, at_ms: int) -> dict[str, Reading]:
        """Return watts, and kilowatt hours since the last start."""
        at_s = at_ms / 1_000
        joules = self._power.area(self._last_start_ms(at_ms) / 1_000, at_s)
        return {
            "power": round(self._power.at(at_s) + self._noise.noise(at_ms) * 6, 1),
            "energy": round(joules / 3_600_000, 4),
        }

    def position(self, at_ms: int) -> None:  # noqa: ARG002
        """Return None: it stays."""
        return


class Tracker:
    """A van on a round trip shaped like an eight, which stops at its customers."""

    def __init__(self, chance: Chance, place: Position) -> None:
        self._place = place
        self._north_degrees = chance.between(0.018, 0.036)
        self._east_degrees = chance.between(0.020, 0.040, 1)
        self._lean = chance.between(0.2, 1.2, 2)
        self._loop_s = chance.between(2_700, 5_400, 3)
        self._stop_s = chance.between(240, 540, 4)
        self._battery = battery(chance.named("battery"))

    def readings(self, at_ms: int) -> dict[str, Reading]:
        """Return kilometres an hour, degrees clockwise from north, and percent."""
        at_s = at_ms / 1_000
        angle = self._angle(at_s)
        pace = _TURN / self._loop_s * (1 - math.cos(_TURN * at_s / self._stop_s))
        north = self._north_degrees * math.cos(angle) * pace * _METRES_PER_DEGREE
        narrowing = math.cos(math.radians(self._place.lat))
        east = 2 * self._east_degrees * math.cos(2 * angle + self._lean) * pace
        east *= _METRES_PER_DEGREE * narrowing
        return {
            "speed": round(math.hypot(north, east) * 3.6, 1),
            "heading": round(math.degrees(math.atan2(east, north)) % 360) % 360,
            "battery": round(self._battery.at(at_s), 1),
        }

    def position(self, at_ms: int) -> Position:
        """Return the point of the path."""
        angle = self._angle(at_ms / 1_000)
        return Position(
            lat=round(self._place.lat + self._north_degrees * math.sin(angle), 6),
            long=round(self._place.long + self._east_degrees * math.sin(2 * angle + self._lean), 6),
        )

    def _angle(self, at_s: float) -> float:
        """Return the progress; its pace sinks to nothing once in `stop_s`."""
        waiting = self._stop_s / _TURN * math.sin(_TURN * at_s / self._stop_s)
        return _TURN / self._loop_s * (at_s - waiting)


class Freezer:
    """A shop's freezer: a compressor that cycles, a door that customers open, defrosting."""

    _VISIT_S = 600
    _DEFROST_EVERY_S = 8 * HOUR_S
    _DEFROST_S = 900.0

    def __init__(self, chance: Chance) -> None:
        self._mean = Wave(chance.between(-21, -18), drift(0.6, chance.named("temperature")))
        self._cycle_s = chance.between(1_200, 2_100, 1)
        self._defrost_offset_s = chance.between(0, self._DEFROST_EVERY_S, 2)
        self._visits = chance.named("visits")
        self._noise = chance.named("noise")

    def readings(self, at_ms: int) -> dict[str, Reading]:
        """Return degrees Celsius, whether the door is open, and what the compressor does."""
        at_s = at_ms / 1_000
        defrosting_s = (at_s + self._defrost_offset_s) % self._DEFROST_EVERY_S
        cycle = at_s % self._cycle_s / self._cycle_s
        is_cooling = cycle < 0.45
        swing = 1 - 2 * cycle / 0.45 if is_cooling else 2 * (cycle - 0.45) / 0.55 - 1
        state, defrost = "cooling" if is_cooling else "idle", 0.0
        if defrosting_s < self._DEFROST_S:
            state, defrost = "defrost", 4 * math.sin(math.pi * defrosting_s / self._DEFROST_S)
        temperature = self._mean.at(at_s) + swing * 0.9 + defrost + self._warmth(at_s)
        return {
            "temperature": round(temperature + self._noise.noise(at_ms) * 0.05, 2),
            "door": self._is_open(at_s),
            "compressor": state,
        }

    def position(self, at_ms: int) -> None:  # noqa: ARG002
        """Return None: it stays."""
        return

    def _is_open(self, at_s: float) -> bool:
        visit = self._visit(int(at_s // self._VISIT_S))
        return visit is not None and visit[0] <= at_s < visit[1]

    def _warmth(self, at_s: float) -> float:
        """Return by how many degrees the door's latest openings still warm it."""
        newest = int(at_s // self._VISIT_S)
        total = 0.0
        for number in (newest, newest - 1, newest - 2):
            visit = self._visit(number)
            if visit is None or at_s < visit[0]:
                continue
            rise = 0.05 * (min(at_s, visit[1]) - visit[0])
            total += rise * math.exp(-max(0.0, at_s - visit[1]) / 240)
        return total

    def _visit(self, number: int) -> tuple[float, float] | None:
        """Return when the door opens and closes in that span of ten minutes, if it does."""
        hour = hour_of_day(number * self._VISIT_S)
        if self._visits.uniform(number * 3) > (0.4 if 7 <= hour < 22 else 0.03):
            return None
        start_s = number * self._VISIT_S + self._visits.between(30, 400, number * 3 + 1)
        return start_s, start_s + self._visits.between(15, 70, number * 3 + 2)
