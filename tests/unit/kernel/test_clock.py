"""The machine's clocks."""

import time

from thingstead.kernel.clock import SystemClock


def test_now_is_the_wall_clock_in_milliseconds():
    before = time.time_ns() // 1_000_000

    now_ms = SystemClock().now_ms()

    assert before <= now_ms <= time.time_ns() // 1_000_000


def test_the_monotonic_clock_does_not_go_back():
    clock = SystemClock()

    assert clock.monotonic() <= clock.monotonic()
