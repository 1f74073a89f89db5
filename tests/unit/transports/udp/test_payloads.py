"""What a payload stores."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.features.devices.decoding import parse_decoder
from thingstead.features.values.model import IncomingValue
from thingstead.transports.udp.payloads import write_of

DECODER = parse_decoder("first::uint:8")
WRITE = {"values": [{"key": "t", "value": 21.5, "datetime": "20260131120000"}]}
T = [IncomingValue("t", 21.5, None, "20260131120000")]


@pytest.mark.parametrize("decoder", [None, DECODER], ids=["plain", "decoder"])
@pytest.mark.parametrize(
    "payload",
    [
        msgspec.json.encode(WRITE),
        b" \n" + msgspec.json.encode(WRITE),
        msgspec.msgpack.encode(WRITE),
    ],
    ids=["json", "blanks", "msgpack"],
)
def test_a_write_is_taken_as_one(payload, decoder):
    assert write_of(payload, decoder).values == T


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b'{"a":1}',
        b'{"values":[]',
        b"\x81",
        b"\x81\xa1a\x01",
        b"\xde\x00\x01",
        b"\xdf",
        b"\x17",
        b" ",
        b"[1]",
    ],
    ids=repr,
)
def test_what_is_no_write_is_bytes(payload):
    assert write_of(payload, None).values == [IncomingValue("data", payload.hex())]
    assert write_of(payload, DECODER).values == [IncomingValue("first", payload[0])]


@pytest.mark.parametrize("mark", [b"\xde\x00\x01", b"\xdf\x00\x00\x00\x01"])
def test_maps_with_wide_counts_are_maps(mark):
    payload = mark + msgspec.msgpack.encode(WRITE)[1:]

    assert write_of(payload, None).values == T


@given(st.binary(min_size=1, max_size=80))
def test_no_bytes_make_it_fail(payload):
    assert write_of(payload, DECODER).values
