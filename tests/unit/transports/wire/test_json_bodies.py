"""JSON bodies: what is read, what is refused, and what the refusal says."""

import json
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thingstead.features.values.errors import InvalidValuesError
from thingstead.features.values.model import ABSENT, IncomingValue, IncomingWrite
from thingstead.kernel.errors import InvalidBodyError, InvalidJSONError, ThingsteadError
from thingstead.transports.wire.json_bodies import (
    decode_any,
    decode_object,
    decode_write,
    refuse_repeated_members,
    what_and_where,
)


def body_of(value, *, key='"a"', rest=""):
    return f'{{"values":[{{"key":{key},"value":{value}{rest}}}]}}'.encode()


def value_of(text):
    return decode_write(body_of(text)).values[0].value


def test_a_write_is_read_with_all_its_members():
    body = (
        b'{"values":[{"key":"a","value":23,"geo":{"lat":41.4,"long":"2.2"},'
        b'"datetime":"20150520130000"},{"key":"b","value":null},{"key":"c"}]}'
    )

    assert decode_write(body) == IncomingWrite(
        [
            IncomingValue("a", 23, {"lat": 41.4, "long": "2.2"}, "20150520130000"),
            IncomingValue("b", None),
            IncomingValue("c", ABSENT),
        ]
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("1.0", 1.0),
        ("-0", 0),
        ("1e2", 100.0),
        ('"1"', "1"),
        ('"1.0"', "1.0"),
        ("true", True),
        ('"true"', "true"),
        ("null", None),
        ('"null"', "null"),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ('"\\u00fc\\n\\ud83d\\ude00"', "\u00fc\n\U0001f600"),
        ("[]", []),
        ('{"a":[1,{"b":"x:y"}]}', {"a": [1, {"b": "x:y"}]}),
    ],
)
def test_every_value_keeps_its_type(text, expected):
    assert repr(value_of(text)) == repr(expected)


def test_unknown_members_are_ignored():
    body = b'{"v":2,"values":[{"key":"a","units":"C","value":1,"type":{"x":[{}]}}],"more":null}'

    assert decode_write(body) == IncomingWrite([IncomingValue("a", 1)])


def test_blanks_between_the_parts_are_allowed():
    assert decode_write(b' \r\n\t{ "values" : [ { "key" : "a" , "value" : 1 } ] }\n') == (
        IncomingWrite([IncomingValue("a", 1)])
    )


