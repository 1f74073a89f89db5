"""Full queues: of whom the newest values stay, and who ends."""

import pytest

from thingstead.bus.memory import MemoryBus
from thingstead.features.collections.model import Action, ObjectChange, ObjectEvent, StoredObject
from thingstead.features.live.conflation import conflated
from thingstead.features.live.model import End, LiveEvent
from thingstead.features.live.service import Live
from thingstead.features.live.subscription import LiveLimits, Overflow
from thingstead.features.values.model import MagicEcho, StoredValue
from thingstead.kernel.ids import ThingId, UserId

THING, OTHER_THING = ThingId("one"), ThingId("two")


def event(sequence, *pairs, thing=THING, epoch=0):
    entries = tuple(
        MagicEcho(key, value) if key.startswith("$") else StoredValue(key, value, sequence)
        for key, value in pairs
    )
    return LiveEvent(thing, sequence, entries, epoch)


def shown(events):
    return [(e.sequence, [(entry.key, entry.value) for entry in e.entries]) for e in events]


def test_of_each_key_the_newest_stays_where_it_stands():
    kept, dropped = conflated(
        [event(1, ("a", 1), ("b", 1)), event(2, ("a", 2)), event(3, ("c", 3), ("a", 3))]
    )

    assert shown(kept) == [(1, [("b", 1)]), (3, [("c", 3), ("a", 3)])]
    assert dropped == 2


def test_of_a_key_that_one_write_holds_twice_the_last_stays():
    kept, dropped = conflated([event(1, ("a", 1), ("b", 1), ("a", 2))])

    assert shown(kept) == [(1, [("b", 1), ("a", 2)])]
    assert dropped == 1


def test_things_do_not_displace_each_other():
    events = [event(1, ("a", 1)), event(2, ("a", 2), thing=OTHER_THING)]

    assert conflated(events) == (events, 0)


def test_magic_resources_count_by_their_whole_key():
    kept, _ = conflated(
        [event(1, ("$settings.a", 1)), event(2, ("$settings.b", 2)), event(3, ("$settings.a", 3))]
    )

    assert shown(kept) == [(2, [("$settings.b", 2)]), (3, [("$settings.a", 3)])]


def test_what_stays_of_an_event_keeps_its_thing_and_epoch_and_is_encoded_anew():
    first = event(1, ("a", 1), ("b", 1), thing=OTHER_THING, epoch=4)
    first.encodings["json"] = b"both"

    [kept, _], _ = conflated([first, event(2, ("a", 2), thing=OTHER_THING)])

    assert (kept.thing_id, kept.epoch, kept.encodings) == (OTHER_THING, 4, {})


def test_each_change_of_an_object_stays():
    change = ObjectChange(UserId("u"), "rooms", Action.UPDATE, StoredObject("x", "{}"), 1)
    events = [ObjectEvent("collection:u:rooms", change)] * 3

    assert conflated(events) == (events, 0)


@pytest.fixture
def bus():
    return MemoryBus()


def opened(bus, **limits):
    live = Live(bus, LiveLimits(**limits))
    subscription = live.open(THING)
    subscription.overflow = Overflow.CONFLATE
    return live, subscription


def test_a_full_queue_keeps_the_newest_of_each_key_and_goes_on(bus):
    live, subscription = opened(bus, queued_events=4)
    for sequence in range(20):
        bus.publish(event(sequence, ("ab"[sequence % 2], sequence)))

    taken = subscription.take()

    assert subscription.ended is None
    assert shown(taken)[-2:] == [(18, [("a", 18)]), (19, [("b", 19)])]
    assert len(taken) <= 4
    assert live.counts.conflated == 20 - len(taken)


@pytest.mark.parametrize(("keys", "end"), [(4, None), (5, End.OVERFLOW)])
def test_who_has_more_keys_than_half_a_queue_ends_when_it_is_full(bus, keys, end):
    _, subscription = opened(bus, queued_events=8)

    for sequence in range(9):
        bus.publish(event(sequence, (str(sequence % keys), sequence)))

    assert subscription.ended is end


@pytest.mark.parametrize(("spare", "end"), [(0, None), (-1, End.OVERFLOW)])
def test_what_stays_may_take_half_of_the_bytes(bus, spare, end):
    each = event(1, ("a", 1)).weight()
    _, subscription = opened(bus, queued_bytes=4 * each + spare)

    for sequence in range(5):
        bus.publish(event(sequence, ("ab"[sequence % 2], sequence)))

    assert subscription.ended is end


def test_one_value_larger_than_the_bound_is_displaced_by_the_next_one(bus):
    _, subscription = opened(bus, queued_bytes=1)

    for sequence in range(5):
        bus.publish(event(sequence, ("a", "x" * 50)))

    assert [event.sequence for event in subscription.take()] == [4]


def test_room_is_counted_anew_after_conflating(bus):
    each = event(1, ("a", 1)).weight()
    _, subscription = opened(bus, queued_bytes=10 * each)
    for sequence in range(11):
        bus.publish(event(sequence, ("a", 1)))
    subscription.overflow = Overflow.CLOSE

    for sequence in range(11, 20):
        bus.publish(event(sequence, ("a", 1)))
    assert subscription.ended is None
    bus.publish(event(20, ("a", 1)))

    assert subscription.ended is End.OVERFLOW
