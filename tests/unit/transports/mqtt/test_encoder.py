"""What the server sends, byte by byte, and reading it back as a client does."""

import pytest

from thingstead.transports.mqtt.codec import (
    FROM_SERVER,
    Auth,
    Connack,
    Decoder,
    Disconnect,
    MQTTProtocolError,
    Pingresp,
    Properties,
    Reason,
    Suback,
    Unsuback,
    encoder,
    return_code,
)

METHOD = Properties(authentication_method="M")


def read(level, data):
    decoder = Decoder(70_000, side=FROM_SERVER)
    decoder.level = level
    (packet,) = decoder.feed(data)
    return packet


@pytest.mark.parametrize(
    ("level", "is_present", "reason", "expected"),
    [
        (3, False, 0, b"\x20\2\0\0"),
        (3, True, 0, b"\x20\2\0\0"),
        (4, True, 0, b"\x20\2\1\0"),
        (4, True, 0x87, b"\x20\2\0\5"),
        (5, True, 0, b"\x20\3\1\0\0"),
        (5, True, 0x87, b"\x20\3\0\x87\0"),
        (0, False, 0x84, b"\x20\2\0\1"),
        (4, False, 0x95, b""),
    ],
)
def test_a_connack_says_what_its_version_can_say(level, is_present, reason, expected):
    assert encoder.connack(level, session_present=is_present, reason=reason) == expected


@pytest.mark.parametrize(
    ("reason", "code"),
    [(0, 0), (0x84, 1), (0x85, 2), (0x88, 3), (0x89, 3), (0x86, 4), (0x87, 5), (0x81, None)],
)
def test_reasons_have_return_codes_where_mqtt_3_has_a_word_for_them(reason, code):
    assert return_code(reason) == code


def test_a_connack_of_mqtt_5_says_all_limits():
    limits = Properties(
        session_expiry_s=86_400,
        assigned_client_id="c",
        server_keep_alive_s=1_200,
        receive_maximum=32,
        topic_alias_maximum=10,
        maximum_qos=1,
        retain_available=0,
        maximum_packet_bytes=65_536,
        wildcard_subscription_available=1,
        subscription_identifiers_available=1,
        shared_subscription_available=0,
        reason_string="r",
    )

    packet = encoder.connack(5, properties=limits)

    assert packet == (
        b"\x20\x28\0\0\x25"
        b"\x11\0\1\x51\x80\x12\0\1c\x13\4\xb0\x1f\0\1r\x21\0\x20\x22\0\x0a\x24\1\x25\0"
        b"\x27\0\1\0\0\x28\1\x29\1\x2a\0"
    )
    assert read(5, packet) == Connack(False, 0, limits)


ACKNOWLEDGEMENTS = [
    (encoder.puback, b"\x40"),
    (encoder.pubrec, b"\x50"),
    (encoder.pubrel, b"\x62"),
    (encoder.pubcomp, b"\x70"),
]


@pytest.mark.parametrize(("write", "head"), ACKNOWLEDGEMENTS)
def test_an_acknowledgement_is_short_where_it_can_be(write, head):
    assert write(3, 1) == write(4, 1) == write(5, 1) == head + b"\2\0\1"
    assert write(4, 0xFFFF, 0x92, "no") == head + b"\2\xff\xff"
    assert write(5, 1, 0x92) == head + b"\3\0\1\x92"
    assert write(5, 1, 0x92, "no") == head + b"\x09\0\1\x92\5\x1f\0\2no"
    assert write(5, 1, 0, "no") == head + b"\x09\0\1\0\5\x1f\0\2no"


def test_a_long_reason_text_has_a_longer_length():
    text = "\u00fc" * 100

    packet = read(5, encoder.puback(5, 1, 0x87, text))

    assert packet.properties == Properties(reason_string=text)


@pytest.mark.parametrize(
    ("flags", "head"),
    [
        ({"qos": 0}, b"\x30\4\0\1tx"),
        ({"qos": 0, "retain": True}, b"\x31\4\0\1tx"),
        ({"qos": 1, "packet_id": 7}, b"\x32\6\0\1t\0\7x"),
        ({"qos": 2, "packet_id": 0x102, "is_duplicate": True}, b"\x3c\6\0\1t\1\2x"),
    ],
)
def test_a_publish_is_written_with_its_flags(flags, head):
    assert encoder.publish(4, b"t", b"x", **flags) == head


def test_a_publish_of_mqtt_5_has_its_properties_before_the_payload():
    alias = Properties(topic_alias=1)

    assert encoder.publish(5, b"t", b"x", qos=1, packet_id=7) == b"\x32\7\0\1t\0\7\0x"
    assert encoder.publish(5, b"", b"x", qos=0, properties=alias) == b"\x30\7\0\0\3\x23\0\1x"
    assert encoder.publish(4, b"t", b"x", qos=0, properties=alias) == b"\x30\4\0\1tx"


