"""What clients send, byte by byte: every packet type, every reserved bit, every field."""

import pytest

from support.mqtt_packets import CONNECT_5, client_bytes, framed
from thingstead.transports.mqtt.codec import (
    Auth,
    Connect,
    Decoder,
    Disconnect,
    MQTTProtocolError,
    Pingreq,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Reason,
    Subscribe,
    SubscribeRequest,
    Unsubscribe,
    Will,
)
from thingstead.transports.mqtt.codec.acknowledgements import read_puback
from thingstead.transports.mqtt.codec.fields import Cursor

HEAD_4 = b"\0\4MQTT\4"
HEAD_5 = b"\0\4MQTT\5"
HEAD_31 = b"\0\6MQIsdp\3"
MALFORMED, WRONG = Reason.MALFORMED_PACKET, Reason.PROTOCOL_ERROR


def connected(level):
    decoder = Decoder(70_000)
    decoder.level = level
    return decoder


def read(level, data):
    """Return the only packet in the bytes; level 0 is a new connection."""
    (packet,) = connected(level).feed(data)
    return packet


def reason_of(level, data):
    with pytest.raises(MQTTProtocolError) as raised:
        connected(level).feed(data)
    return raised.value.reason


def connect(body):
    return framed(0x10, body)


def test_the_smallest_connect_of_each_level_is_read():
    assert read(0, connect(HEAD_31 + b"\2\0\x3c\0\1c")) == Connect(3, "c", True, 60)
    assert read(0, connect(HEAD_4 + b"\2\0\0\0\0")) == Connect(4, "", True, 0)
    assert read(0, connect(HEAD_5 + b"\0\xff\xff\0\0\0")) == Connect(5, "", False, 65_535)


def test_every_field_of_a_connect_is_read():
    fields = b"\0\1c" + b"\0\1w" + b"\0\2\0\xff" + b"\0\1u" + b"\0\1\xff"

    assert read(0, connect(HEAD_4 + b"\xf6\0\1" + fields)) == Connect(
        4, "c", True, 1, "u", b"\xff", Will("w", b"\0\xff", 2, True)
    )


def test_every_field_of_a_connect_of_mqtt_5_is_read():
    body = HEAD_5 + b"\x54\0\0" + b"\x0d\x11\0\0\x0e\x10\x21\0\x20\x27\0\0\4\0"
    body += b"\0\0" + b"\x09\x18\0\0\0\x09\x08\0\1r" + b"\0\1w\0\0" + b"\0\2\0\xff"

    assert read(0, connect(body)) == CONNECT_5
    assert len(connect(body)) == len(client_bytes(CONNECT_5, 5))


def test_a_client_id_of_mqtt_3_1_may_be_longer_than_23():
    packet = connect(HEAD_31 + b"\2\0\0\0\x18" + b"c" * 24)

    assert read(0, packet).client_id == "c" * 24


@pytest.mark.parametrize(
    ("flags", "left", "expected"),
    [(0xC2, b"", (None, None)), (0xC2, b"\0\1u", ("u", None)), (0x82, b"", (None, None))],
)
def test_mqtt_3_1_may_announce_a_user_name_and_leave_it_out(flags, left, expected):
    packet = read(0, connect(HEAD_31 + bytes((flags,)) + b"\0\0\0\1c" + left))

    assert (packet.user_name, packet.password) == expected
    assert reason_of(0, connect(HEAD_4 + bytes((flags,)) + b"\0\0\0\1c" + left)) == MALFORMED


@pytest.mark.parametrize(
    "head",
    [
        b"\0\4MQTT\3",
        b"\0\4MQTT\6",
        b"\0\4MQTT\0",
        b"\0\4MQTT\x84",
        b"\0\6MQIsdp\4",
        b"\0\4mqtt\4",
        b"\0\0\4",
        b"\0\5MQTTX\4",
    ],
)
def test_other_protocols_are_refused(head):
    decoder = Decoder(1000)

    with pytest.raises(MQTTProtocolError) as raised:
        decoder.feed(connect(head + b"\2\0\0\0\1c\0\0"))

    assert raised.value.reason == Reason.UNSUPPORTED_PROTOCOL_VERSION
    assert decoder.level == 0


