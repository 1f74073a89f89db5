"""Names that people give."""

import pytest

from thingstead.kernel.names import has_control_characters, name_problem


@pytest.mark.parametrize("name", ["a", "Weather station", "\u00fcber \U0001f600", "x" * 100])
def test_an_ordinary_name_has_no_problem(name):
    assert name_problem(name) is None


@pytest.mark.parametrize("name", ["", " ", "\t\n"])
def test_a_name_needs_more_than_blanks(name):
    assert name_problem(name) == "must not be empty"


def test_a_name_may_be_as_long_as_the_limit_and_no_longer():
    assert name_problem("abc", max_characters=3) is None
    assert name_problem("abcd", max_characters=3) == "must not be longer than 3 characters"


@pytest.mark.parametrize("character", ["\x00", "\n", "\x7f", "\x9b", "\u2028", "\u2029", "\ud800"])
def test_control_characters_are_refused(character):
    assert has_control_characters(f"a{character}b")
    assert name_problem(f"a{character}b") == "must not contain control characters"


def test_letters_of_any_script_are_no_control_characters():
    assert not has_control_characters("\u65e5\u672c \u0627\u0644 \u0939\u093f")
