"""Equality as JSON has it, and objects chosen by it."""

import pytest

from thingstead.features.collections.errors import InvalidFilterError
from thingstead.features.collections.filters import Filter, is_equal
from thingstead.features.collections.model import StoredObject
from thingstead.features.collections.texts import object_text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (0.0, -0.0),
        (2**53, float(2**53)),
        (None, None),
        (True, True),
        ("\u00fc", "\u00fc"),
        ([1, {"a": [2.0]}], [1.0, {"a": [2]}]),
        ({"a": 1, "b": None}, {"b": None, "a": 1}),
        ([], []),
        ({}, {}),
    ],
    ids=repr,
)
def test_values_that_are_equal_as_json(one, other):
    assert is_equal(one, other)
    assert is_equal(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (True, 1),
        (False, 0),
        (0, None),
        ("1", 1),
        ("", None),
        ("a", "A"),
        ([], {}),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ([True], [1]),
        ({"a": True}, {"a": 1}),
        ({"a": 1}, {"a": 1, "b": None}),
        ({"a": {"b": 1}}, {"a": {"b": 2}}),
        (2**53 + 1, float(2**53)),
    ],
    ids=repr,
)
def test_values_that_differ_as_json(one, other):
    assert not is_equal(one, other)
    assert not is_equal(other, one)


def is_chosen(members, **where):
    return Filter(where).matches(StoredObject("a", object_text("a", members, max_bytes=1_000)))


@pytest.mark.parametrize(
    "number",
    [1, -1, 0, -0.0, 1.5, -1e-9, 10**16 - 1, 10**16, -(10**16), 2**63, 1e22, 123456789012345.0],
)
def test_a_number_is_found_however_it_is_written(number):
    written = {number, int(number) if float(number).is_integer() else number}

    for one in (*written, float(number) if float(number) == number else number):
        assert is_chosen({"n": one}, n=number)
        assert is_chosen({"n": number}, n=one)


@pytest.mark.parametrize(("stored", "wanted"), [(10, 1), (-1, 1), (1.5, 1), (1, 1.5), (0.5, 0)])
def test_a_number_that_begins_like_another_is_not_that_one(stored, wanted):
    assert not is_chosen({"n": stored}, n=wanted)


def test_objects_whose_numbers_begin_otherwise_are_not_decoded():
    no_json = StoredObject("a", '{"_id":"a","n":25,')

    assert not Filter({"n": 1}).matches(no_json)
    assert not Filter({"n": 2.5}).matches(no_json)


def test_all_members_of_a_filter_must_be_equal():
    assert is_chosen({"color": "red", "n": 1}, color="red", n=1.0)
    assert not is_chosen({"color": "red", "n": 1}, color="red", n=2)


def test_null_is_equal_to_a_null_that_is_there_only():
    assert is_chosen({"a": None}, a=None)
    assert not is_chosen({"b": None}, a=None)


def test_only_members_of_the_top_level_count():
    assert not is_chosen({"inner": {"color": "red"}}, color="red")
    assert not is_chosen({"inner": '"color":"red"'}, color="red")


def test_names_are_no_paths_and_no_operators():
    assert is_chosen({"a.b": 1, "$gt": 2}, **{"a.b": 1, "$gt": 2})
    assert not is_chosen({"a": {"b": 1}}, **{"a.b": 1})


@pytest.mark.parametrize(
    "value", ['"', "\\", "\u2028 \u00fc \U0001f600", "\n\x7f", True, None, 1e300, {"x": [1]}, [""]]
)
def test_any_value_finds_its_equal(value):
    assert is_chosen({'na"me \u00fc': value}, **{'na"me \u00fc': value})


def test_the_id_is_a_member_like_others():
    assert is_chosen({}, _id="a")
    assert not is_chosen({}, _id="b")


def test_a_filter_has_at_most_ten_members():
    Filter({f"m{n}": n for n in range(10)})
    with pytest.raises(InvalidFilterError, match="10"):
        Filter({f"m{n}": n for n in range(11)})