@pytest.mark.parametrize(
    ("head", "flags", "expected"),
    [
        (HEAD_31, 0x02, Reason.CLIENT_ID_NOT_VALID),
        (HEAD_4, 0x00, Reason.CLIENT_ID_NOT_VALID),
    ],
)
def test_an_empty_client_id_is_refused_where_the_version_forbids_it(head, flags, expected):
    decoder = Decoder(1000)

    with pytest.raises(MQTTProtocolError) as raised:
        decoder.feed(connect(head + bytes((flags,)) + b"\0\0\0\0"))

    assert raised.value.reason == expected
    assert decoder.level == head[-1]


# Flags that contradict themselves, in every version: reserved bit; QoS or retain without a
# will; QoS 3 of a will.
@pytest.mark.parametrize("flags", [0x03, 0x0A, 0x12, 0x1A, 0x22, 0x1E, 0x3E])
@pytest.mark.parametrize("head", [HEAD_31, HEAD_4, HEAD_5])
def test_flags_of_connect_that_cannot_be_are_refused(head, flags):
    will = b"\0\1w\0\0" if flags & 4 else b""
    empty = b"\0" if head is HEAD_5 else b""
    packet = connect(head + bytes((flags,)) + b"\0\0" + empty + b"\0\1c" + (will and empty) + will)

    assert reason_of(0, packet) == MALFORMED
    assert read(0, packet.replace(head + bytes((flags,)), head + bytes((flags & 6,))))


def test_a_password_without_a_user_name_is_for_mqtt_5_only():
    assert reason_of(0, connect(HEAD_31 + b"\x42\0\0\0\1c\0\1p")) == MALFORMED
    assert reason_of(0, connect(HEAD_4 + b"\x42\0\0\0\1c\0\1p")) == MALFORMED
    assert read(0, connect(HEAD_5 + b"\x42\0\0\0\0\1c\0\1p")).password == b"p"


@pytest.mark.parametrize("topic", [b"\0\0", b"\0\1+", b"\0\1#", b"\0\3a/#"])
def test_a_will_needs_a_topic_without_wildcards(topic):
    packet = connect(HEAD_4 + b"\6\0\0\0\1c" + topic + b"\0\0")

    assert reason_of(0, packet) == Reason.TOPIC_NAME_INVALID


def test_authentication_data_needs_a_method():
    assert reason_of(0, connect(HEAD_5 + b"\2\0\0\4\x16\0\1d\0\0")) == WRONG


def test_the_credentials_stand_in_no_repr():
    packet = Connect(4, "secret-1", True, 0, "secret-2", b"secret-3", Will("secret-4", b"secret-5"))

    assert "secret" not in repr(packet)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (0x30, Publish("t", b"\0\7x")),
        (0x31, Publish("t", b"\0\7x", 0, True)),
        (0x32, Publish("t", b"x", 1, False, False, 7)),
        (0x35, Publish("t", b"x", 2, True, False, 7)),
        (0x3A, Publish("t", b"x", 1, False, True, 7)),
        (0x3D, Publish("t", b"x", 2, True, True, 7)),
    ],
)
@pytest.mark.parametrize("level", [3, 4])
def test_a_publish_is_read_with_its_flags(level, head, expected):
    assert read(level, framed(head, b"\0\1t\0\7x")) == expected


def test_a_publish_of_mqtt_5_is_read_with_its_properties():
    empty = Publish("t", b"x", 1, False, False, 7)
    alias = Publish("", b"x", 1, False, False, 7, Properties(topic_alias=9))

    assert read(5, framed(0x32, b"\0\1t\0\7\0x")) == empty
    assert read(5, framed(0x32, b"\0\0\0\7\3\x23\0\x09x")) == alias
    assert read(5, framed(0x30, b"\0\1t\0")) == Publish("t", b"")


