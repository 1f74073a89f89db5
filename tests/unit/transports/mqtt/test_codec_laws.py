"""What holds for all packets and all bytes: round trips, pieces, cuts and changed bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.mqtt_packets import CONNECT_5, SAMPLES, client_bytes, server_bytes
from thingstead.transports.mqtt.codec import (
    FROM_SERVER,
    Auth,
    Connack,
    Connect,
    Decoder,
    Disconnect,
    MQTTProtocolError,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscribeRequest,
    Unsuback,
    Unsubscribe,
    Will,
)
from thingstead.transports.mqtt.codec.properties import NO_PROPERTIES
from thingstead.transports.mqtt.codec.reasons import (
    CLIENT_DISCONNECT_REASONS,
    CONNACK_REASONS,
    PUBACK_REASONS,
    PUBREL_REASONS,
    SERVER_DISCONNECT_REASONS,
    SUBACK_REASONS,
    UNSUBACK_REASONS,
)

LARGE = 1_000_000
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
topics = st.text(st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=20)
filters = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
binaries = st.binary(max_size=20)
numbers = st.integers(1, 65_535)
levels = st.sampled_from([3, 4, 5])

VALUES = {
    "payload_format_indicator": st.integers(0, 1),
    "message_expiry_s": st.integers(0, 2**32 - 1),
    "content_type": texts,
    "response_topic": topics,
    "correlation_data": binaries,
    "session_expiry_s": st.integers(0, 2**32 - 1),
    "assigned_client_id": texts,
    "server_keep_alive_s": st.integers(0, 65_535),
    "request_problem_information": st.integers(0, 1),
    "will_delay_s": st.integers(0, 2**32 - 1),
    "server_reference": texts,
    "reason_string": texts,
    "receive_maximum": numbers,
    "topic_alias_maximum": st.integers(0, 65_535),
    "topic_alias": numbers,
    "maximum_packet_bytes": st.integers(1, 2**32 - 1),
    "subscription_identifiers": st.tuples(st.integers(1, 268_435_455)),
    "user_properties": st.lists(st.tuples(texts, texts), max_size=3).map(tuple),
}


def properties_for(level, *names):
    if level < 5:
        return st.just(NO_PROPERTIES)
    return st.fixed_dictionaries({}, optional={name: VALUES[name] for name in names}).map(
        lambda found: Properties(**found)
    )


def answers_for(level, reasons):
    return st.sampled_from(sorted(reasons)) if level == 5 else st.just(0)


def acknowledgements(level):
    said = properties_for(level, "reason_string", "user_properties")
    kinds = [(kind, PUBACK_REASONS) for kind in (Puback, Pubrec)]
    kinds += [(kind, PUBREL_REASONS) for kind in (Pubrel, Pubcomp)]
    return st.one_of(
        st.builds(kind, numbers, answers_for(level, reasons), said) for kind, reasons in kinds
    )


@st.composite
def publishes(draw, level, *more_names):
    qos = draw(st.integers(0, 2))
    names = ("message_expiry_s", "content_type", "response_topic", "topic_alias", *more_names)
    return Publish(
        draw(topics),
        draw(binaries),
        qos,
        draw(st.booleans()),
        draw(st.booleans()) and qos > 0,
        draw(numbers) if qos else None,
        draw(properties_for(level, "user_properties", "correlation_data", *names)),
    )


@st.composite
def connects(draw):
    level = draw(levels)
    will_properties = properties_for(level, "will_delay_s", "content_type", "user_properties")
    wills = st.builds(
        Will, topics, binaries, st.integers(0, 2), st.booleans(), properties=will_properties
    )
    user_name = draw(st.none() | texts)
    has_password = level == 5 or user_name is not None
    names = ("session_expiry_s", "receive_maximum", "topic_alias_maximum", "maximum_packet_bytes")
    return Connect(
        level,
        draw(topics),
        draw(st.booleans()),
        draw(st.integers(0, 65_535)),
        user_name,
        draw(st.none() | binaries) if has_password else None,
        draw(st.none() | wills),
        draw(properties_for(level, "request_problem_information", *names)),
    )


@st.composite
def client_packets(draw, level):
    users = properties_for(level, "user_properties")
    known = properties_for(level, "subscription_identifiers", "user_properties")
    requests = st.builds(SubscribeRequest, filters, st.integers(0, 2))
    said = properties_for(level, "session_expiry_s", "reason_string")
    return draw(
        st.one_of(
            publishes(level),
            acknowledgements(level),
            st.builds(
                Subscribe, numbers, st.lists(requests, min_size=1, max_size=4).map(tuple), known
            ),
            st.builds(
                Unsubscribe, numbers, st.lists(filters, min_size=1, max_size=4).map(tuple), users
            ),
            st.just(Pingreq()),
            st.builds(Disconnect, answers_for(level, CLIENT_DISCONNECT_REASONS), said),
        )
    )


@st.composite
def server_packets(draw, level):
    said = properties_for(level, "reason_string", "user_properties")
    names = ("assigned_client_id", "server_keep_alive_s", "receive_maximum", "session_expiry_s")
    connacks = st.builds(
        Connack,
        st.just(False),
        answers_for(level, CONNACK_REASONS),
        properties_for(level, *names, "reason_string"),
    )
    reasons = st.sampled_from(sorted(SUBACK_REASONS if level == 5 else {0, 1, 2, 0x80}))
    released = st.lists(st.sampled_from(sorted(UNSUBACK_REASONS)), min_size=1).map(tuple)
    kinds = [
        publishes(level, "subscription_identifiers"),
        acknowledgements(level),
        connacks,
        st.builds(Suback, numbers, st.lists(reasons, min_size=1).map(tuple), said),
        st.builds(Unsuback, numbers, released if level == 5 else st.just(()), said),
        st.just(Pingresp()),
    ]
    if level == 5:
        ends = properties_for(level, "server_reference", "reason_string")
        methods = st.builds(Properties, authentication_method=texts, reason_string=texts)
        kinds += [
            st.builds(Disconnect, st.sampled_from(sorted(SERVER_DISCONNECT_REASONS)), ends),
            st.builds(Auth, st.sampled_from([0, 0x18]), methods),
        ]
    return draw(st.one_of(kinds))


def decoder_for(level, side=None):
    decoder = Decoder(LARGE, max_connect_bytes=LARGE, **({"side": side} if side else {}))
    decoder.level = level
    return decoder


def outcome(decoder, pieces):
    """Return what the decoder says to the pieces: the packets, and the error if any."""
    packets = []
    try:
        for piece in pieces:
            for packet in decoder.feed(piece):
                packets.append(packet)  # noqa: PERF402 - what comes before an error is kept
    except MQTTProtocolError as error:
        return packets, (error.reason, str(error))
    return packets, None


@given(connects())
def test_a_connect_is_read_as_it_was_written(packet):
    assert list(decoder_for(0).feed(client_bytes(packet, packet.level))) == [packet]


@given(st.data(), levels)
def test_what_clients_write_is_read_as_it_was_written(data, level):
    packets = data.draw(st.lists(client_packets(level), max_size=3))

    stream = b"".join(client_bytes(packet, level) for packet in packets)

    assert list(decoder_for(level).feed(stream)) == packets


@given(st.data(), levels)
def test_what_the_server_writes_is_read_as_it_was_written(data, level):
    packet = data.draw(server_packets(level))

    # MQTT 3 is told the return code for a reason; here the only one is success.
    assert list(decoder_for(level, FROM_SERVER).feed(server_bytes(packet, level))) == [packet]


@given(st.data(), levels)
def test_a_stream_gives_the_same_packets_however_it_is_cut(data, level):
    packets = data.draw(st.lists(client_packets(level), min_size=1, max_size=4))
    stream = b"".join(client_bytes(packet, level) for packet in packets)
    stream += data.draw(st.binary(max_size=5))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))

    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert outcome(decoder_for(level), pieces) == outcome(decoder_for(level), [stream])


@given(st.sampled_from([0, 3, 4, 5]), st.sampled_from([None, FROM_SERVER]), st.binary())
def test_any_bytes_are_packets_or_a_protocol_error(level, side, data):
    decoder = decoder_for(level, side)

    outcome(decoder, [data])

    assert decoder.kept_bytes <= len(data)


WHOLE = [(level, packet) for level, packets in SAMPLES.items() for packet in packets]
WHOLE.append((5, CONNECT_5))


def started(level, packet):
    return decoder_for(0 if isinstance(packet, Connect) else level)


@pytest.mark.parametrize(("level", "packet"), WHOLE)
def test_every_part_of_a_packet_is_incomplete(level, packet):
    whole = client_bytes(packet, level)

    for end in range(len(whole)):
        decoder = started(level, packet)
        assert list(decoder.feed(whole[:end])) == []
        assert list(decoder.feed(whole[end:])) == [packet]


@pytest.mark.parametrize(("level", "packet"), WHOLE)
def test_every_packet_with_one_byte_changed_is_read_or_refused(level, packet):
    whole = client_bytes(packet, level)

    for at in range(len(whole)):
        for byte in range(256):
            changed = whole[:at] + bytes((byte,)) + whole[at + 1 :]
            outcome(started(level, packet), [changed])


@pytest.mark.parametrize(("level", "packet"), WHOLE)
def test_a_body_cut_short_is_refused_or_another_packet(level, packet):
    whole = client_bytes(packet, level)
    assert whole[1] < 0x80

    for length in range(len(whole) - 2):
        cut = bytes((whole[0], length)) + whole[2 : 2 + length]
        packets, error = outcome(started(level, packet), [cut])
        assert (len(packets), error is None) in ((1, True), (0, False))
        assert packets != [packet]


@pytest.mark.parametrize(("level", "packet"), WHOLE)
def test_a_packet_cut_short_takes_nothing_from_the_next(level, packet):
    whole = client_bytes(packet, level)

    for length in range(len(whole) - 2):
        cut = bytes((whole[0], length)) + whole[2 : 2 + length]
        alone, error = outcome(started(level, packet), [cut])
        packets, first_error = outcome(started(level, packet), [cut + whole[2 + length :]])
        assert (packets[:1], first_error if not alone else None) == (alone, error)
