"""Subscriptions whose end loses nothing that was told to them: somebody keeps it elsewhere."""

import pytest

from thingstead.bus.memory import MemoryBus
from thingstead.features.live.model import End, LiveEvent
from thingstead.features.live.subscription import (
    LiveCounts,
    LiveLimits,
    Overflow,
    Subscription,
    SubscriptionEndedError,
)
from thingstead.features.values.model import StoredValue
from thingstead.kernel.ids import ThingId

THING = ThingId("one")
LIMITS = LiveLimits(queued_events=2, queued_bytes=1_000)
# About as much more may wait for who takes it away.
LATEST = 8


def event(sequence, value=1):
    return LiveEvent(THING, sequence, (StoredValue("t", value, 0),))


@pytest.fixture
def bus():
    return MemoryBus()


@pytest.fixture
def subscription(bus):
    one = Subscription(bus, LIMITS, LiveCounts(), lambda _: None)
    one.overflow = Overflow.KEEP
    one.follow((THING,))
    return one


def left(subscription):
    return [event.sequence for event in subscription.left()]


def publish(bus, *sequences):
    for sequence in sequences:
        bus.publish(event(sequence))


def test_what_was_queued_and_what_comes_until_it_is_closed_is_left(bus, subscription):
    publish(bus, 1, 2, 3, 4)

    assert subscription.ended is End.OVERFLOW
    with pytest.raises(SubscriptionEndedError):
        subscription.take()
    assert left(subscription) == [1, 2, 3, 4]
    assert left(subscription) == []


@pytest.mark.parametrize("end", [End.SHUTDOWN, End.INTERRUPTED])
def test_so_it_is_when_the_server_ends_it(bus, subscription, end):
    publish(bus, 1)
    subscription.end(end)
    publish(bus, 2)

    assert left(subscription) == [1, 2]


@pytest.mark.parametrize("end", [End.REVOKED, End.CLOSED])
def test_who_may_not_listen_or_has_left_is_left_nothing(bus, subscription, end):
    publish(bus, 1)
    subscription.end(end)
    publish(bus, 2)

    assert left(subscription) == []


def test_who_leaves_is_left_nothing_more(bus, subscription):
    publish(bus, 1, 2, 3)
    subscription.leave()
    publish(bus, 4)

    assert left(subscription) == []


@pytest.mark.parametrize(("count", "first"), [(LATEST, 1), (LATEST + 1, 2)])
def test_of_too_much_the_newest_stays(bus, subscription, count, first):
    publish(bus, *range(1, count + 1))

    assert left(subscription) == list(range(first, count + 1))


def test_of_too_many_bytes_the_newest_stay(bus, subscription):
    subscription.end(End.SHUTDOWN)
    for sequence in range(1, 7):
        bus.publish(event(sequence, "x" * (1_000 - 81)))

    assert left(subscription) == [3, 4, 5, 6]


def test_what_is_not_accepted_or_held_is_not_kept(bus, subscription):
    subscription.end(End.SHUTDOWN)
    subscription.accepts = lambda one: one.sequence != 2
    publish(bus, 1, 2)
    subscription.hold()
    publish(bus, 3)

    assert left(subscription) == [1]


def test_others_are_left_nothing(bus, subscription):
    subscription.overflow = Overflow.CLOSE
    publish(bus, 1, 2, 3, 4)

    assert left(subscription) == []
