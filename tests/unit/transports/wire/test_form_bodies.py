"""Forms as jQuery and qs send nested data."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.features.values.errors import InvalidValuesError
from thingstead.features.values.model import ABSENT, IncomingValue
from thingstead.kernel.errors import InvalidBodyError, ThingsteadError
from thingstead.transports.wire.form_bodies import decode_form, decode_form_write


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=", {"a": ""}),
        ("a=1&b=x+y%20z", {"a": "1", "b": "x y z"}),
        ("a=%C3%BC", {"a": "\u00fc"}),
        ("a[b]=1&a[c]=2", {"a": {"b": "1", "c": "2"}}),
        ("a%5Bb%5D%5Bc%5D=1", {"a": {"b": {"c": "1"}}}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[0]=1&a[1]=2", {"a": ["1", "2"]}),
        ("a[1]=2&a[0]=1", {"a": ["1", "2"]}),
        ("a[10]=c&a[9]=b&a[2]=a", {"a": ["a", "b", "c"]}),
        ("a[0][]=1&a[0][]=2", {"a": [["1", "2"]]}),
        ("a[0]=1&a[x]=2", {"a": {"0": "1", "x": "2"}}),
        ("a[-1]=1", {"a": {"-1": "1"}}),
        ("a[%D9%A1]=1", {"a": {"\u0661": "1"}}),
        ("0=a&1=b", {"0": "a", "1": "b"}),
        ("a.b=1", {"a.b": "1"}),
    ],
)
def test_a_form_is_read_as_nested_objects_and_lists_of_texts(form, expected):
    assert decode_form(form.encode()) == expected


@pytest.mark.parametrize(
    "form",
    [
        "a",
        "a=1&",
        "=1",
        "[a]=1",
        "a[b=1",
        "a]b=1",
        "a[b]c=1",
        "a[[b]]=1",
        "a=1&a=2",
        "a[b]=1&a[b]=2",
        "a=1&a[b]=2",
        "a[b]=1&a=2",
        "a[b][c]=1&a[b]=2",
        "n" * 129 + "=1",
        "a[" + "n" * 129 + "]=1",
        "a=%FF",
        "a=%ED%A0%80",
        "%FF=1",
    ],
)
def test_a_form_that_is_malformed_or_contradicts_itself_is_refused(form):
    with pytest.raises(InvalidBodyError):
        decode_form(form.encode())


def test_bytes_that_are_no_utf8_are_refused():
    with pytest.raises(InvalidBodyError, match="malformed"):
        decode_form(b"a=\xff")


def test_a_field_may_be_8_levels_deep_and_no_deeper():
    decode_form(b"a" + b"[b]" * 7 + b"=1")

    with pytest.raises(InvalidBodyError, match="nested deeper than 8 levels"):
        decode_form(b"a" + b"[b]" * 8 + b"=1")


def test_a_form_may_have_10000_fields_and_no_more():
    fields = [f"f{number}=1" for number in range(10_001)]

    assert len(decode_form("&".join(fields[:-1]).encode())) == 10_000
    with pytest.raises(InvalidBodyError, match="too many fields"):
        decode_form("&".join(fields).encode())


def test_names_may_be_as_long_as_the_limit():
    assert decode_form(b"n" * 128 + b"[" + b"m" * 128 + b"]=1") == {"n" * 128: {"m" * 128: "1"}}


def test_a_write_of_jquery_is_read_with_texts_as_values():
    form = "values[0][key]=LED&values[0][value]=ON&values[1][key]=t&values[1][value]=21.5"

    assert decode_form_write(form.encode()).values == [
        IncomingValue("LED", "ON"),
        IncomingValue("t", "21.5"),
    ]


def test_a_write_of_jquery_is_read_when_its_brackets_are_encoded():
    form = quote("values[0][key]") + "=LED&" + quote("values[0][value]") + "=ON"

    assert decode_form_write(form.encode()).values == [IncomingValue("LED", "ON")]


def test_positions_times_and_nested_values_are_read_too():
    form = (
        "values[0][key]=t&values[0][value][a][]=1&values[0][value][a][]=2"
        "&values[0][geo][lat]=41&values[0][geo][long]=2&values[0][datetime]=NOW()"
        "&values[0][units]=C&more=1"
    )

    assert decode_form_write(form.encode()).values == [
        IncomingValue("t", {"a": ["1", "2"]}, {"lat": "41", "long": "2"}, "NOW()")
    ]


def test_a_value_that_was_not_sent_is_absent():
    assert decode_form_write(b"values[0][key]=t").values == [IncomingValue("t", ABSENT)]


@pytest.mark.parametrize("form", ["", "a=1", "values=1", "values[key]=a", "values[a][key]=b"])
def test_a_form_without_a_list_of_values_is_refused(form):
    with pytest.raises(InvalidValuesError, match=r"values: expected values\[0\]\[key\]"):
        decode_form_write(form.encode())


@pytest.mark.parametrize(
    "form", ["values[]=1", "values[0][value]=1", "values[0][key][]=a", "values[0][0]=a"]
)
def test_a_member_without_a_key_is_refused_with_its_place(form):
    with pytest.raises(InvalidValuesError, match=r"values\[0\]\.key: missing"):
        decode_form_write(form.encode())


@given(st.binary() | st.text("values[0]key=&%5B1a+;", max_size=60).map(str.encode))
def test_no_bytes_raise_anything_but_a_refusal(body):
    for decode in (decode_form, decode_form_write):
        try:
            decode(body)
        except ThingsteadError:
            continue
