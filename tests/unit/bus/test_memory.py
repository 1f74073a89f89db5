"""The bus of a single process."""

import pytest

from thingstead.bus.memory import MemoryBus
from thingstead.features.live.model import LiveEvent
from thingstead.kernel.ids import ThingId

THING, OTHER_THING = ThingId("one"), ThingId("two")
EVENT = LiveEvent(THING, 1, ())


@pytest.fixture
def bus():
    return MemoryBus()


def test_an_event_reaches_the_listeners_of_its_thing_in_the_order_they_came(bus):
    heard = []
    bus.listen(THING, lambda event: heard.append(("first", event)))
    bus.listen(THING, lambda event: heard.append(("second", event)))
    bus.listen(OTHER_THING, lambda event: heard.append(("other", event)))

    bus.publish(EVENT)

    assert heard == [("first", EVENT), ("second", EVENT)]


def test_an_event_that_nobody_listens_to_is_dropped(bus):
    bus.publish(EVENT)

    assert not bus.has_listener(THING)


def test_a_listener_that_comes_twice_hears_once(bus):
    heard = []
    bus.listen(THING, heard.append)
    bus.listen(THING, heard.append)

    bus.publish(EVENT)

    assert heard == [EVENT]


def test_a_listener_that_left_hears_nothing(bus):
    heard, stays = [], []
    bus.listen(THING, heard.append)
    bus.listen(THING, stays.append)

    bus.unlisten(THING, heard.append)
    bus.publish(EVENT)

    assert (heard, stays) == ([], [EVENT])


def test_a_thing_has_a_listener_until_the_last_one_left(bus):
    one, other = [], [0]
    bus.listen(THING, one.append)
    bus.listen(THING, other.append)

    bus.unlisten(THING, one.append)
    assert bus.has_listener(THING)

    bus.unlisten(THING, other.append)
    assert not bus.has_listener(THING)


def test_unknown_listeners_are_ignored(bus):
    bus.unlisten(THING, print)
    bus.listen(THING, repr)
    bus.unlisten(THING, print)

    assert bus.has_listener(THING)


def test_a_listener_may_leave_while_it_is_called(bus):
    heard = []

    def once(event):
        bus.unlisten(THING, once)
        heard.append(event)

    bus.listen(THING, once)
    bus.listen(THING, heard.append)

    bus.publish(EVENT)
    bus.publish(EVENT)

    assert heard == [EVENT] * 3
