"""Which messages an event becomes, by filter."""

import json

from thingstead.features.live.model import LiveEvent
from thingstead.features.values.model import MagicEcho, StoredValue
from thingstead.kernel.ids import ThingId
from thingstead.transports.mqtt.outgoing import (
    EachResource,
    OneResource,
    UsersResource,
    WholeWrites,
)

EVENT = LiveEvent(
    ThingId("thing"),
    9,
    (StoredValue("a", 1, 0), StoredValue("b", "x", 0), StoredValue("a", 2, 0)),
)


def made(outgoing, event=EVENT):
    """Topics, and keys with values, of the messages."""
    return [
        (topic.decode(), [(one.get("key"), one["value"]) for one in json.loads(payload)])
        for topic, _, payload in outgoing.messages(event)
    ]


def test_a_whole_write_is_one_message():
    assert made(WholeWrites("v2/things/T")) == [("v2/things/T", [("a", 1), ("b", "x"), ("a", 2)])]


def test_one_resource_is_one_message_with_its_values():
    assert made(OneResource("t", "a")) == [("t", [("a", 1), ("a", 2)])]


def test_a_write_without_the_resource_is_no_message():
    assert made(OneResource("t", "c")) == made(UsersResource("t", "c")) == []


def test_each_resource_is_a_message_in_the_order_of_the_write():
    assert made(EachResource("v2/things/T")) == [
        ("v2/things/T/resources/a", [("a", 1), ("a", 2)]),
        ("v2/things/T/resources/b", [("b", "x")]),
    ]


def test_a_users_resource_names_the_thing():
    [(topic, _, payload)] = UsersResource("v2/me/resources/a", "a").messages(EVENT)

    assert topic == b"v2/me/resources/a"
    assert [(one["thingId"], one["value"]) for one in json.loads(payload)] == [
        ("thing", 1),
        ("thing", 2),
    ]


def test_an_event_of_a_document_goes_out_too():
    event = LiveEvent(ThingId("thing"), 9, (MagicEcho("$settings", {"a": 1}),))

    assert made(WholeWrites("t"), event) == [("t", [("$settings", {"a": 1})])]


def test_names_tell_topics_apart_and_nothing_else():
    names = [
        name
        for outgoing in (WholeWrites("t"), OneResource("t/resources/a", "a"), EachResource("t"))
        for _, name, _ in outgoing.messages(EVENT)
    ]

    assert names == ["t", "t/resources/a", "t/resources/a", "t/resources/b"]