def test_a_qos_0_publish_is_the_same_for_all_of_one_version():
    assert encoder.publish_qos0(3, b"t", b"x") == encoder.publish_qos0(4, b"t", b"x")
    assert encoder.publish_qos0(4, b"t", b"x") == b"\x30\4\0\1tx"
    assert encoder.publish_qos0(5, b"t", b"x") == b"\x30\5\0\1t\0x"


@pytest.mark.parametrize("size", [0, 124, 125, 16_380, 16_381])
def test_payloads_are_read_back_where_the_length_grows(size):
    packet = encoder.publish(4, b"t", bytes(size), qos=0)

    assert read(4, packet).payload == bytes(size)


def test_a_packet_over_the_largest_length_is_refused():
    class Long(bytes):
        def __len__(self):
            return 268_435_456

    with pytest.raises(ValueError, match="four bytes"):
        encoder.publish(4, b"t", Long(), qos=0)


def test_a_suback_answers_each_filter():
    assert encoder.suback(4, 10, [0, 1, 2, 0x80, 0x8F]) == b"\x90\7\0\x0a\0\1\2\x80\x80"
    assert encoder.suback(5, 10, [1, 0x8F]) == b"\x90\5\0\x0a\0\1\x8f"
    assert read(4, b"\x90\4\0\x0a\1\x80") == Suback(10, (1, 0x80))


def test_an_unsuback_has_reasons_in_mqtt_5_only():
    assert encoder.unsuback(4, 10, [0, 0x11]) == b"\xb0\2\0\x0a"
    assert encoder.unsuback(5, 10, [0, 0x11]) == b"\xb0\5\0\x0a\0\0\x11"
    assert read(4, b"\xb0\2\0\x0a") == Unsuback(10)


def test_a_pingresp_is_two_bytes():
    assert encoder.pingresp() == b"\xd0\0"
    assert read(4, encoder.pingresp()) == Pingresp()


def test_a_server_disconnects_in_words_in_mqtt_5_only():
    expiry = Properties(server_reference="s")

    assert encoder.disconnect(3, 0x8B) == encoder.disconnect(4, 0x8B, "bye") == b""
    assert encoder.disconnect(5) == b"\xe0\0"
    assert encoder.disconnect(5, 0x8B) == b"\xe0\1\x8b"
    assert encoder.disconnect(5, 0x8B, "bye") == b"\xe0\x08\x8b\6\x1f\0\3bye"
    assert read(5, encoder.disconnect(5, 0x9D, "bye", expiry)) == Disconnect(
        0x9D, Properties(server_reference="s", reason_string="bye")
    )


def test_an_auth_is_written_with_its_properties():
    assert encoder.auth(0x18, METHOD) == b"\xf0\6\x18\4\x15\0\1M"
    assert read(5, encoder.auth(0, METHOD)) == Auth(0, METHOD)
    assert encoder.auth() == b"\xf0\0"
    assert read(5, encoder.auth()) == Auth()


MALFORMED, WRONG = Reason.MALFORMED_PACKET, Reason.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("level", "packet", "reason"),
    [
        (3, b"\x20\2\1\0", MALFORMED),
        (4, b"\x20\2\2\0", MALFORMED),
        (4, b"\x20\2\0\6", WRONG),
        (4, b"\x20\2\1\5", WRONG),
        (4, b"\x20\3\0\0\0", MALFORMED),
        (5, b"\x20\2\0\0", MALFORMED),
        (5, b"\x20\3\0\1\0", WRONG),
        (4, b"\x90\2\0\1", WRONG),
        (4, b"\x90\3\0\1\3", WRONG),
        (4, b"\x90\3\0\1\x87", WRONG),
        (5, b"\x90\4\0\1\0\4", WRONG),
        (4, b"\x90\3\0\0\0", WRONG),
        (4, b"\xb0\3\0\1\0", MALFORMED),
        (5, b"\xb0\3\0\1\0", WRONG),
        (5, b"\xb0\4\0\1\0\1", WRONG),
        (4, b"\xd0\1\0", MALFORMED),
        (4, b"\xe0\0", WRONG),
        (5, b"\xe0\1\4", WRONG),
        (5, b"\xf0\6\x19\4\x15\0\1M", WRONG),
    ],
)
def test_what_no_server_may_send_is_refused(level, packet, reason):
    with pytest.raises(MQTTProtocolError) as raised:
        read(level, packet)

    assert raised.value.reason == reason