@pytest.mark.parametrize(
    ("level", "head", "body", "expected"),
    [
        (4, 0x30, b"", MALFORMED),
        (4, 0x30, b"\0", MALFORMED),
        (4, 0x30, b"\0\2t", MALFORMED),
        (4, 0x32, b"\0\1t", MALFORMED),
        (4, 0x32, b"\0\1t\0", MALFORMED),
        (4, 0x32, b"\0\1t\0\0", WRONG),
        (4, 0x30, b"\0\0", Reason.TOPIC_NAME_INVALID),
        (4, 0x30, b"\0\1+", Reason.TOPIC_NAME_INVALID),
        (4, 0x30, b"\0\3a/#", Reason.TOPIC_NAME_INVALID),
        (4, 0x30, b"\0\2t\0", MALFORMED),
        (4, 0x30, b"\0\1\xff", MALFORMED),
        (4, 0x30, b"\0\2\xc0\x80", MALFORMED),
        (4, 0x30, b"\0\3\xed\xa0\x80", MALFORMED),
        (5, 0x30, b"\0\1t", MALFORMED),
        (5, 0x30, b"\0\1t\3\x01", MALFORMED),
        (5, 0x30, b"\0\1t\x80\0", MALFORMED),
        (5, 0x30, b"\0\0\0x", WRONG),
        (5, 0x30, b"\0\0\2\1\1x", WRONG),
        (5, 0x30, b"\0\0\3\x23\0\0x", Reason.TOPIC_ALIAS_INVALID),
    ],
)
def test_a_publish_that_is_none_is_refused(level, head, body, expected):
    # What follows belongs to the next packet and must not be taken for this one's.
    assert reason_of(level, framed(head, body) + b"\xc0\0" * 4) == expected


@pytest.mark.parametrize("text", ["\x01", "\x7f", "\ufeff", "\uffff", "\U0010ffff", "\u00fc/ "])
def test_topics_may_hold_every_character_but_nul_and_wildcards(text):
    raw = text.encode()

    assert read(4, framed(0x30, len(raw).to_bytes(2, "big") + raw)).topic == text


ACKNOWLEDGEMENTS = [(0x40, Puback), (0x50, Pubrec), (0x62, Pubrel), (0x70, Pubcomp)]


@pytest.mark.parametrize(("head", "kind"), ACKNOWLEDGEMENTS)
@pytest.mark.parametrize("level", [3, 4, 5])
def test_an_acknowledgement_is_read(level, head, kind):
    assert read(level, framed(head, b"\x12\x34")) == kind(0x1234)
    assert reason_of(level, framed(head, b"\0\0")) == WRONG
    assert reason_of(level, framed(head, b"\1")) == MALFORMED
    assert reason_of(level, framed(head, b"")) == MALFORMED


@pytest.mark.parametrize(("head", "kind"), ACKNOWLEDGEMENTS)
def test_only_mqtt_5_acknowledges_with_a_reason(head, kind):
    reason = 0x92 if kind in (Pubrel, Pubcomp) else 0x87
    said = Properties(reason_string="no")

    assert reason_of(4, framed(head, b"\0\1" + bytes((reason,)))) == MALFORMED
    assert read(5, framed(head, b"\0\1" + bytes((reason,)))) == kind(1, reason)
    assert read(5, framed(head, b"\0\1" + bytes((reason, 0)))) == kind(1, reason)
    assert read(5, framed(head, b"\0\1" + bytes((reason,)) + b"\5\x1f\0\2no")) == kind(
        1, reason, said
    )
    assert reason_of(5, framed(head, b"\0\1" + bytes((reason, 0, 0)))) == MALFORMED
    assert reason_of(5, framed(head, b"\0\1\x7f")) == WRONG
    assert reason_of(5, framed(head, b"\0\0\0")) == WRONG


@pytest.mark.parametrize("level", [4, 5])
def test_the_reader_of_acknowledgements_agrees_with_the_short_way(level):
    assert read_puback(Cursor(b"\0\1", 0, 2), level) == read(level, b"\x40\2\0\1") == Puback(1)


@pytest.mark.parametrize("level", [3, 4])
def test_a_subscribe_is_read(level):
    assert read(level, framed(0x82, b"\0\x0a\0\1a\0\0\3b/#\2")) == Subscribe(
        10, (SubscribeRequest("a", 0), SubscribeRequest("b/#", 2))
    )


def test_a_subscribe_of_mqtt_5_is_read_with_its_options():
    assert read(5, framed(0x82, b"\0\x0a\3\x0b\xac\2\0\1a\x2d\0\1b\x10")) == Subscribe(
        10,
        (SubscribeRequest("a", 1, True, True, 2), SubscribeRequest("b", 0, False, False, 1)),
        Properties(subscription_identifiers=(300,)),
    )


