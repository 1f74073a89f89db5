"""Subscribers without a task: called when there is something to take, once a turn."""

import asyncio

import pytest

from thingstead.bus.memory import MemoryBus
from thingstead.features.live.model import End, LiveEvent
from thingstead.features.live.service import Live
from thingstead.features.live.subscription import LiveLimits, SubscriptionEndedError
from thingstead.features.values.model import StoredValue
from thingstead.kernel.ids import ThingId

THING, OTHER_THING = ThingId("one"), ThingId("two")


def event(sequence, thing=THING):
    return LiveEvent(thing, sequence, (StoredValue("t", 1, 0),))


@pytest.fixture
def bus():
    return MemoryBus()


@pytest.fixture
def live(bus):
    return Live(bus, LiveLimits())


class Sink:
    """Takes what there is whenever it is called, unless it is stuck."""

    def __init__(self, subscription, most=64):
        self.subscription = subscription
        self.most = most
        self.is_stuck = False
        self.calls = 0
        self.taken = []
        self.ended = None
        self.rechecks = 0
        subscription.push_to(self.ready)

    def ready(self):
        self.calls += 1
        if self.is_stuck:
            return
        self.rechecks += self.subscription.takes_recheck()
        try:
            self.taken.append([event.sequence for event in self.subscription.take(self.most)])
        except SubscriptionEndedError as ended:
            self.ended = ended.reason


async def turns(count=1):
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
async def sink(live):
    with live.subscribe(THING) as subscription:
        one = Sink(subscription)
        await turns()
        one.calls = 0
        one.taken.clear()
        yield one


async def test_what_came_within_one_turn_is_taken_at_once_by_one_call(sink, bus):
    for sequence in range(3):
        bus.publish(event(sequence))
    assert sink.calls == 0

    await turns()

    assert sink.taken == [[0, 1, 2]]
    assert sink.calls == 1


async def test_each_turn_with_something_to_take_has_a_call_of_its_own(sink, bus):
    for sequence in range(3):
        bus.publish(event(sequence))
        await turns()
    await turns(3)

    assert sink.taken == [[0], [1], [2]]


async def test_who_takes_only_some_is_called_for_the_rest_in_the_next_turn(live, bus):
    with live.subscribe(THING) as subscription:
        one = Sink(subscription, most=2)
        for sequence in range(5):
            bus.publish(event(sequence))

        await turns()
        assert one.taken == [[0, 1]]
        await turns(5)

        assert one.taken == [[0, 1], [2, 3], [4]]


async def test_exactly_as_many_as_wanted_leave_nothing_to_be_called_for(live, bus):
    with live.subscribe(THING) as subscription:
        one = Sink(subscription, most=2)
        for sequence in range(2):
            bus.publish(event(sequence))

        await turns(3)

        assert one.taken == [[0, 1]]


async def test_what_was_queued_before_anybody_was_to_be_called_is_called_for(live, bus):
    with live.subscribe(THING) as subscription:
        bus.publish(event(1))
        one = Sink(subscription)

        await turns()

        assert one.taken == [[1]]


async def test_taking_some_makes_room_for_as_many_bytes(bus):
    live = Live(bus, LiveLimits(queued_bytes=3 * event(1).weight()))
    with live.subscribe(THING) as subscription:
        for sequence in range(3):
            bus.publish(event(sequence))
        subscription.take(2)

        for sequence in range(3, 5):
            bus.publish(event(sequence))
        assert subscription.ended is None
        bus.publish(event(5))

        assert subscription.ended is End.OVERFLOW


async def test_who_cannot_take_is_called_again_by_poking(sink, bus):
    sink.is_stuck = True
    bus.publish(event(1))
    await turns(2)
    sink.is_stuck = False

    sink.subscription.poke()
    sink.subscription.poke()
    await turns(2)

    assert sink.taken == [[1]]
    assert sink.calls == 2


async def test_poking_calls_nobody_when_there_is_nothing_to_take(sink):
    sink.subscription.poke()
    await turns(2)

    assert sink.calls == 0


async def test_poking_tells_of_a_recheck_and_of_the_end_too(sink):
    for happens in (sink.subscription.recheck, lambda: sink.subscription.end(End.REVOKED)):
        sink.is_stuck = True
        happens()
        await turns()
        sink.is_stuck = False
        sink.subscription.poke()
        await turns()

    assert (sink.rechecks, sink.ended) == (1, End.REVOKED)


async def test_the_end_is_called_for_and_raised_with_its_reason(sink, bus):
    bus.publish(event(1))
    sink.subscription.end(End.SHUTDOWN)

    await turns()

    assert (sink.taken, sink.ended) == ([], End.SHUTDOWN)


async def test_a_recheck_is_called_for_and_told_once(sink):
    sink.subscription.recheck()
    await turns()
    sink.subscription.recheck()
    await turns()

    assert sink.rechecks == 2
    assert not sink.subscription.takes_recheck()


async def test_who_left_is_not_called_any_more(live, bus):
    with live.subscribe(THING) as subscription:
        one = Sink(subscription)
        bus.publish(event(1))

    await turns(2)

    assert one.calls == 0


async def test_a_sink_that_fails_ends_and_nobody_else_notices(live, bus, caplog):
    with live.subscribe(THING) as first, live.subscribe(THING) as second:

        def fail():
            raise RuntimeError("broken")

        first.push_to(fail)
        one = Sink(second)
        bus.publish(event(1))
        await turns(3)

        assert first.ended is End.CLOSED
        assert second.ended is None
        assert one.taken == [[1]]
    assert "a live subscriber failed" in caplog.text
