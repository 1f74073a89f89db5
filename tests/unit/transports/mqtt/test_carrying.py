"""What payloads become: whole writes and values of one resource."""

import msgspec
import pytest

from thingstead.kernel.errors import Category, ThingsteadError
from thingstead.transports.mqtt.carrying import decoder_of
from thingstead.transports.mqtt.topics import parse_topic

THING = parse_topic("v2/things/T")
RESOURCE = parse_topic("v2/things/T/resources/k")


def values(target, payload):
    return [(one.key, one.value) for one in decoder_of(target, payload)().values]


@pytest.mark.parametrize(
    "payload",
    [
        b'{"values":[{"key":"a","value":1}]}',
        msgspec.msgpack.encode({"values": [{"key": "a", "value": 1}]}),
        # The longer form of a map's head.
        b"\xde\x00\x01" + msgspec.msgpack.encode({"values": [{"key": "a", "value": 1}]})[1:],
        b"\xdf\x00\x00\x00\x01"
        + msgspec.msgpack.encode({"values": [{"key": "a", "value": 1}]})[1:],
    ],
    ids=["JSON", "MessagePack", "map 16", "map 32"],
)
def test_a_things_payload_is_a_write(payload):
    assert values(THING, payload) == [("a", 1)]


@pytest.mark.parametrize("payload", [b"", b"1", b"text", b"[]", b"\x93\x01\x02\x03", b"\x81"])
def test_a_things_payload_that_is_no_write_is_refused(payload):
    with pytest.raises(ThingsteadError) as refused:
        values(THING, payload)

    assert refused.value.category is Category.INVALID


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"1", 1),
        (b" 1 ", 1),
        (b"-1.5e3", -1_500.0),
        (b"true", True),
        (b"null", None),
        (b'"a"', "a"),
        (b"a b", "a b"),
        (b"1 2", "1 2"),
        (b"", ""),
        (b"[]", []),
        (b'{"a":[1]}', {"a": [1]}),
        (b'{"value":{"value":1}}', {"value": 1}),
        (b'{"values":1}', {"values": 1}),
    ],
)
def test_a_resources_payload_is_a_value(payload, value):
    assert values(RESOURCE, payload) == [("k", value)]


def test_a_resources_payload_may_be_many_values():
    assert values(RESOURCE, b'{"values":[1,{"value":2},{"key":"other","value":3}]}') == [
        ("k", 1),
        ("k", 2),
        ("k", 3),
    ]


def test_time_and_place_come_along():
    payload = b'{"value":1,"datetime":"2026-01-01T00:00:00.000Z","geo":{"lat":1,"long":2}}'

    [value] = decoder_of(RESOURCE, payload)().values

    assert value.datetime == "2026-01-01T00:00:00.000Z"
    assert value.geo == {"lat": 1, "long": 2}


@pytest.mark.parametrize("payload", [b"{", b"[1", b'{"a":}', b"\xff", b"a\xff"])
def test_a_resources_payload_that_is_nothing_is_refused(payload):
    with pytest.raises(ThingsteadError) as refused:
        values(RESOURCE, payload)

    assert refused.value.category is Category.INVALID
