"""Limits of decoded JSON values."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.kernel.errors import InvalidBodyError
from thingstead.kernel.json_values import (
    JSONLimits,
    JSONText,
    check_json,
    compact_size,
    is_larger_than,
)

LIMITS = JSONLimits()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def nested_lists(levels):
    value = []
    for _ in range(levels - 1):
        value = [value]
    return value


def nested_objects(levels):
    value = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        2**63 - 1,
        -(2**63),
        0.0,
        -1.5,
        1.7976931348623157e308,
        "",
        "text",
        "\u00fcber \U0001f600",
        [],
        {},
        [1, "a", None, {"b": [True]}],
    ],
)
def test_a_json_value_within_the_limits_passes(value):
    check_json(value, "here", LIMITS)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**400])
def test_a_whole_number_beyond_64_bits_is_refused(value):
    with pytest.raises(InvalidBodyError, match="here: whole numbers go from"):
        check_json(value, "here", LIMITS)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused(value):
    with pytest.raises(InvalidBodyError, match="here: a number must be finite"):
        check_json(value, "here", LIMITS)


@pytest.mark.parametrize("value", ["\x00", "a\x00b", {"a\x00": 1}, {"a": "\x00"}, ["\x00"]])
def test_nul_is_refused_in_texts_and_names(value):
    with pytest.raises(InvalidBodyError, match="must not contain NUL"):
        check_json(value, "here", LIMITS)


@pytest.mark.parametrize("value", ["\ud800", "a\udfffb", {"\ud800": 1}, {"a": ["\udc00"]}])
def test_a_lone_surrogate_is_refused_in_texts_and_names(value):
    with pytest.raises(InvalidBodyError, match="must not contain lone surrogates"):
        check_json(value, "here", LIMITS)


@pytest.mark.parametrize("value", [b"bytes", (1,), object(), {1, 2}, [b"x"]])
def test_a_type_that_json_does_not_have_is_refused(value):
    with pytest.raises(InvalidBodyError, match="is no JSON type"):
        check_json(value, "here", LIMITS)


@pytest.mark.parametrize("name", [1, None, (1,), b"a"])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(InvalidBodyError, match="here: a member's name must be a text"):
        check_json({name: 1}, "here", LIMITS)


@pytest.mark.parametrize("nested", [nested_lists, nested_objects])
def test_32_levels_pass_and_33_are_refused(nested):
    check_json(nested(32), "here", LIMITS)

    with pytest.raises(InvalidBodyError, match="nested deeper than 32 levels"):
        check_json(nested(33), "here", LIMITS)


def test_containers_around_the_value_count_towards_its_depth():
    check_json(nested_lists(29), "here", LIMITS, depth=3)

    with pytest.raises(InvalidBodyError, match="nested deeper"):
        check_json(nested_lists(30), "here", LIMITS, depth=3)


def test_a_scalar_takes_no_level():
    check_json([1], "here", JSONLimits(max_depth=1))


def test_1000_members_pass_and_1001_are_refused():
    check_json({str(number): 1 for number in range(1_000)}, "here", LIMITS)

    with pytest.raises(InvalidBodyError, match="here: more than 1000 members in one object"):
        check_json({str(number): 1 for number in range(1_001)}, "here", LIMITS)


def test_a_list_may_be_longer_than_an_object():
    check_json(list(range(1_001)), "here", LIMITS)


def test_the_place_of_a_fault_is_a_path():
    with pytest.raises(InvalidBodyError) as refused:
        check_json({"a": [0, {"b": float("nan")}]}, "value", LIMITS)

    assert refused.value.detail.startswith("value.a[1].b: ")


def test_the_place_of_a_fault_in_a_whole_body_begins_with_its_member():
    with pytest.raises(InvalidBodyError) as refused:
        check_json({"a": {"b": float("nan")}}, "", LIMITS)

    assert refused.value.detail.startswith("a.b: ")


def test_a_long_name_is_cut_in_the_place():
    with pytest.raises(InvalidBodyError) as refused:
        check_json({"n" * 1_000: float("nan")}, "here", LIMITS)

    assert refused.value.detail.startswith("here." + "n" * 64 + ": ")


@given(JSON)
def test_the_size_is_that_of_the_compact_text(value):
    expected = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())

    assert compact_size(value) == expected


@given(JSON, st.integers(4, 200))
def test_a_value_is_too_large_exactly_when_its_text_is(value, max_bytes):
    is_number = value is None or isinstance(value, (bool, int, float))

    assert is_larger_than(value, max_bytes) == (not is_number and compact_size(value) > max_bytes)


@pytest.mark.parametrize("character", ["a", "\u00fc", "\U0001f600", '"', "\x01"])
def test_a_text_may_fill_the_limit_to_the_byte(character):
    text = character * 100
    size = compact_size(text)

    assert not is_larger_than(text, size)
    assert is_larger_than(text, size - 1)


def test_a_stored_text_gives_its_value_when_asked():
    assert JSONText(b'{"a":[1,1.0,true]}').decoded() == {"a": [1, 1.0, True]}


def test_stored_texts_are_equal_by_their_text():
    assert JSONText(b"[1]") == JSONText(b"[1]")
    assert JSONText(b"[1]") != JSONText(b"[1.0]")
    assert JSONText(b"[1]") != b"[1]"
    assert len({JSONText(b"[1]"), JSONText(b"[1]"), JSONText(b"[]")}) == 2


def test_a_stored_text_is_not_shown_in_logs():
    assert "secret" not in repr(JSONText(b'["secret"]'))


def test_a_stored_text_is_nothing_that_an_encoder_takes_for_something_else():
    with pytest.raises(TypeError):
        json.dumps(JSONText(b"[1]"))
