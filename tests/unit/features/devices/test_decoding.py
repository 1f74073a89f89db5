"""Decoders: what they make of bytes, and what of a text is none."""

import json
import math
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.features.devices.decoding import (
    MAX_BYTE_INDEX,
    MAX_DECODER_CHARACTERS,
    MAX_FIELDS,
    parse_decoder,
)
from thingstead.features.devices.errors import InvalidDecoderError

SAMPLES = json.loads((Path(__file__).parent / "samples.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["decoder"])
def test_a_stored_sample_decodes_to_its_values(sample):
    decoder = parse_decoder(sample["decoder"])

    values = decoder.decode(bytes.fromhex(sample["hex"]))

    assert values == sample["values"]
    assert [type(value) for value in values.values()] == [
        type(value) for value in sample["values"].values()
    ]


def test_a_decoder_remembers_its_text_and_keeps_the_order_of_its_fields():
    decoder = parse_decoder("b:1:uint:8 a:0:uint:8")

    assert decoder.text == "b:1:uint:8 a:0:uint:8"
    assert list(decoder.decode(b"\x01\x02")) == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no field"),
        (" \t\n", "no field"),
        ("a", "field 'a': expected NAME"),
        ("a::", "field 'a::': the type is"),
        ("a:uint:8", "byte index|the type is"),
        ("::uint:8", "a name has"),
        ("a b::uint:8", "field 'a': expected NAME"),
        ("ä::uint:8", "a name has"),
        ("description::uint:8", "description is reserved"),
        ("a::uint:8 a::uint:8", "a stands twice"),
        ("a#::uint:8 a_::uint:8", "a_ stands twice"),
        ("a::uint", "expected a number of bits"),
        ("a::uint:0", "the number of bits"),
        ("a::uint:65", "the number of bits"),
        ("a::uint:x", "the number of bits"),
        ("a::uint:8:middle-endian", "the endianness"),
        ("a::uint:12:little-endian", "whole bytes"),
        ("a::uint:8:little-endian:3", "whole bytes"),
        ("a::uint:8::8", "the bit is a number"),
        ("a::uint:8::3:1", "expected a number of bits"),
        ("a::int:65", "the number of bits"),
        ("a::float:16", "32 or 64"),
        ("a::float:32:x", "the endianness"),
        ("a::float:32:big-endian:1", "expected float"),
        ("a::float", "expected float"),
        ("a::bool:8", "the bit is a number"),
        ("a::bool:-1", "the bit is a number"),
        ("a::bool", "expected bool"),
        ("a::bool:1:2", "expected bool"),
        ("a::char:0", "the length"),
        ("a::char", "expected char"),
        ("a::text:4", "the type is"),
        ("a:-1:uint:8", "a byte index"),
        ("a:1.5:uint:8", "a byte index"),
    ],
    ids=repr,
)
def test_a_text_that_is_no_decoder_is_refused_with_its_field_and_the_reason(text, reason):
    with pytest.raises(InvalidDecoderError, match=reason):
        parse_decoder(text)


def test_the_field_is_named_but_cut_when_it_is_long():
    with pytest.raises(InvalidDecoderError) as refused:
        parse_decoder("a::uint:8 " + "b" * 200)

    assert "b" * 64 in refused.value.detail
    assert "b" * 65 not in refused.value.detail


def test_a_name_may_have_64_characters_and_no_more():
    assert parse_decoder(f"{'a' * 64}::uint:8").decode(b"\x01") == {"a" * 64: 1}
    with pytest.raises(InvalidDecoderError, match="a name has"):
        parse_decoder(f"{'a' * 65}::uint:8")


def test_the_number_of_fields_is_bounded():
    fields = [f"a{number}:0:uint:8" for number in range(MAX_FIELDS + 1)]

    assert len(parse_decoder(" ".join(fields[:-1])).fields) == MAX_FIELDS
    with pytest.raises(InvalidDecoderError, match="more than 100 fields"):
        parse_decoder(" ".join(fields))


def test_the_length_of_the_text_is_bounded():
    text = "a::uint:8".ljust(MAX_DECODER_CHARACTERS)

    assert parse_decoder(text).decode(b"\x01") == {"a": 1}
    with pytest.raises(InvalidDecoderError, match="characters"):
        parse_decoder(text + " ")


def test_a_field_reaches_to_the_last_byte_of_a_datagram_and_no_further():
    last = parse_decoder(f"a:{MAX_BYTE_INDEX}:uint:8")
    message = bytes(MAX_BYTE_INDEX) + b"\x07"

    assert last.decode(message) == {"a": 7}
    assert last.decode(message[:-1]) == {}
    assert parse_decoder(f"a::char:{MAX_BYTE_INDEX + 1}").fields[0].size == len(message)
    for text in (f"a:{MAX_BYTE_INDEX + 1}:uint:8", f"a:{MAX_BYTE_INDEX}:uint:9"):
        with pytest.raises(InvalidDecoderError):
            parse_decoder(text)
    with pytest.raises(InvalidDecoderError, match="the length"):
        parse_decoder(f"a::char:{MAX_BYTE_INDEX + 2}")


@given(st.integers(1, 64), st.integers(0, 7), st.binary(min_size=9, max_size=9))
def test_a_number_of_any_width_at_any_bit_is_what_its_bits_say(bits, bit, message):
    written = "".join(f"{byte:08b}" for byte in message)
    start = 7 - bit
    unsigned = int(written[start : start + bits], 2)
    signed = unsigned - (1 << bits) if written[start] == "1" else unsigned

    values = parse_decoder(f"u:0:uint:{bits}::{bit} i:0:int:{bits}::{bit}").decode(message)

    assert values == {"u": unsigned if unsigned < 2**63 else float(unsigned), "i": signed}


@given(st.floats(), st.sampled_from([("32", "f"), ("64", "d")]), st.booleans())
def test_a_finite_float_comes_back_and_another_is_left_out(number, form, is_big):
    bits, letter = form
    try:
        message = struct.pack((">" if is_big else "<") + letter, number)
    except OverflowError:
        return
    (kept,) = struct.unpack((">" if is_big else "<") + letter, message)

    order = "big-endian" if is_big else "little-endian"
    values = parse_decoder(f"x::float:{bits}:{order}").decode(message)

    assert values == ({"x": kept} if math.isfinite(kept) else {})


@given(st.binary(max_size=12))
def test_no_message_makes_a_decoder_fail(message):
    for sample in SAMPLES:
        parse_decoder(sample["decoder"]).decode(message)


@given(st.text(alphabet="ab01#_-:. uintfloarsbecdg", max_size=40))
def test_no_text_makes_the_parser_fail(text):
    try:
        decoder = parse_decoder(text)
    except InvalidDecoderError:
        return
    assert decoder.fields
