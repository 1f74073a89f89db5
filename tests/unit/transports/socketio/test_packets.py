import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.transports.socketio import packets
from thingstead.transports.socketio.packets import (
    Generation,
    MalformedPacketError,
    SocketPacket,
    SocketPacketType,
    join_payload,
    packet_of,
    socket_packet_of,
    split_payload,
)

THREE, FOUR = Generation.THREE, Generation.FOUR
# What JavaScript can hold in a text and UTF-8 can carry.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def utf16_units(text):
    return len(text.encode("utf-16-le")) // 2


def counted(*texts):
    """A payload as engine.io-parser 2 writes it."""
    return "".join(f"{utf16_units(text)}:{text}" for text in texts).encode()


def framed(*texts):
    """A payload as engine.io-parser 1.2 writes it, all texts."""
    pieces = [text.encode() for text in texts]
    return b"".join(
        b"\0" + bytes(int(digit) for digit in str(len(piece))) + b"\xff" + piece for piece in pieces
    )


@pytest.mark.parametrize(
    ("generation", "body", "expected"),
    [
        (THREE, b"6:40/v2,1:2", ["40/v2,", "2"]),
        (THREE, b"1:2", ["2"]),
        (FOUR, b"40/v2,\x1e3", ["40/v2,", "3"]),
        (FOUR, b"3", ["3"]),
    ],
)
def test_a_payload_is_split_into_its_packets(generation, body, expected):
    assert split_payload(generation, body) == expected


def test_lengths_of_the_third_generation_count_utf16_units():
    assert split_payload(THREE, "3:4😀2:4é".encode()) == ["4😀", "4é"]


def test_a_framed_payload_counts_bytes():
    body = b"\x00\x06\xff40/v2,\x00\x03\xff4\xc3\xa9"

    assert split_payload(THREE, body, is_framed=True) == ["40/v2,", "4é"]


@given(st.lists(TEXTS, min_size=1, max_size=10))
def test_what_the_clients_of_the_third_generation_write_is_read(texts):
    assert split_payload(THREE, counted(*texts)) == texts
    assert split_payload(THREE, framed(*texts), is_framed=True) == texts


@given(st.lists(TEXTS.filter(lambda text: "\x1e" not in text), min_size=1, max_size=10))
def test_what_the_clients_of_the_fourth_generation_write_is_read(texts):
    assert split_payload(FOUR, "\x1e".join(texts).encode()) == texts


@pytest.mark.parametrize(
    "body",
    [b"", b"2", b":2", b"x:2", b"2:2", b"-1:2", b"1:2x", b"12345678:2", b"1:\xff", b" 1:2"],
)
def test_a_malformed_payload_of_the_third_generation_is_refused(body):
    with pytest.raises(MalformedPacketError):
        split_payload(THREE, body)


def test_a_length_may_not_cut_a_character():
    with pytest.raises(MalformedPacketError):
        split_payload(THREE, "2:4😀".encode())


@pytest.mark.parametrize(
    "body",
    [b"", b"\x00", b"\x00\xff", b"\x00\x01", b"\x00\x02\xff2", b"\x01\x01\xff2", b"\x00\x0a\xff2"],
)
def test_a_malformed_framed_payload_is_refused(body):
    with pytest.raises(MalformedPacketError):
        split_payload(THREE, body, is_framed=True)


@pytest.mark.parametrize("generation", [THREE, FOUR])
def test_a_payload_may_have_128_packets_and_no_more(generation):
    most = [b"2"] * 128

    assert len(split_payload(generation, join_payload(generation, most))) == 128
    with pytest.raises(MalformedPacketError):
        split_payload(generation, join_payload(generation, [*most, b"2"]))


def test_a_framed_payload_may_have_128_packets_and_no_more():
    assert len(split_payload(THREE, framed(*["2"] * 128), is_framed=True)) == 128
    with pytest.raises(MalformedPacketError):
        split_payload(THREE, framed(*["2"] * 129), is_framed=True)


@given(st.sampled_from([THREE, FOUR]), st.binary(max_size=200), st.booleans())
def test_any_bytes_are_packets_or_refused(generation, body, is_framed):
    try:
        found = split_payload(generation, body, is_framed=is_framed)
    except MalformedPacketError:
        return
    assert found


