"""Time as a value that is passed in.

Code that needs the time takes a `Clock`, so that tests can set it. Two clocks, never mixed:
`now_ms` for stamps that are stored, `monotonic` for waits and budgets (a step of the wall
clock must not lengthen or shorten those).
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970 in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that only goes forward."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970 in UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds on a clock that only goes forward."""
        return time.monotonic()
