"""A document after a change."""

import copy
import json

import pytest

from thingstead.features.magic.documents import changed_document
from thingstead.features.magic.errors import InvalidSettingsError
from thingstead.features.values.model import DocumentChange
from thingstead.kernel.errors import InvalidBodyError


def after(document, value, *path, max_bytes=16_384):
    return json.loads(
        changed_document(document, [DocumentChange("$settings", path, value, max_bytes)])
    )


def nested(levels):
    value = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize("before", [None, {"old": 1}, [1], "text"])
def test_without_a_path_the_value_is_the_document(before):
    assert after(before, {"new": 2}) == {"new": 2}


@pytest.mark.parametrize("before", [None, [1], "text", 5])
def test_a_path_into_what_is_no_object_begins_a_new_one(before):
    assert after(before, 1, "a") == {"a": 1}


def test_a_path_sets_one_member_and_keeps_the_others():
    assert after({"a": 1, "b": 2}, 9, "a") == {"a": 9, "b": 2}


def test_missing_parents_become_objects():
    assert after({"x": 0}, 1, "a", "b", "c") == {"x": 0, "a": {"b": {"c": 1}}}


def test_a_parent_that_is_null_becomes_an_object():
    assert after({"a": None}, 1, "a", "b") == {"a": {"b": 1}}


def test_a_path_may_set_null():
    assert after({"a": 1}, None, "a") == {"a": None}


def test_a_path_may_replace_an_object():
    assert after({"a": {"b": 1}}, 5, "a") == {"a": 5}


@pytest.mark.parametrize("between", [0, 1, False, "", "text", [], [{}]])
def test_a_path_through_what_is_no_object_is_refused_with_its_place(between):
    with pytest.raises(InvalidSettingsError, match=r"\$settings\.a\.b: is no object"):
        after({"a": {"b": between}}, 1, "a", "b", "c")


def test_the_document_before_the_change_is_not_modified():
    before = {"a": {"b": {"c": 1}}, "d": [1]}
    kept = copy.deepcopy(before)

    after(before, 9, "a", "b", "c")

    assert before == kept


def test_the_text_is_compact_and_not_escaped():
    change = DocumentChange("$settings", (), {"\u00fc": [1, 1.0]}, 99)

    assert changed_document(None, [change]) == '{"\u00fc":[1,1.0]}'


def test_a_document_may_fill_its_limit_in_bytes_and_no_more():
    assert after(None, {"a": "\u00fc" * 6}, max_bytes=20) == {"a": "\u00fc" * 6}

    with pytest.raises(InvalidSettingsError, match=r"\$settings: more than 20 bytes of JSON"):
        after(None, {"a": "\u00fc" * 6 + "x"}, max_bytes=20)


def test_the_limit_is_that_of_the_whole_document():
    with pytest.raises(InvalidSettingsError, match="more than 20 bytes"):
        after({"a": "x" * 12}, 1, "b", max_bytes=20)


def test_a_path_may_make_a_document_as_deep_as_the_limit_and_no_deeper():
    assert after(None, nested(30), "a", "a") == nested(32)

    with pytest.raises((InvalidSettingsError, InvalidBodyError), match="nested deeper than 32"):
        after(None, nested(31), "a", "a")


def test_an_object_may_grow_to_the_limit_of_members_and_no_further():
    before = {str(number): 1 for number in range(999)}
    full = after(before, 1, "last")

    assert len(full) == 1_000
    with pytest.raises((InvalidSettingsError, InvalidBodyError), match="more than 1000 members"):
        after(full, 1, "one more")
