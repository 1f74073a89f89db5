"""Subscriptions: what reaches whom, what is lost to whom, and why one ends."""

import asyncio

import pytest

from thingstead.bus.memory import MemoryBus
from thingstead.features.live.model import End, LiveEvent, Wake
from thingstead.features.live.service import Live
from thingstead.features.live.subscription import (
    LiveCounts,
    LiveLimits,
    Subscription,
    SubscriptionEndedError,
)
from thingstead.features.values.model import StoredValue
from thingstead.kernel.errors import OverloadedError, TooManyStreamsError
from thingstead.kernel.ids import ThingId, UserId

THING, OTHER_THING, USER = ThingId("one"), ThingId("two"), UserId("user")
LONG = 3_600.0
WEIGHT = 80 + 1 + 8


def event(sequence, thing=THING, value=1):
    return LiveEvent(thing, sequence, (StoredValue("t", value, 0),))


@pytest.fixture
def bus():
    return MemoryBus()


@pytest.fixture
def live(bus):
    return Live(bus, LiveLimits())


def subscription(**limits):
    """One that is never pushed to, so nothing is ever scheduled."""
    return Subscription(MemoryBus(), LiveLimits(**limits), LiveCounts(), pytest.fail)


async def waiting(one):
    """Return a task that waits for the subscription's next event already."""
    task = asyncio.create_task(one.next(LONG))
    await asyncio.sleep(0)
    return task


async def ended(one):
    with pytest.raises(SubscriptionEndedError) as end:
        await one.next(0)
    return end.value.reason


# One subscription.


async def test_events_come_in_the_order_delivered():
    one = subscription()
    for sequence in range(5):
        one.deliver(event(sequence))

    assert [(await one.next(LONG)).sequence for _ in range(5)] == list(range(5))


async def test_an_event_wakes_who_waits_for_it():
    one = subscription()
    task = await waiting(one)

    one.deliver(event(7))

    assert (await task).sequence == 7


async def test_two_events_at_once_wake_once_and_come_both():
    one = subscription()
    task = await waiting(one)

    one.deliver(event(1))
    one.deliver(event(2))

    assert (await task).sequence == 1
    assert (await one.next(LONG)).sequence == 2


async def test_nothing_for_as_long_as_asked_is_a_keep_alive():
    assert await subscription().next(0) is Wake.KEEP_ALIVE


async def test_after_a_keep_alive_events_come_as_before():
    one = subscription()
    await one.next(0)

    one.deliver(event(1))

    assert (await one.next(LONG)).sequence == 1


async def test_as_many_events_may_wait_as_the_limit_and_one_more_ends_it():
    one = subscription(queued_events=3)
    for sequence in range(3):
        one.deliver(event(sequence))
    assert (await one.next(LONG)).sequence == 0
    one.deliver(event(3))

    one.deliver(event(4))

    assert await ended(one) is End.OVERFLOW


async def test_as_many_bytes_may_wait_as_the_limit_and_one_more_ends_it():
    fits = subscription(queued_bytes=2 * WEIGHT)
    too_small = subscription(queued_bytes=2 * WEIGHT - 1)

    for one in (fits, too_small):
        one.deliver(event(1))
        one.deliver(event(2))

    assert (await fits.next(LONG)).sequence == 1
    assert await ended(too_small) is End.OVERFLOW


async def test_events_taken_make_room_in_bytes():
    one = subscription(queued_bytes=WEIGHT)

    for sequence in range(5):
        one.deliver(event(sequence))
        assert (await one.next(LONG)).sequence == sequence


async def test_one_event_larger_than_the_limit_comes_when_nothing_else_waits():
    one = subscription(queued_bytes=1)

    one.deliver(event(1))

    assert (await one.next(LONG)).sequence == 1


async def test_what_was_queued_before_the_end_is_gone():
    one = subscription()
    one.deliver(event(1))

    one.end(End.REVOKED)

    assert await ended(one) is End.REVOKED