@pytest.mark.parametrize("colons", ['":"', '"::"', '{"a:b":"c:"}', '[":",":"]'])
def test_colons_in_texts_are_no_repeated_members(colons):
    decode_write(body_of(colons, rest=f',"datetime":"12:00:00","geo":{colons}'))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is empty"),
        (b" \r\n ", "the body is empty"),
        (b'\xef\xbb\xbf{"values":[]}', r"invalid character \(byte 0\)"),
        (b'{"values":[]} x', "trailing characters"),
        (b'{"values":[]}{"values":[]}', "trailing characters"),
        (b'{"values":[]', "truncated"),
        (b'{"values":[],}', "trailing comma"),
        (b"{'values':[]}", "object keys must be strings"),
        (b'{"values":[{"key":"a","value":NaN}]}', "invalid character"),
        (b'{"values":[{"key":"a","value":Infinity}]}', "invalid character"),
        (b'{"values":[{"key":"a","value":-Infinity}]}', "invalid"),
        (b'{"values":[{"key":"a","value":01}]}', "invalid number"),
        (b'{"values":[{"key":"a","value":"\xff"}]}', "not UTF-8"),
        (b'{"values":[{"key":"\xc3\x28","value":1}]}', "not UTF-8"),
        (b'{"values":[{"key":"a","value":"\xed\xa0\x80"}]}', "not UTF-8"),
        (b'{"values":[{"key":"a","value":"\\ud800"}]}', "truncated|surrogate"),
        (b'{"values":[{"key":"a","value":"a\nb"}]}', "invalid character"),
        (b'{"values":[{"key":"a","value":"\\x"}]}', "invalid escape"),
        ('{"values":[]}'.encode("utf-16"), "invalid character"),
    ],
)
def test_what_is_no_json_is_refused_with_the_reason(body, said):
    with pytest.raises(InvalidJSONError, match=said):
        decode_write(body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"null", "expected object, got null"),
        (b"[]", "expected object, got array"),
        (b'"values"', "expected object, got str"),
        (b"{}", "missing required field values"),
        (b'{"values":null}', "values: expected array, got null"),
        (b'{"values":{"key":"a"}}', "values: expected array, got object"),
        (b'{"values":[null]}', r"values\[0\]: expected object, got null"),
        (b'{"values":[{}]}', r"values\[0\]: object missing required field key"),
        (b'{"values":[{"key":"a"},{"value":1}]}', r"values\[1\]: object missing required field"),
        (b'{"values":[{"key":5}]}', r"values\[0\]\.key: expected str, got int"),
        (b'{"values":[{"key":null}]}', r"values\[0\]\.key: expected str, got null"),
        (body_of("1e400"), r"values\[0\]\.value: number out of range"),
        (body_of("-1e400"), r"values\[0\]\.value: number out of range"),
        (body_of("9" * 5_000), r"values\[0\]\.value: integer value out of range"),
    ],
)
def test_what_is_no_write_is_refused_with_the_place(body, said):
    with pytest.raises(InvalidValuesError, match=said):
        decode_write(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"values":[{"key":"a","value":1}],"values":[{"key":"a","value":1}]}',
        b'{"values":[],"v\\u0061lues":[]}',
        b'{"values":[{"key":"a","value":1,"value":2}]}',
        b'{"values":[{"key":"a","value":1,"v\\u0061lue":2}]}',
        b'{"values":[{"key":"a","key":"b","value":1}]}',
        b'{"values":[{"key":"a","value":1,"value":"x:y"}]}',
        b'{"values":[{"key":"a","value":"x:y","value":1}]}',
        b'{"values":[{"key":"a","value":null,"value":1}]}',
        b'{"values":[{"key":"a","value":1,"geo":null,"geo":null}]}',
        b'{"values":[{"key":"a","value":1,"datetime":null,"datetime":"NOW()"}]}',
        b'{"values":[{"key":"a","value":{"x":1,"x":1}}]}',
        b'{"values":[{"key":"a","value":{"x":1,"\\u0078":1}}]}',
        b'{"values":[{"key":"a","value":[[{"x":{"y":1,"y":2}}]]}]}',
        b'{"values":[{"key":"a","value":1,"geo":{"lat":1,"lat":2,"long":3}}]}',
        b'{"values":[{"key":"a","value":1,"units":"C","units":"F"}]}',
        b'{"values":[{"key":"a","value":1,"more":{"x":1,"x":2}}]}',
        b'{"x":1,"x":2,"values":[{"key":"a","value":1}]}',
        # An escaped colon makes up for the colon of the member that stands twice.
        b'{"values":[{"key":"a","value":1,"value":"\\u003a"}]}',
        b'{"values":[{"key":"a","value":"\\u003A","value":"x\\u003ay"}]}',
        b'{"values":[{"key":"a\\u003a","value":1,"value":2}]}',
        b'{"values":[{"key":"a","value":1,"value":2,"datetime":"\\u003a"}]}',
        b'{"values":[{"key":"a","value":{"\\u003a":1,"x":1,"x":2}}]}',
        # A key's colons are not counted, which must not make up for a lost one.
        b'{"values":[{"key":"a:","value":1,"value":2}]}',
        b'{"values":[{"key":"a","value":1},{"key":"b","value":1,"value":1}]}',
    ],
)
def test_a_member_that_stands_twice_in_one_object_is_refused(body):
    with pytest.raises(InvalidJSONError, match="stands twice in one object"):
        decode_write(body)


def test_the_same_member_in_two_objects_is_fine():
    assert (
        len(decode_write(b'{"values":[{"key":"a","value":1},{"key":"a","value":1}]}').values) == 2
    )


def test_the_member_that_stands_twice_is_named_and_cut():
    name = "n" * 100

    with pytest.raises(InvalidJSONError) as refused:
        decode_write(body_of(f'{{"{name}":1,"{name}":2}}'))

    assert refused.value.detail == f"member '{'n' * 64}' stands twice in one object"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize(
    "before",
    [b'{"values":[{"key":"a","value":', b'{"values":[{"key":"a","value":1,"more":', b'{"x":'],
    ids=["value", "unknown member", "unknown member on top"],
)
def test_nesting_a_hundred_thousand_deep_is_refused(before, opening):
    with pytest.raises(InvalidJSONError, match="nested deeper than 32 levels"):
        decode_write(before + opening * 100_000)


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (b"9" * 5_000, "number"),
        (b'"\xff"', "UTF-8"),
    ],
    ids=["too many digits", "no UTF-8"],
)
def test_a_fault_in_an_unknown_member_is_refused_for_what_it_is(rest, said):
    with pytest.raises(InvalidJSONError, match=said):
        decode_write(b'{"values":[{"key":"a","value":1,"units":' + rest + b"}]}")


@given(st.binary())
@example(b"[" * 100_000)
@example(b'{"values":[' + b'{"key":"a","value":' * 100_000)
@example(b"\x00")
@example(b"-")
def test_no_bytes_raise_anything_but_a_refusal(body):
    for decode in (decode_write, decode_any):
        try:
            decode(body)
        except ThingsteadError:
            continue


_SEED = (
    b'{"values":[{"key":"a","value":[1,2.5e3,"t\\u0061\\n",true,null,{"x":{"y":1}}],'
    b'"geo":{"lat":"1","long":2},"datetime":"2026-01-31T12:00:00Z","u":{"v":[]}}]}'
)
_PIECES = st.sampled_from(
    [
        *(bytes([byte]) for byte in b'{}[]:,"\\'),
        *(b"\\u0061", b"\\ud800", b"\x00", b"\xff", b"\xed\xa0\x80"),
        *(b"1e400", b"9" * 5_000, b"NaN", b'"value":1,', b'"values":[],', b"[" * 2_000),
    ]
)


