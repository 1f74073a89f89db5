"""Simulated time against real time."""

import asyncio

import pytest

from doubles.clock import ManualClock
from thingstead.simulation.pace import RealPace


@pytest.fixture(name="clock")
def _clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(name="stop")
def _stop() -> asyncio.Event:
    return asyncio.Event()


async def test_sent_times_are_squeezed_by_the_speed(clock, stop):
    pace = RealPace(clock, stop, speed=60)
    start_ms = pace.start_ms()

    assert pace.real_ms(start_ms + 60_000) == start_ms + 1_000
    assert pace.real_ms(start_ms - 60_000) == start_ms - 1_000


async def test_an_instant_that_has_come_is_not_waited_for(clock, stop):
    pace = RealPace(clock, stop, speed=60)
    clock.advance(1)

    assert await pace.until(pace.start_ms() + 60_000)


async def test_an_instant_soon_to_come_is_waited_for(clock, stop):
    pace = RealPace(clock, stop, speed=1_000)

    assert await pace.until(pace.start_ms() + 5_000)


async def test_a_stop_ends_every_wait(clock, stop):
    pace = RealPace(clock, stop)
    waiting = asyncio.create_task(pace.pause(3_600))
    await asyncio.sleep(0)

    stop.set()

    assert not await waiting
    assert not await pace.pause(0)


async def test_the_run_ends_after_its_duration(clock, stop):
    pace = RealPace(clock, stop, duration_s=10)

    clock.advance(10)

    assert not await pace.pause(0)
    assert not await pace.until(pace.start_ms())


async def test_a_wait_beyond_the_end_lasts_only_until_the_end(clock, stop):
    pace = RealPace(clock, stop, duration_s=0.005)

    assert not await pace.pause(3_600)
