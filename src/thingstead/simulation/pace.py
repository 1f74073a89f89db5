"""How simulated time passes while real time does: the speed, the end, and waiting.

At speed 60 a simulated minute takes a second. Times that are sent are squeezed likewise, so
that no value lies in the server's future.
"""

import asyncio
from typing import Protocol

from thingstead.kernel.clock import Clock


class Pace(Protocol):
    """Says when a simulated instant has come."""

    def start_ms(self) -> int:
        """Return the simulated instant at which the run starts, which is also the real one."""
        ...

    def real_ms(self, simulated_ms: int) -> int:
        """Return the real time at which the simulated instant falls."""
        ...

    async def until(self, simulated_ms: int) -> bool:
        """Wait for the simulated instant; return False when the run ends before it comes."""
        ...

    async def pause(self, seconds: float) -> bool:
        """Wait in real time; return False when the run ends meanwhile."""
        ...


class RealPace:
    """Waits in real time; ends after `duration_s` (0: never) or when `stop` is set."""

    def __init__(
        self, clock: Clock, stop: asyncio.Event, *, speed: float = 1.0, duration_s: float = 0.0
    ) -> None:
        self._clock = clock
        self._stop = stop
        self._speed = speed
        self._start_ms = clock.now_ms()
        self._start = clock.monotonic()
        self._end = self._start + duration_s if duration_s > 0 else float("inf")

    def start_ms(self) -> int:
        """Return the simulated instant at which the run starts, which is also the real one."""
        return self._start_ms

    def real_ms(self, simulated_ms: int) -> int:
        """Return the real time at which the simulated instant falls."""
        return self._start_ms + round((simulated_ms - self._start_ms) / self._speed)

    async def until(self, simulated_ms: int) -> bool:
        """Wait for the simulated instant; return False when the run ends before it comes."""
        due = self._start + (simulated_ms - self._start_ms) / 1_000 / self._speed
        return await self.pause(due - self._clock.monotonic())

    async def pause(self, seconds: float) -> bool:
        """Wait in real time; return False when the run ends meanwhile."""
        left = self._end - self._clock.monotonic()
        is_stopped = await self._is_stopped_within(min(seconds, left))
        return not is_stopped and max(seconds, 0.0) < left

    async def _is_stopped_within(self, seconds: float) -> bool:
        if seconds > 0 and not self._stop.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._stop.wait()
            except TimeoutError:
                return False
        return self._stop.is_set()