@given(st.lists(st.tuples(st.integers(0, len(_SEED)), st.integers(0, 9), _PIECES), max_size=4))
def test_no_damaged_write_raises_anything_but_a_refusal(damages):
    body = _SEED
    for place, cut, piece in damages:
        body = body[:place] + piece + body[place + cut :]

    for decode in (decode_write, decode_any):
        try:
            decode(body)
        except ThingsteadError:
            continue


_NAMES = st.sampled_from(["key", "value", "geo", "datetime", "x", "a:b", "v\u00fc"])
_MEMBERS = st.recursive(
    st.sampled_from(["1", "null", '"a"', '"a:b"', '"\\u003a"', "true", "1.5"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]")
        | st.lists(st.tuples(_NAMES, inner), max_size=3).map(
            lambda pairs: "{" + ",".join(f'"{name}":{text}' for name, text in pairs) + "}"
        )
    ),
    max_leaves=8,
)


def has_repetition(text):
    repeated = []

    def look(pairs):
        repeated.append(len(pairs) != len(dict(pairs)))
        return dict(pairs)

    json.loads(text, object_pairs_hook=look)
    return any(repeated)


@given(st.lists(st.tuples(_NAMES, _MEMBERS), max_size=5))
def test_a_repetition_is_found_exactly_where_there_is_one(pairs):
    members = "".join(f',"{name}":{text}' for name, text in pairs)
    text = f'{{"values":[{{"key":"a"{members}}}]}}'

    try:
        decode_write(text.encode())
    except InvalidValuesError:
        return
    except InvalidJSONError:
        assert has_repetition(text)
    else:
        assert not has_repetition(text)


# Any JSON.


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"1", 1), (b'"a"', "a"), (b"null", None), (b"[1,[2]]", [1, [2]]), (b'{"a":{}}', {"a": {}})],
)
def test_any_json_value_is_read(body, expected):
    assert decode_any(body) == expected


@pytest.mark.parametrize(
    "body", [b"", b"\xef\xbb\xbf1", b"1 2", b"[", b"1e400", b'"\xff"', b"nope"]
)
def test_any_text_that_is_no_json_is_refused(body):
    with pytest.raises(InvalidJSONError):
        decode_any(body)


@pytest.mark.parametrize(
    "body", [b'{"a":1,"a":1}', b'[{"a":1,"\\u0061":1}]', b'{"b":{"a":1,"a":1}}']
)
def test_a_member_that_stands_twice_is_refused_in_any_json(body):
    with pytest.raises(InvalidJSONError, match="member 'a' stands twice"):
        decode_any(body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"a":9223372036854775808}', "a: whole numbers go from"),
        (b'{"a":"\\u0000"}', "a: a text must not contain NUL"),
        (b"[" * 33 + b"]" * 33, "nested deeper than 32 levels"),
        (json.dumps(dict.fromkeys(map(str, range(1_001)))).encode(), "more than 1000 members"),
    ],
    ids=["integer", "NUL", "depth", "members"],
)
def test_the_limits_hold_for_any_json(body, said):
    with pytest.raises(InvalidBodyError, match=said):
        decode_any(body)


def test_any_json_may_be_32_levels_deep():
    decode_any(b"[" * 32 + b"]" * 32)


@pytest.mark.parametrize("depth", [500, 1_500, 100_000])
def test_any_json_nested_far_too_deep_is_refused(depth):
    with pytest.raises(ThingsteadError, match="nested deeper than 32 levels"):
        decode_any(b"[" * depth + b"]" * depth)


def test_a_body_that_the_standard_library_cannot_follow_is_refused():
    with pytest.raises(InvalidJSONError, match="nested deeper"):
        refuse_repeated_members(b"[" * 100_000 + b"]" * 100_000)


# Objects of a shape.


@dataclass(frozen=True, slots=True)
class Shape:
    name: str
    count: int = 0


def test_an_object_is_read_into_its_shape():
    assert decode_object(b'{"name":"a","count":3,"more":1}', Shape) == Shape("a", 3)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "expected object, got array"),
        (b"{}", "object missing required field name"),
        (b'{"name":1}', "name: expected str, got int"),
        (b'{"name":"a","count":"3"}', "count: expected int, got str"),
    ],
)
def test_an_object_of_another_shape_is_refused_with_the_place(body, said):
    with pytest.raises(InvalidBodyError, match=said):
        decode_object(body, Shape)


def test_a_complaint_without_a_place_stands_alone():
    assert what_and_where(msgspec.ValidationError("Expected `int`")) == "expected int"


def test_a_complaint_about_the_whole_has_no_place():
    assert what_and_where(msgspec.ValidationError("Expected `int` - at `$`")) == "expected int"
