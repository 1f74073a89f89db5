"""What a live event weighs."""

import pytest

from thingstead.features.live.model import LiveEvent
from thingstead.features.values.model import MagicEcho, StoredValue
from thingstead.kernel.ids import ThingId


def event(*entries):
    return LiveEvent(ThingId("one"), 1, entries)


def test_an_event_without_entries_weighs_nothing():
    assert event().weight() == 0


@pytest.mark.parametrize(
    ("value", "weight"),
    [
        (None, 8),
        (True, 8),
        (1.5, 8),
        ("x" * 50, 50),
        ({"a": "x" * 50}, 58),
        (["x" * 50, 1], 56),
    ],
)
def test_an_entry_weighs_its_key_its_value_and_what_goes_around_them(value, weight):
    assert event(StoredValue("key", value, 0)).weight() == 80 + 3 + weight
    assert event(MagicEcho("$key", value)).weight() == 80 + 4 + weight


def test_entries_add_up():
    one, other = StoredValue("a", 1, 0), MagicEcho("$settings", {})

    assert event(one, other).weight() == event(one).weight() + event(other).weight()


def test_encodings_do_not_make_two_events_differ():
    encoded = event(StoredValue("a", 1, 0))
    encoded.encodings["json"] = b"[]"

    assert encoded == event(StoredValue("a", 1, 0))


def test_an_event_is_weighed_once_for_all_its_subscribers(monkeypatch):
    weighed = []
    monkeypatch.setattr(
        "thingstead.features.live.model._weight", lambda value: weighed.append(value) or 1
    )
    event = LiveEvent("thing", 1, (StoredValue("t", 1, 1),))

    weights = {event.weight() for _ in range(3)}

    assert len(weights) == 1
    assert weighed == [1]
