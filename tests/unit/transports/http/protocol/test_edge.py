"""Counts, the date line and the sweeper."""

import asyncio
import math

from thingstead.transports.http.protocol import ConnectionCounts, DateLine, Sweeper


def test_an_address_is_forgotten_with_its_last_connection():
    counts = ConnectionCounts()
    counts.admit("a")
    counts.admit("a")
    counts.admit(None)

    counts.release("a")
    assert (counts.total, counts.for_address("a"), counts.addresses) == (2, 1, 1)
    counts.release("a")
    counts.release(None)

    assert (counts.total, counts.for_address("a"), counts.addresses) == (0, 0, 0)


def test_the_date_is_made_once_a_second():
    seconds = iter([0.0, 0.9, 1.0])
    date = DateLine(lambda: next(seconds))

    first, second, third = date.now(), date.now(), date.now()

    assert first == b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    assert second is first
    assert third == b"Date: Thu, 01 Jan 1970 00:00:01 GMT\r\n"


class ManualLoop:
    """A loop whose time stands still until a test turns it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.booked: list[tuple] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay, callback, *arguments):
        self.booked.append((self.now + delay, callback, arguments))
        return object()

    def run_until(self, when: float) -> None:
        while self.booked and self.booked[0][0] <= when:
            self.now, callback, arguments = self.booked.pop(0)
            callback(*arguments)
        self.now = when


class Watched:
    def __init__(self, deadline=math.inf, stall_deadline=math.inf) -> None:
        self.deadline = deadline
        self.stall_deadline = stall_deadline
        self.passed: list[float] = []

    def deadline_passed(self, now: float) -> None:
        self.passed.append(now)
        self.deadline = self.stall_deadline = math.inf


def test_one_timer_sweeps_all_and_stops_with_the_last():
    loop, sweeper = ManualLoop(), Sweeper(1.0)
    early, late, stalled, never = Watched(2.5), Watched(9.0), Watched(9.0, 3.0), Watched()
    for one in (early, late, stalled, never):
        sweeper.watch(one, loop)
    assert len(loop.booked) == 1

    loop.run_until(8.5)
    assert (early.passed, late.passed, stalled.passed, never.passed) == ([3.0], [], [3.0], [])

    for one in (early, late, stalled, never):
        sweeper.forget(one)
    loop.run_until(20.0)
    assert loop.booked == []

    sweeper.watch(never, loop)
    assert len(loop.booked) == 1


async def test_a_failing_connection_does_not_end_the_sweeps():
    loop = asyncio.get_running_loop()
    swept, failed = asyncio.Event(), asyncio.Event()
    loop.set_exception_handler(lambda _, context: failed.set())
    sweeper, failing = Sweeper(0.001), Watched(0.0)
    failing.deadline_passed = lambda now: (setattr(failing, "deadline", math.inf), 1 / 0)
    other = Watched()
    other.deadline_passed = lambda now: swept.set()
    sweeper.watch(failing, loop)
    sweeper.watch(other, loop)

    async with asyncio.timeout(10):
        await failed.wait()
        other.deadline = 0.0
        await swept.wait()

    sweeper.forget(failing)
    sweeper.forget(other)
