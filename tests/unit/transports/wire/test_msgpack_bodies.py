"""MessagePack bodies: the same map as in JSON."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thingstead.features.things.model import Thing
from thingstead.features.values.checks import WriteChecker, WriteLimits
from thingstead.features.values.errors import InvalidValuesError
from thingstead.features.values.model import ABSENT, IncomingValue
from thingstead.kernel.errors import InvalidBodyError, ThingsteadError
from thingstead.kernel.ids import ProductId, ThingId
from thingstead.transports.wire.msgpack_bodies import decode_msgpack, decode_msgpack_write

pack = msgspec.msgpack.encode
THING = Thing(ThingId("one"), ProductId(1), 0)
DEEP = b"\x91" * 100_000
# {"values":[{"key":"a","value": and whatever stands behind it.
BEFORE_VALUE = b"\x81\xa6values\x91\x82\xa3key\xa1a\xa5value"


def checked(write):
    return WriteChecker(WriteLimits()).checked(THING, write, 0, is_broadcast=True)


@pytest.mark.parametrize(
    "value", [None, True, 1, 1.0, "1", "\u00fc", 2**63 - 1, -(2**63), [1], {"a": [1.5]}], ids=repr
)
def test_a_write_is_read_with_the_types_of_its_values(value):
    write = decode_msgpack_write(pack({"values": [{"key": "a", "value": value, "units": "C"}]}))

    assert repr(write.values[0].value) == repr(value)


def test_all_members_of_a_value_are_read():
    member = {"key": "a", "value": 1, "geo": {"lat": 1.5, "long": 2}, "datetime": "NOW()"}

    assert decode_msgpack_write(pack({"values": [member, {"key": "b"}]})).values == [
        IncomingValue("a", 1, {"lat": 1.5, "long": 2}, "NOW()"),
        IncomingValue("b", ABSENT),
    ]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ([], "expected object, got array"),
        ({}, "missing required field values"),
        ({"values": {}}, "values: expected array, got object"),
        ({"values": [{"value": 1}]}, r"values\[0\]: object missing required field key"),
        ({"values": [{"key": 1}]}, r"values\[0\]\.key: expected str, got int"),
    ],
)
def test_what_is_no_write_is_refused_with_the_place(sent, said):
    with pytest.raises(InvalidValuesError, match=said):
        decode_msgpack_write(pack(sent))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x81",
        pack({"values": []}) + b"\x00",
        BEFORE_VALUE,
        BEFORE_VALUE + b"\xa1\xff",
        BEFORE_VALUE + DEEP,
        BEFORE_VALUE + b"\x81\x81\x01\x02\x03",
        b"\xdf\xff\xff\xff\xff",
        b"\x81\xa6values\xdd\xff\xff\xff\xff",
    ],
)
def test_what_is_no_messagepack_is_refused(body):
    with pytest.raises((InvalidBodyError, InvalidValuesError)):
        decode_msgpack_write(body)


@pytest.mark.parametrize(
    "value",
    [
        b"\xc4\x01x",
        b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
        b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00",
        b"\xcf\x80\x00\x00\x00\x00\x00\x00\x00",
        b"\x81\x01\x02",
        b"\x81\x91\x01\x02",
        b"\xd6\xff\x00\x00\x00\x00",
        b"\xd4\x05\x00",
        b"\xa1\x00",
        b"\x91" * 40 + b"\x01",
    ],
    ids=[
        "bytes",
        "NaN",
        "infinity",
        "large-integer",
        "number-name",
        "list-name",
        "time",
        "extension",
        "NUL",
        "deep",
    ],
)
def test_what_json_cannot_hold_is_refused_at_the_latest_by_the_checks(value):
    with pytest.raises(ThingsteadError):
        checked(decode_msgpack_write(BEFORE_VALUE + value))


@pytest.mark.parametrize(
    "body",
    [
        b"\x81\xa6values\x91\x83\xa3key\xa1a\xa5value\x01\xa5value\x02",
        b"\x82\xa6values\x90\xa6values\x91\x82\xa3key\xa1a\xa5value\x01",
        BEFORE_VALUE + b"\x82\xa1x\x01\xa1x\x02",
    ],
    ids=["in a member", "on top", "in a value"],
)
def test_a_member_that_stands_twice_in_one_map_is_refused(body):
    with pytest.raises(ThingsteadError, match="stands twice"):
        decode_msgpack_write(body)


def test_any_value_is_read():
    assert decode_msgpack(pack({"a": [1, "b"]})) == {"a": [1, "b"]}


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x81", b"\x01\x02", DEEP, b"\xa1\xff"])
def test_bytes_that_are_no_value_are_refused(body):
    with pytest.raises(InvalidBodyError, match="not well-formed MessagePack"):
        decode_msgpack(body)


@given(
    st.binary()
    | st.binary().map(BEFORE_VALUE.__add__)
    | st.binary(max_size=8).map(lambda end: pack({"values": [{"key": "a"}]})[:-2] + end)
)
@example(DEEP)
@example(b"\x81" * 100_000)
@example(b"\xd6\xff\xff\xff\xff\xff")
@example(b"\xc7\x0c\xff" + b"\xff" * 12)
def test_no_bytes_raise_anything_but_a_refusal(body):
    for decode in (decode_msgpack, lambda body: checked(decode_msgpack_write(body))):
        try:
            decode(body)
        except ThingsteadError:
            continue
