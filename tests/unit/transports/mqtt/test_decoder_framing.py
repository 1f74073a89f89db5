"""The stream of packets: pieces, limits, what is kept, and what comes before an error."""

import tracemalloc

import pytest

from support.mqtt_packets import SAMPLES, client_bytes, framed
from thingstead.transports.mqtt.codec import (
    FROM_SERVER,
    Connect,
    Decoder,
    MQTTProtocolError,
    Pingreq,
    Puback,
    Publish,
    Reason,
)

CONNECT = client_bytes(SAMPLES[4][0], 4)
PING = b"\xc0\x00"


def connected(level=4, max_packet_bytes=1000):
    decoder = Decoder(max_packet_bytes)
    decoder.level = level
    return decoder


def refused(decoder, data):
    with pytest.raises(MQTTProtocolError) as raised:
        list(decoder.feed(data))
    return raised.value.reason


def publish_of(size):
    """Return a QoS 0 PUBLISH of so many bytes in all."""
    for head in (2, 3, 4, 5):
        body = size - head
        packet = framed(0x30, b"\0\1t" + bytes(body - 3))
        if len(packet) == size:
            return packet
    raise AssertionError(size)


def test_the_level_is_0_until_a_connect_says_it():
    decoder = Decoder(1000)
    before = decoder.level

    packets = list(decoder.feed(CONNECT))

    assert (before, decoder.level) == (0, 4)
    assert isinstance(packets[0], Connect)


@pytest.mark.parametrize("level", [3, 4, 5])
def test_all_packets_of_a_connection_come_in_order_from_one_feed(level):
    data = b"".join(client_bytes(packet, level) for packet in SAMPLES[level])

    assert list(Decoder(1000).feed(data)) == SAMPLES[level]


@pytest.mark.parametrize("level", [3, 4, 5])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_all_packets_of_a_connection_come_in_order_from_small_pieces(level, size):
    data = b"".join(client_bytes(packet, level) for packet in SAMPLES[level])
    decoder = Decoder(1000)

    packets = []
    for at in range(0, len(data), size):
        packets += decoder.feed(data[at : at + size])

    assert packets == SAMPLES[level]
    assert decoder.kept_bytes == 0


def test_nothing_fed_is_nothing():
    assert list(connected().feed(b"")) == []


def test_a_packet_is_delivered_as_soon_as_its_last_byte_is_there():
    decoder = connected()
    packet = publish_of(300)

    early = list(decoder.feed(packet[:-1]))

    assert early == []
    assert list(decoder.feed(packet[-1:] + PING[:1])) == [Publish("t", bytes(294))]
    assert decoder.kept_bytes == 1


def test_a_packet_of_the_largest_size_is_taken():
    assert len(list(connected(max_packet_bytes=1000).feed(publish_of(1000)))) == 1


@pytest.mark.parametrize("size", [1001, 20_000, 3_000_000])
def test_a_larger_packet_is_refused_when_its_head_shows_it(size):
    head = publish_of(size)[:5]

    assert refused(connected(max_packet_bytes=1000), head) == Reason.PACKET_TOO_LARGE


def test_the_refusal_of_a_large_packet_names_the_limit():
    with pytest.raises(MQTTProtocolError, match="at most 1000 bytes"):
        connected(max_packet_bytes=1000).feed(publish_of(1001))


@pytest.mark.parametrize(("spare", "fits"), [(0, True), (1, False)])
def test_before_connect_the_smaller_limit_holds(spare, fits):
    user = b"u" * (4096 - 3 - 10 - 3 - 2 + spare)
    body = b"\0\4MQTT\4\x82\0\0\0\1c" + len(user).to_bytes(2, "big") + user
    packet = framed(0x10, body)
    decoder = Decoder(100_000)

    if fits:
        assert len(packet) == 4096
        assert len(list(decoder.feed(packet))) == 1
    else:
        assert refused(decoder, packet) == Reason.PACKET_TOO_LARGE


def test_the_limit_before_connect_can_be_set():
    assert refused(Decoder(1000, max_connect_bytes=20), CONNECT) == Reason.PACKET_TOO_LARGE


def test_the_larger_limit_holds_from_the_byte_behind_connect():
    decoder = Decoder(10_000)

    packets = list(decoder.feed(CONNECT + publish_of(9_000)))

    assert len(packets) == 2


@pytest.mark.parametrize("head", [bytes((head,)) for head in range(256) if head != 0x10])
def test_anything_but_connect_is_refused_at_its_first_byte(head):
    assert refused(Decoder(1000), head) == Reason.PROTOCOL_ERROR


@pytest.mark.parametrize("level", [3, 4, 5])
def test_a_second_connect_is_refused(level):
    assert refused(connected(level), b"\x10") == Reason.PROTOCOL_ERROR


