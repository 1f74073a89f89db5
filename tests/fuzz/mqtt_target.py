"""What must hold for any bytes that an MQTT client or server sends.

`check_one` takes one input of the fuzzer: the first byte chooses whose bytes they are and
the level, the second the size of the pieces, the rest is the stream. Whatever is wrong
raises something else than MQTTProtocolError, which is handled here.
"""

import sys

from support.mqtt_packets import client_bytes, server_bytes
from thingstead.transports.mqtt.codec import (
    FROM_CLIENT,
    FROM_SERVER,
    Connect,
    Decoder,
    MQTTProtocolError,
    Publish,
    Subscribe,
    Unsubscribe,
)
from thingstead.transports.mqtt.topics import (
    TopicKind,
    TopicRefusedError,
    check_filter,
    matches,
    parse_filter,
    parse_topic,
)

MAX_PACKET_BYTES = 65_536
MODES = [(FROM_CLIENT, 0), (FROM_CLIENT, 3), (FROM_CLIENT, 4), (FROM_CLIENT, 5)]
MODES += [(FROM_SERVER, 3), (FROM_SERVER, 4), (FROM_SERVER, 5)]


def check_one(data):
    if len(data) < 2:
        return
    mode = MODES[data[0] % len(MODES)]
    stream = data[2:]
    whole = outcome(mode, [stream])
    size = data[1] % 32
    if size:
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert outcome(mode, pieces) == whole, "other pieces gave other packets"
    for packet in whole[0]:
        check_round_trip(packet, mode[0], whole[2])
        check_topics(packet)


def outcome(mode, pieces):
    """Return the packets, the error if any, and the level at the end."""
    side, level = mode
    decoder = Decoder(MAX_PACKET_BYTES, side=side)
    decoder.level = level
    packets, error, fed = [], None, 0
    for piece in pieces:
        fed += len(piece)
        said = fed_one(decoder, piece, packets)
        assert error is None or said == error, "an error did not last"
        error = said
        check_memory(decoder, fed)
    return packets, error, decoder.level


def fed_one(decoder, piece, packets):
    try:
        for packet in decoder.feed(piece):
            packets.append(packet)
    except MQTTProtocolError as exc:
        return exc.reason, str(exc)
    return None


def check_memory(decoder, fed):
    kept = [decoder._rest, decoder._topic, decoder._topic_bytes, decoder._failure]
    assert sum(map(sys.getsizeof, kept)) <= 2 * fed + 65_536
    assert decoder.kept_bytes <= min(fed, MAX_PACKET_BYTES)


def check_round_trip(packet, side, level):
    """What was understood can be written, and is understood in the same way again."""
    if side is FROM_SERVER and level < 5 and getattr(packet, "reason", 0):
        return  # The encoder takes the reasons of MQTT 5, not return codes.
    write = client_bytes if side is FROM_CLIENT else server_bytes
    decoder = Decoder(2 * MAX_PACKET_BYTES, max_connect_bytes=2 * MAX_PACKET_BYTES, side=side)
    decoder.level = 0 if isinstance(packet, Connect) else level
    assert list(decoder.feed(write(packet, level))) == [packet]


def check_topics(packet):
    match packet:
        case Publish():
            topics, filters = [packet.topic], []
        case Subscribe():
            topics, filters = [], [request.filter for request in packet.requests[:50]]
        case Unsubscribe():
            topics, filters = [], list(packet.filters[:50])
        case _:
            return
    for topic in topics:
        attempt(parse_topic, topic)
    for text in filters:
        if attempt(check_filter, text) is not TopicRefusedError:
            assert matches(text, "a/b") == naive(text.split("/"), ["a", "b"])
        found = attempt(parse_filter, text)
        if found is not TopicRefusedError:
            check_filter_target(found)


def check_filter_target(found):
    is_open = "+" in found.filter or "#" in found.filter
    assert is_open == (found.kind is TopicKind.SUBTREE)
    if is_open:
        assert found.filter.startswith(f"v2/things/{found.token}/")
        assert not found.covers("v2/things/ANOTHER/x") or found.token == "ANOTHER"


def attempt(parse, text):
    try:
        return parse(text)
    except TopicRefusedError:
        return TopicRefusedError


def naive(levels, names):
    if levels == ["#"]:
        return True
    if not levels or not names:
        return not levels and not names
    return levels[0] in ("+", names[0]) and naive(levels[1:], names[1:])
