"""Properties of MQTT 5: each one in each packet, and every bound of its value."""

import pytest

from support.mqtt_packets import framed
from thingstead.transports.mqtt.codec import (
    FROM_CLIENT,
    FROM_SERVER,
    NO_PROPERTIES,
    Decoder,
    MQTTProtocolError,
    Properties,
    Reason,
)
from thingstead.transports.mqtt.codec.fields import Cursor, written_variable
from thingstead.transports.mqtt.codec.properties import read_properties, written_properties

# By identifier: a good value in bytes, and what it means (MQTT 5, table 2-4).
GOOD = {
    0x01: (b"\1", {"payload_format_indicator": 1}),
    0x02: (b"\0\0\0\5", {"message_expiry_s": 5}),
    0x03: (b"\0\1j", {"content_type": "j"}),
    0x08: (b"\0\1r", {"response_topic": "r"}),
    0x09: (b"\0\1\xff", {"correlation_data": b"\xff"}),
    0x0B: (b"\xac\2", {"subscription_identifiers": (300,)}),
    0x11: (b"\xff\xff\xff\xff", {"session_expiry_s": 0xFFFFFFFF}),
    0x12: (b"\0\1c", {"assigned_client_id": "c"}),
    0x13: (b"\0\5", {"server_keep_alive_s": 5}),
    0x15: (b"\0\1M", {"authentication_method": "M"}),
    0x16: (b"\0\1\xff", {"authentication_data": b"\xff"}),
    0x17: (b"\0", {"request_problem_information": 0}),
    0x18: (b"\0\0\0\5", {"will_delay_s": 5}),
    0x19: (b"\1", {"request_response_information": 1}),
    0x1A: (b"\0\1i", {"response_information": "i"}),
    0x1C: (b"\0\1s", {"server_reference": "s"}),
    0x1F: (b"\0\1w", {"reason_string": "w"}),
    0x21: (b"\0\1", {"receive_maximum": 1}),
    0x22: (b"\0\0", {"topic_alias_maximum": 0}),
    0x23: (b"\0\1", {"topic_alias": 1}),
    0x24: (b"\1", {"maximum_qos": 1}),
    0x25: (b"\0", {"retain_available": 0}),
    0x26: (b"\0\1a\0\1b", {"user_properties": (("a", "b"),)}),
    0x27: (b"\0\0\0\1", {"maximum_packet_bytes": 1}),
    0x28: (b"\0", {"wildcard_subscription_available": 0}),
    0x29: (b"\0", {"subscription_identifiers_available": 0}),
    0x2A: (b"\0", {"shared_subscription_available": 0}),
}
METHOD = b"\x15\0\1M"


# By packet: who sends it, its first byte, what stands before and behind the properties, and the
# properties that it may hold (MQTT 5, table 2-4; section 3.3.4 for identifiers in PUBLISH,
# 3.14.2.2 for who may say what in DISCONNECT).
PACKETS = {
    "CONNECT": (
        FROM_CLIENT, 0x10, b"\0\4MQTT\5\2\0\0", b"\0\0",
        {0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27},
    ),
    "will": (
        FROM_CLIENT, 0x10, b"\0\4MQTT\5\6\0\0\0\0\0", b"\0\1w\0\0",
        {0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26},
    ),
    "CONNACK": (
        FROM_SERVER, 0x20, b"\0\0", b"",
        {0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F}
        | {0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A},
    ),
    "client's PUBLISH": (
        FROM_CLIENT, 0x30, b"\0\1t", b"x", {0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26},
    ),
    "server's PUBLISH": (
        FROM_SERVER, 0x30, b"\0\1t", b"x", {0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26},
    ),
    "PUBACK": (FROM_CLIENT, 0x40, b"\0\1\0", b"", {0x1F, 0x26}),
    "PUBREC": (FROM_CLIENT, 0x50, b"\0\1\0", b"", {0x1F, 0x26}),
    "PUBREL": (FROM_CLIENT, 0x62, b"\0\1\0", b"", {0x1F, 0x26}),
    "PUBCOMP": (FROM_CLIENT, 0x70, b"\0\1\0", b"", {0x1F, 0x26}),
    "SUBSCRIBE": (FROM_CLIENT, 0x82, b"\0\1", b"\0\1a\0", {0x0B, 0x26}),
    "SUBACK": (FROM_SERVER, 0x90, b"\0\1", b"\0", {0x1F, 0x26}),
    "UNSUBSCRIBE": (FROM_CLIENT, 0xA2, b"\0\1", b"\0\1a", {0x26}),
    "UNSUBACK": (FROM_SERVER, 0xB0, b"\0\1", b"\0", {0x1F, 0x26}),
    "client's DISCONNECT": (FROM_CLIENT, 0xE0, b"\0", b"", {0x11, 0x1F, 0x26}),
    "server's DISCONNECT": (FROM_SERVER, 0xE0, b"\0", b"", {0x1C, 0x1F, 0x26}),
    "AUTH": (FROM_CLIENT, 0xF0, b"\x18", b"", {0x15, 0x16, 0x1F, 0x26}),
}  # fmt: skip
KNOWN_AND_OTHERS = [*range(0x30), 0x7F]