@pytest.mark.parametrize(
    ("level", "body", "expected"),
    [
        (4, b"\0\1", WRONG),
        (4, b"\0\0\0\1a\0", WRONG),
        (4, b"\0\1\0\0\0", WRONG),
        (4, b"\0\1\0\1a", MALFORMED),
        (4, b"\0\1\0\2a\0", MALFORMED),
        (4, b"\0\1\0\1\0\0", MALFORMED),
        (4, b"\0\1\0\1a\3", MALFORMED),
        (5, b"\0\1\0", WRONG),
        (5, b"\0\1\0\0\1a\3", MALFORMED),
        (5, b"\0\1\0\0\1a\x30", WRONG),
        (5, b"\0\1\4\x0b\1\x0b\2\0\1a\0", WRONG),
        (5, b"\0\1\2\x0b\0\0\1a\0", WRONG),
        (5, b"\0\1\0\0\x08$share/a\4", WRONG),
    ],
)
def test_a_subscribe_that_is_none_is_refused(level, body, expected):
    assert reason_of(level, framed(0x82, body)) == expected


@pytest.mark.parametrize("bit", range(2, 8))
@pytest.mark.parametrize("level", [3, 4, 5])
def test_reserved_bits_of_subscription_options_are_refused(level, bit):
    properties = b"\0" if level == 5 else b""
    packet = framed(0x82, b"\0\1" + properties + b"\0\1a" + bytes((1 << bit,)))

    if level == 5 and bit < 6:
        assert len(read(level, packet).requests) == 1
    else:
        assert reason_of(level, packet) == MALFORMED


def test_an_unsubscribe_is_read():
    assert read(4, framed(0xA2, b"\0\x0a\0\1a\0\2/#")) == Unsubscribe(10, ("a", "/#"))
    assert read(5, framed(0xA2, b"\0\x0a\0\0\1a")) == Unsubscribe(10, ("a",))


@pytest.mark.parametrize(
    ("level", "body", "expected"),
    [
        (4, b"\0\1", WRONG),
        (5, b"\0\1\0", WRONG),
        (4, b"\0\0\0\1a", WRONG),
        (4, b"\0\1\0\0", WRONG),
        (4, b"\0\1\0\2a", MALFORMED),
        (4, b"\0\1\0\1a\0", MALFORMED),
    ],
)
def test_an_unsubscribe_that_is_none_is_refused(level, body, expected):
    assert reason_of(level, framed(0xA2, body)) == expected


@pytest.mark.parametrize("level", [3, 4, 5])
def test_a_pingreq_holds_nothing(level):
    assert read(level, b"\xc0\0") == Pingreq()
    assert reason_of(level, b"\xc0\1\0") == MALFORMED


@pytest.mark.parametrize("level", [3, 4, 5])
def test_a_disconnect_of_two_bytes_is_read(level):
    assert read(level, b"\xe0\0") == Disconnect()


def test_a_disconnect_with_a_reason_is_for_mqtt_5_only():
    assert reason_of(4, b"\xe0\1\0") == MALFORMED
    assert read(5, b"\xe0\1\4") == Disconnect(4)
    assert read(5, b"\xe0\2\4\0") == Disconnect(4)
    assert read(5, b"\xe0\7\4\5\x11\0\0\0\1") == Disconnect(4, Properties(session_expiry_s=1))
    assert reason_of(5, b"\xe0\1\x8b") == WRONG
    assert reason_of(5, b"\xe0\3\4\0\0") == MALFORMED


def test_an_auth_names_its_method():
    method = Properties(authentication_method="M")

    assert read(5, framed(0xF0, b"\x18\4\x15\0\1M")) == Auth(0x18, method)
    assert read(5, framed(0xF0, b"\x19\4\x15\0\1M")) == Auth(0x19, method)
    assert reason_of(5, framed(0xF0, b"\x18\0")) == WRONG
    assert reason_of(5, framed(0xF0, b"\x18")) == MALFORMED
    assert reason_of(5, framed(0xF0, b"")) == WRONG
    assert reason_of(5, framed(0xF0, b"\x00\4\x15\0\1M")) == WRONG
    assert reason_of(5, framed(0xF0, b"\x18\4\x15\0\1M\0")) == MALFORMED


@pytest.mark.parametrize(
    ("level", "packet"),
    [
        (0, connect(HEAD_4 + b"\2\0\0\0\1c\0")),
        (0, connect(HEAD_5 + b"\2\0\0\0\0\1c\0")),
        (4, framed(0x40, b"\0\1\0")),
        (4, framed(0xE0, b"\0")),
    ],
)
def test_bytes_behind_the_last_field_are_refused(level, packet):
    assert reason_of(level, packet) == MALFORMED
