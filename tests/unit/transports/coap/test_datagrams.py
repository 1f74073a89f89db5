import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.coap import CON, NON, Packet
from thingstead.transports.coap.datagrams import Kind, MalformedError, Number, read_datagram


def test_request_is_read():
    packet = Packet(NON, 2, 7, b"tk", [(11, b"v2"), (11, b"things"), (12, b"\x32")], b"{}")

    read = read_datagram(packet.encode())

    assert (read.kind, read.code, read.message_id, read.token) == (Kind.NON, 2, 7, b"tk")
    assert read.options == (
        (Number.URI_PATH, b"v2"),
        (Number.URI_PATH, b"things"),
        (Number.CONTENT_FORMAT, b"\x32"),
    )
    assert (read.payload, read.bad_option) == (b"{}", None)


@pytest.mark.parametrize("length", [0, 12, 13, 268, 269, 1_024])
def test_option_of_any_length_is_read(length):
    read = read_datagram(Packet(CON, 1, options=[(11, b"x" * length)]).encode())

    assert read.options == ((Number.URI_PATH, b"x" * length),)


@pytest.mark.parametrize(
    ("options", "bad"),
    [
        ([(9, b"")], 9),
        ([(65_001, b"x")], 65_001),
        ([(65_000, b"x")], None),
        ([(17, b"\x01\x02\x03")], 17),
        ([(6, b"1234")], None),
        ([(35, b"a"), (35, b"b")], 35),
        ([(60, b"a"), (60, b"b")], None),
        ([(11, b"x" * 1_025)], 11),
        ([(252, b"")], None),
        ([(252, b"x" * 41)], None),
    ],
)
def test_critical_option_that_cannot_be_obeyed_is_told(options, bad):
    read = read_datagram(Packet(CON, 1, options=options).encode())

    assert read.bad_option == bad


def test_unknown_elective_option_is_left_out():
    read = read_datagram(Packet(CON, 1, options=[(4, b"etag"), (11, b"a")]).encode())

    assert read.options == ((Number.URI_PATH, b"a"),)


def test_sixty_four_options_are_read_and_sixty_five_are_not():
    options = [(11, b"a")] * 65

    assert len(read_datagram(Packet(CON, 1, options=options[:64]).encode()).options) == 64
    with pytest.raises(MalformedError):
        read_datagram(Packet(CON, 1, options=options).encode())


def test_token_of_eight_bytes_is_read_and_one_of_nine_is_not():
    assert read_datagram(b"\x48\x01\x00\x01" + b"t" * 8).token == b"t" * 8
    with pytest.raises(MalformedError):
        read_datagram(b"\x49\x01\x00\x01" + b"t" * 9)


def test_only_what_may_be_reset_is_told_by_its_id():
    with pytest.raises(MalformedError) as confirmable:
        read_datagram(b"\x40\x01\x12\x34\xff")
    with pytest.raises(MalformedError) as other:
        read_datagram(b"\x50\x01\x12\x34\xff")

    assert confirmable.value.confirmable_id == 0x1234
    assert other.value.confirmable_id is None


@given(st.binary(max_size=80))
@example(b"\x40\x01\x00\x01\xee\xff\xff\xff\xff")
def test_any_bytes_are_read_or_refused(raw):
    try:
        read = read_datagram(raw)
    except MalformedError:
        return

    assert len(read.payload) < len(raw)


@given(
    st.lists(st.tuples(st.sampled_from([3, 11, 15, 60, 2_000]), st.binary(max_size=300))),
    st.binary(max_size=20),
    st.binary(max_size=8),
)
def test_what_was_written_is_read(options, payload, token):
    options = sorted(options[:64], key=lambda option: option[0])
    packet = Packet(CON, 1, 5, token, options, payload)

    read = read_datagram(packet.encode())

    kept = [(int(number), value) for number, value in read.options if number in {11, 15}]
    assert kept == [(number, value) for number, value in options if number in {11, 15}]
    assert (read.token, read.payload) == (token, payload)