async def test_the_end_wakes_who_waits():
    one = subscription()
    task = await waiting(one)

    one.end(End.REVOKED)

    with pytest.raises(SubscriptionEndedError, match="the right to listen has ended"):
        await task


async def test_the_first_reason_of_an_end_stays():
    one = subscription()
    one.end(End.OVERFLOW)

    one.end(End.SHUTDOWN)

    assert await ended(one) is End.OVERFLOW
    assert await ended(one) is End.OVERFLOW


async def test_events_after_the_end_are_not_heard_of():
    one = subscription()
    one.end(End.SHUTDOWN)

    one.deliver(event(1))

    assert await ended(one) is End.SHUTDOWN


async def test_a_recheck_comes_once_and_before_any_event():
    one = subscription()
    one.deliver(event(1))

    one.recheck()

    assert await one.next(LONG) is Wake.RECHECK
    assert (await one.next(LONG)).sequence == 1
    assert await one.next(0) is Wake.KEEP_ALIVE


async def test_a_recheck_wakes_who_waits():
    one = subscription()
    task = await waiting(one)

    one.recheck()

    assert await task is Wake.RECHECK


async def test_the_end_comes_before_a_recheck():
    one = subscription()
    one.recheck()

    one.end(End.REVOKED)

    assert await ended(one) is End.REVOKED


async def test_an_event_during_a_cancelled_wait_is_not_lost():
    one = subscription()
    task = await waiting(one)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    one.deliver(event(1))

    assert (await one.next(LONG)).sequence == 1


# All of them.


async def test_a_subscriber_hears_of_its_thing_only(live, bus):
    with live.subscribe(THING) as one:
        bus.publish(event(1, OTHER_THING))
        bus.publish(event(2))

        assert (await one.next(LONG)).sequence == 2


async def test_every_subscriber_of_a_thing_hears_every_event(live, bus):
    with live.subscribe(THING) as one, live.subscribe(THING) as other:
        bus.publish(event(1))

        assert (await one.next(LONG)) is (await other.next(LONG))


async def test_a_slow_subscriber_loses_its_subscription_and_nobody_else_notices(bus):
    live = Live(bus, LiveLimits(queued_events=2))
    with live.subscribe(THING) as slow, live.subscribe(THING) as quick:
        for sequence in range(5):
            bus.publish(event(sequence))
            assert (await quick.next(LONG)).sequence == sequence

        assert await ended(slow) is End.OVERFLOW


async def test_who_left_hears_of_nothing_and_is_not_counted(live, bus):
    with live.subscribe(THING) as one:
        assert len(live) == 1

    bus.publish(event(1))

    assert await ended(one) is End.CLOSED
    assert len(live) == 0
    assert not bus.has_listener(THING)


async def test_leaving_by_an_error_gives_the_place_free_too(live, bus):
    with pytest.raises(RuntimeError, match="gone"), live.subscribe(THING):
        raise RuntimeError("gone")

    assert len(live) == 0
    assert not bus.has_listener(THING)


async def test_others_stay_when_one_leaves(live, bus):
    with live.subscribe(THING) as stays:
        with live.subscribe(THING):
            pass

        bus.publish(event(1))

        assert (await stays.next(LONG)).sequence == 1
        assert len(live) == 1


def test_a_thing_may_have_as_many_streams_as_the_limit_and_no_more(bus):
    live = Live(bus, LiveLimits(streams_per_thing=2))

    with live.subscribe(THING), live.subscribe(THING):
        with pytest.raises(TooManyStreamsError, match="at most 2 for one thing") as refused:
            live.subscribe(THING).__enter__()
        with live.subscribe(OTHER_THING):
            assert len(live) == 3

    assert refused.value.retry_after_s == 60
    with live.subscribe(THING):
        assert len(live) == 1


def test_the_server_may_have_as_many_streams_as_the_limit_and_no_more(bus):
    live = Live(bus, LiveLimits(streams=2))

    with (
        live.subscribe(THING),
        live.subscribe(OTHER_THING),
        pytest.raises(OverloadedError, match="2 streams are open") as refused,
    ):
        live.subscribe(ThingId("three")).__enter__()

    assert refused.value.retry_after_s == 60