def fed(name, properties):
    """Return the properties that the packet is found to hold."""
    side, head, before, behind, _ = PACKETS[name]
    decoder = Decoder(1000, side=side)
    decoder.level = 0 if head == 0x10 else 5
    (packet,) = decoder.feed(
        framed(head, before + written_variable(len(properties)) + properties + behind)
    )
    return packet.will.properties if name == "will" else packet.properties


def encoded(name, identifier):
    """Return one property, with the method that some packets cannot do without."""
    value = bytes((identifier,)) + GOOD[identifier][0]
    needs_method = name == "AUTH" or identifier == 0x16
    return METHOD + value if needs_method and identifier != 0x15 else value


@pytest.mark.parametrize("identifier", KNOWN_AND_OTHERS)
@pytest.mark.parametrize("name", PACKETS)
def test_a_packet_holds_its_properties_and_no_others(name, identifier):
    if identifier in PACKETS[name][4]:
        found = fed(name, encoded(name, identifier))
        assert {field: getattr(found, field) for field in GOOD[identifier][1]} == GOOD[identifier][
            1
        ]
        return
    value = GOOD.get(identifier, (b"\0\0\0\0", {}))[0]

    with pytest.raises(MQTTProtocolError) as raised:
        fed(name, bytes((identifier,)) + value)

    assert raised.value.reason == Reason.MALFORMED_PACKET


@pytest.mark.parametrize(
    ("name", "identifier"),
    [(name, identifier) for name, row in PACKETS.items() for identifier in sorted(row[4])],
)
def test_a_property_stands_once_unless_it_may_repeat(name, identifier):
    twice = encoded(name, identifier) + bytes((identifier,)) + GOOD[identifier][0]
    if identifier == 0x26 or (identifier == 0x0B and name == "server's PUBLISH"):
        (field,) = GOOD[identifier][1]
        assert len(getattr(fed(name, twice), field)) == 2
        return

    with pytest.raises(MQTTProtocolError) as raised:
        fed(name, twice)

    assert raised.value.reason == Reason.PROTOCOL_ERROR


ALL = frozenset(GOOD)


def read(raw):
    data = written_variable(len(raw)) + raw
    return read_properties(Cursor(data, 0, len(data)), ALL, "TEST")


@pytest.mark.parametrize("identifier", GOOD)
def test_a_property_that_ends_too_early_is_refused(identifier):
    whole = bytes((identifier,)) + GOOD[identifier][0]

    for end in range(1, len(whole)):
        with pytest.raises(MQTTProtocolError) as raised:
            read(whole[:end])
        assert raised.value.reason == Reason.MALFORMED_PACKET


@pytest.mark.parametrize("identifier", GOOD)
def test_a_property_is_written_as_it_is_read(identifier):
    value, meaning = GOOD[identifier]
    raw = bytes((identifier,)) + value

    assert written_properties(Properties(**meaning)) == bytes((len(raw),)) + raw
    assert read(raw) == Properties(**meaning)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x01\2", b"\x17\2", b"\x19\xff", b"\x24\2", b"\x25\2", b"\x28\2", b"\x29\2", b"\x2a\2",
        b"\x21\0\0", b"\x27\0\0\0\0", b"\x0b\0",
    ],
)  # fmt: skip
def test_values_out_of_their_range_are_protocol_errors(raw):
    with pytest.raises(MQTTProtocolError) as raised:
        read(raw)

    assert raised.value.reason == Reason.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x23\0\0", Reason.TOPIC_ALIAS_INVALID),
        (b"\x08\0\1#", Reason.TOPIC_NAME_INVALID),
        (b"\x08\0\3a/+", Reason.TOPIC_NAME_INVALID),
        (b"\x03\0\1\0", Reason.MALFORMED_PACKET),
        (b"\x1f\0\1\xff", Reason.MALFORMED_PACKET),
        (b"\x26\0\1a\0\1\0", Reason.MALFORMED_PACKET),
        (b"\x0b\x80\0", Reason.MALFORMED_PACKET),
        (b"\x0b\xff\xff\xff\xff\1", Reason.MALFORMED_PACKET),
        (b"\x81\0\1", Reason.MALFORMED_PACKET),
        (b"\x80\1", Reason.MALFORMED_PACKET),
    ],
)
def test_values_of_a_wrong_form_are_refused_with_their_reason(raw, reason):
    with pytest.raises(MQTTProtocolError) as raised:
        read(raw)

    assert raised.value.reason == reason


def test_properties_longer_than_their_packet_are_refused():
    with pytest.raises(MQTTProtocolError, match="ends too early"):
        read_properties(Cursor(b"\3\x01\1\x01", 0, 3), ALL, "TEST")


def test_no_properties_are_one_zero_byte_and_one_value():
    assert read(b"") is NO_PROPERTIES
    assert written_properties(NO_PROPERTIES) == written_properties(Properties()) == b"\0"


def test_the_first_subscription_identifier_can_be_asked_for():
    assert Properties(subscription_identifiers=(3, 4)).subscription_identifier == 3
    assert NO_PROPERTIES.subscription_identifier is None