@given(st.text(max_size=100))
def test_any_text_is_a_packet_or_refused(text):
    for parse in (packet_of, socket_packet_of):
        try:
            assert parse(text)
        except MalformedPacketError:
            continue


@given(st.from_regex(r"[0-7](/[a-z?=]{0,70},?)?[0-9]{0,20}(\[.*)?", fullmatch=True))
def test_whatever_resembles_a_packet_is_one_or_refused(text):
    try:
        found = socket_packet_of(text)
    except MalformedPacketError:
        return
    assert found.namespace.startswith("/")
    assert len(found.namespace) <= 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0/v2", SocketPacket(SocketPacketType.CONNECT, "/v2", None, "")),
        ("0/v2,", SocketPacket(SocketPacketType.CONNECT, "/v2", None, "")),
        ("0/v2?a=1,", SocketPacket(SocketPacketType.CONNECT, "/v2", None, "")),
        ('0/v2,{"a":1}', SocketPacket(SocketPacketType.CONNECT, "/v2", None, '{"a":1}')),
        ("0", SocketPacket(SocketPacketType.CONNECT, "/", None, "")),
        ("1/v2,", SocketPacket(SocketPacketType.DISCONNECT, "/v2", None, "")),
        ('2/v2,["a",{}]', SocketPacket(SocketPacketType.EVENT, "/v2", None, '["a",{}]')),
        ('2/v2,0["a"]', SocketPacket(SocketPacketType.EVENT, "/v2", 0, '["a"]')),
        ('212["a"]', SocketPacket(SocketPacketType.EVENT, "/", 12, '["a"]')),
    ],
)
def test_a_packet_is_read(text, expected):
    assert socket_packet_of(text) == expected


@pytest.mark.parametrize("text", ["", "7", "x", '51-["a",{"_placeholder":true}]', "61-[]", "2,[]"])
def test_what_is_no_packet_or_a_binary_one_is_refused(text):
    with pytest.raises(MalformedPacketError):
        socket_packet_of(text)


def test_a_namespace_has_at_most_64_characters():
    assert socket_packet_of("0/" + 63 * "a").namespace == "/" + 63 * "a"
    with pytest.raises(MalformedPacketError):
        socket_packet_of("0/" + 64 * "a")


def test_a_namespace_beyond_ascii_is_refused():
    with pytest.raises(MalformedPacketError):
        socket_packet_of("0/é")


@given(st.text(max_size=60))
def test_events_are_ascii_and_mean_the_same(text):
    try:
        document = json.dumps([text], ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return

    packet = packets.event_packet("/v2", "/me/resources/x", document)

    assert packet.isascii()
    assert json.loads(packet.removeprefix(b"42/v2,")) == ["/me/resources/x", [text]]


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (packets.connected_packet(THREE, "/", "x"), b"40"),
        (packets.connected_packet(THREE, "/v2", "x"), b"40/v2,"),
        (packets.connected_packet(FOUR, "/v2", "x"), b'40/v2,{"sid":"x"}'),
        (packets.refused_packet(THREE, "/v3", "no"), b'44/v3,"no"'),
        (packets.refused_packet(FOUR, "/v3", "no"), b'44/v3,{"message":"no"}'),
        (packets.ack_packet("/v2", 7, b"{}"), b"43/v2,7[{}]"),
        (packets.event_packet("/v2", "a", b"[]"), b'42/v2,["a",[]]'),
    ],
)
def test_what_is_sent_looks_as_the_clients_expect(packet, expected):
    assert packet == expected


def test_the_first_packet_says_how_the_connection_works():
    packet = packets.open_packet(
        "x", has_upgrade=True, ping_interval_ms=25_000, ping_timeout_ms=20_000, most_bytes=65_536
    )

    assert packet[:1] == b"0"
    assert json.loads(packet[1:]) == {
        "sid": "x",
        "upgrades": ["websocket"],
        "pingInterval": 25_000,
        "pingTimeout": 20_000,
        "maxPayload": 65_536,
    }