def test_a_user_may_have_as_many_streams_as_the_limit_and_no_more(bus):
    live = Live(bus, LiveLimits(streams_per_user=2))

    with live.subscribe_user(USER) as one, live.subscribe_user(USER):
        with pytest.raises(TooManyStreamsError, match="at most 2 for one user") as refused:
            live.open_user(USER)
        assert one.holder == USER

    assert refused.value.retry_after_s == 60


async def test_what_was_opened_without_a_context_is_closed_once(live, bus):
    one, other = live.open(THING), live.open(THING)
    bus.publish(event(1))

    live.close(one)
    live.close(one)

    assert (await other.next(LONG)).sequence == 1
    assert await ended(one) is End.CLOSED
    assert len(live) == 1


async def test_a_users_subscription_follows_what_it_is_told_and_nothing_else(live, bus):
    with live.subscribe_user(USER) as one:
        bus.publish(event(1))
        one.follow((THING, OTHER_THING))
        bus.publish(event(2))
        one.follow((OTHER_THING,))
        bus.publish(event(3))
        bus.publish(event(4, OTHER_THING))

        assert [(await one.next(LONG)).sequence for _ in range(2)] == [2, 4]
        assert not bus.has_listener(THING)


async def test_who_accepts_only_some_events_hears_of_those(live, bus):
    with live.subscribe(THING) as one:
        one.accepts = lambda event: event.sequence % 2 == 0
        for sequence in range(1, 5):
            bus.publish(event(sequence))

        assert [(await one.next(LONG)).sequence for _ in range(2)] == [2, 4]


async def test_what_waits_and_is_no_longer_accepted_is_left_out(live, bus):
    with live.subscribe(THING) as one:
        for sequence in range(1, 5):
            bus.publish(event(sequence))
        one.sift()
        one.accepts = lambda event: event.sequence % 2 == 0
        one.sift()

        assert [event.sequence for event in one.take()] == [2, 4]


async def test_a_recheck_reaches_every_subscriber(live):
    with live.subscribe(THING) as one, live.subscribe(OTHER_THING) as other:
        live.recheck()

        assert await one.next(LONG) is Wake.RECHECK
        assert await other.next(LONG) is Wake.RECHECK


async def test_a_recheck_of_one_holder_reaches_no_other(live):
    with live.subscribe(THING) as one, live.subscribe(OTHER_THING) as other:
        live.recheck(THING)
        live.recheck("of nobody")

        assert await one.next(0) is Wake.RECHECK
        assert await other.next(0) is Wake.KEEP_ALIVE


async def test_a_stream_that_ended_because_it_was_slow_is_logged_with_the_reason(bus, caplog):
    caplog.set_level("INFO")
    live = Live(bus, LiveLimits(queued_events=1))
    with live.subscribe(THING), live.subscribe(OTHER_THING):
        bus.publish(event(1))
        bus.publish(event(2))

    assert [record.getMessage() for record in caplog.records] == [
        f"a live stream of {THING} ended: the subscriber read too slowly"
    ]


async def test_what_happened_is_counted(bus):
    live = Live(bus, LiveLimits(queued_events=1))
    with live.subscribe(THING), live.subscribe(THING) as other:
        bus.publish(event(1))
        await other.next(LONG)
        bus.publish(event(2))

    assert live.counts.queued == 4
    assert live.counts.ends == {End.OVERFLOW: 1, End.CLOSED: 1}


async def test_stopping_ends_every_subscription(live):
    with live.subscribe(THING) as one, live.subscribe(OTHER_THING) as other:
        live.stop()

        assert await ended(one) is End.SHUTDOWN
        assert await ended(other) is End.SHUTDOWN


def test_after_stopping_nobody_can_subscribe(live):
    live.stop()

    with pytest.raises(OverloadedError, match="the server is stopping") as refused:
        live.subscribe(THING).__enter__()

    assert refused.value.retry_after_s == 5