# By packet type: the low four bits with which a client may begin it; MQTT 3.1 is looser.
FLAGS = {3: {0, 1, 2, 3, 4, 5, 10, 11, 12, 13}, 4: {0}, 5: {0}, 6: {2}, 7: {0}, 8: {2}, 10: {2}}
FLAGS |= {12: {0}, 14: {0}}
FLAGS_BY_LEVEL = {
    3: FLAGS | {3: FLAGS[3] | {8, 9}, 6: {2, 10}, 8: {2, 10}, 10: {2, 10}},
    4: FLAGS,
    5: FLAGS | {15: {0}},
}


def is_taken(level, data):
    try:
        connected(level).feed(data)
    except MQTTProtocolError:
        return False
    return True


@pytest.mark.parametrize("level", [3, 4, 5])
def test_every_first_byte_is_taken_or_refused_at_once(level):
    taken = {head for head in range(256) if is_taken(level, bytes((head,)))}

    expected = FLAGS_BY_LEVEL[level]
    assert taken == {kind << 4 | bits for kind in expected for bits in expected[kind]}


def test_a_server_may_not_send_what_clients_send():
    decoder = Decoder(1000, side=FROM_SERVER)
    decoder.level = 4

    assert refused(decoder, b"\x82") == Reason.PROTOCOL_ERROR


def test_a_reader_of_a_server_has_to_say_the_level_first():
    assert refused(Decoder(1000, side=FROM_SERVER), b"\x20") == Reason.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("length", "level", "is_good"),
    [
        (b"\x80\x00", 3, True),
        (b"\x80\x80\x80\x00", 4, True),
        (b"\x80\x00", 5, False),
        (b"\x80\x80\x80\x00", 5, False),
        (b"\x80\x80\x80\x80", 4, False),
        (b"\xff\xff\xff\xff", 5, False),
    ],
)
def test_the_length_has_four_bytes_at_most_and_in_mqtt_5_the_shortest_form(length, level, is_good):
    decoder = connected(level)

    if is_good:
        assert list(decoder.feed(b"\xc0" + length)) == [Pingreq()]
    else:
        assert refused(decoder, b"\xc0" + length) == Reason.MALFORMED_PACKET


@pytest.mark.parametrize("size", [127 + 2, 128 + 3, 16_383 + 3, 16_384 + 4, 2_097_152 + 5])
def test_lengths_are_read_where_their_form_grows(size):
    decoder = connected(max_packet_bytes=size)

    (packet,) = decoder.feed(publish_of(size))

    assert isinstance(packet, Publish)
    assert len(packet.payload) > size - 9


def test_good_packets_before_a_bad_one_come_first():
    packets = iter(connected().feed(PING + b"\x40\x02\0\x07" + b"\xff" + PING))

    assert next(packets) == Pingreq()
    assert next(packets) == Puback(7)
    with pytest.raises(MQTTProtocolError):
        next(packets)


def test_after_an_error_every_feed_raises_the_same():
    decoder = connected()
    first = refused(decoder, PING + b"\x40\x02\0\0")

    assert refused(decoder, PING) == refused(decoder, b"") == first == Reason.PROTOCOL_ERROR


def test_an_error_keeps_nothing_of_what_was_received():
    decoder = connected()
    refused(decoder, b"\x30\x03\0\1\xff")

    with pytest.raises(MQTTProtocolError) as raised:
        decoder.feed(PING)

    assert raised.value.__context__ is None
    assert decoder.kept_bytes == 0


def test_an_empty_payload_and_the_same_topic_again_are_read():
    packets = list(connected().feed(b"\x30\x03\0\1t" * 2 + b"\x30\x03\0\1u"))

    assert [packet.topic for packet in packets] == ["t", "t", "u"]


def test_what_waits_takes_little_more_than_its_bytes():
    decoder = connected(max_packet_bytes=65_536)
    packet = publish_of(65_536)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]

    for at in range(len(packet) - 1):
        decoder.feed(packet[at : at + 1])
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert decoder.kept_bytes == 65_535
    assert kept < 2 * 65_535


def test_a_packet_in_pieces_is_looked_at_once(monkeypatch):
    decoder = connected(max_packet_bytes=65_536)
    packet = publish_of(65_536)
    looked = []
    decode = Decoder._decode
    monkeypatch.setattr(
        Decoder, "_decode", lambda self, *rest: looked.append(1) or decode(self, *rest)
    )

    for at in range(len(packet)):
        list(decoder.feed(packet[at : at + 1]))

    # Once for each byte of the head, and once for the whole.
    assert len(looked) <= 6


def test_an_announced_length_takes_no_memory():
    decoder = connected(max_packet_bytes=1_000_000)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]

    decoder.feed(publish_of(1_000_000)[:10])
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert kept < 1_000


@pytest.mark.parametrize("size", [256, 257])
def test_a_long_topic_is_read_but_not_remembered(size):
    decoder = connected()
    topic = "t" * size

    packets = list(decoder.feed(framed(0x30, size.to_bytes(2, "big") + topic.encode()) * 2))

    assert [packet.topic for packet in packets] == [topic, topic]
    assert (decoder._topic == topic) == (size == 256)
