"""Taking datagrams apart."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.transports.udp.datagrams import (
    ByDevice,
    ByToken,
    Datagram,
    parse_datagram,
    signed_payload,
)
from thingstead.transports.udp.statuses import RefusedDatagramError, Status

# The example of the original's documentation: product 32609, hash ABCDEFGHIJKLMN.
BY_DEVICE = b"\x00\x02\x7f\x61ABCDEFGHIJKLMN\x034D9"
BY_TOKEN = b"\x01" + b"t" * 43
KEY = b"k" * 43


def status(data):
    with pytest.raises(RefusedDatagramError) as refused:
        parse_datagram(data)
    return refused.value.status


def test_a_device_names_its_product_the_hash_and_itself():
    assert parse_datagram(BY_DEVICE + b"\x17\x13") == Datagram(
        ByDevice("32609", "ABCDEFGHIJKLMN", "4D9"), b"\x17\x13"
    )


def test_a_thing_names_its_token():
    assert parse_datagram(BY_TOKEN + b"x") == Datagram(ByToken("t" * 43), b"x")


@pytest.mark.parametrize("first", range(2, 256, 23))
def test_another_first_byte_is_no_protocol(first):
    assert status(bytes([first]) + b"x" * 100) is Status.INVALID_PROTOCOL


def test_an_empty_datagram_is_no_protocol():
    assert status(b"") is Status.INVALID_PROTOCOL


@pytest.mark.parametrize("whole", [BY_DEVICE + b"p", BY_TOKEN + b"p"], ids=["device", "token"])
def test_a_datagram_cut_anywhere_is_refused_for_its_length(whole):
    for length in range(1, len(whole)):
        assert status(whole[:length]) is Status.INVALID_MESSAGE


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00ABCDEFGHIJKLMN\x034D9p",
        b"\x00\x02\x7f\x61ABCDEFGHIJKLMN\x00p",
        b"\x00\x02\x7f\x61ABCDEFGHIJKLMN\x02\xc3\xa4p",
    ],
    ids=["no product", "no device", "device is no ASCII"],
)
def test_a_name_must_be_there_and_readable(data):
    assert status(data) is Status.INVALID_MESSAGE


def test_a_product_id_has_8_bytes_at_most():
    longest = b"\x00\x08" + b"\xff" * 8 + BY_DEVICE[4:] + b"p"

    assert parse_datagram(longest).sender.product_id == str(2**64 - 1)
    assert status(b"\x00\x09" + b"\xff" * 9 + BY_DEVICE[4:] + b"p") is Status.INVALID_PRODUCT


@given(st.binary(max_size=100))
def test_no_bytes_make_it_fail(data):
    try:
        datagram = parse_datagram(data)
    except RefusedDatagramError:
        return
    assert datagram.rest


def signed(payload, key=KEY):
    return payload + hmac.new(key, payload, hashlib.sha1).digest()


@given(st.binary(min_size=1, max_size=60))
def test_a_signed_payload_is_what_was_signed(payload):
    assert signed_payload(signed(payload), KEY) == payload


@pytest.mark.parametrize(
    "rest",
    [
        b"x",
        b"x" * 20,
        b"x" * 40,
        signed(b"payload", b"another key"),
        signed(b"payload")[:-1],
        b"P" + signed(b"payload")[1:],
    ],
    ids=["shorter", "as long", "unsigned", "another key", "cut", "changed"],
)
def test_a_payload_without_its_signature_is_refused(rest):
    with pytest.raises(RefusedDatagramError) as refused:
        signed_payload(rest, KEY)

    assert refused.value.status is Status.INVALID_HMAC


def test_a_signature_of_nothing_holds_no_message():
    with pytest.raises(RefusedDatagramError) as refused:
        signed_payload(signed(b""), KEY)

    assert refused.value.status is Status.INVALID_MESSAGE
