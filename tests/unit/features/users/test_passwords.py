"""Which passwords may be chosen, and the form in which they are compared."""

import pytest

from thingstead.features.users.errors import InvalidPasswordError
from thingstead.features.users.passwords import (
    check_confirmation,
    checked_password,
    normalised_password,
)

COMMON = {"password123"}


@pytest.mark.parametrize("length", [8, 128])
def test_a_password_has_8_to_128_characters(length):
    assert checked_password("\u00fc" * length, COMMON) == "\u00fc" * length


def test_a_shorter_password_is_refused():
    with pytest.raises(InvalidPasswordError, match="shorter than 8"):
        checked_password("x" * 7, COMMON)


@pytest.mark.parametrize("text", ["x" * 129, "x" * 1_025, "x" * 100_000], ids=len)
def test_a_longer_password_is_refused(text):
    with pytest.raises(InvalidPasswordError, match="longer than 128"):
        checked_password(text, COMMON)


def test_1024_bytes_as_sent_are_enough():
    syllables = "\u1112\u1161\u11ab" * 113  # 9 bytes each, composed to one character

    assert len(checked_password(syllables + "x" * 7, COMMON)) == 120
    with pytest.raises(InvalidPasswordError, match="longer than 128"):
        checked_password(syllables + "x" * 8, COMMON)


@pytest.mark.parametrize("character", ["\x00", "\n", "\x7f", "\u2028", "\ud800"])
def test_control_characters_are_refused(character):
    with pytest.raises(InvalidPasswordError, match="control characters"):
        checked_password(f"correct{character}horse", COMMON)


def test_a_common_password_is_refused():
    with pytest.raises(InvalidPasswordError, match="most common"):
        checked_password("password123", COMMON)


def test_a_refusal_never_quotes_the_password():
    for text in ("canary", "canary" * 100, "canary\x00canary"):
        with pytest.raises(InvalidPasswordError) as caught:
            checked_password(text, COMMON)
        assert "canary" not in str(caught.value)


def test_a_password_is_composed_for_hashing_and_for_checking():
    assert checked_password("pa\u0308sswords", COMMON) == "p\u00e4sswords"
    assert normalised_password("pa\u0308sswords") == "p\u00e4sswords"


def test_a_password_to_check_may_be_short_and_common():
    assert normalised_password("") == ""
    assert normalised_password("\x00") == "\x00"


def test_nobody_has_a_password_of_more_than_128_characters():
    assert normalised_password("x" * 128) == "x" * 128
    assert normalised_password("x" * 129) is None
    assert normalised_password("x" * 100_000) is None


def test_a_password_typed_twice_is_the_same_both_times():
    check_confirmation("correct horse", "correct horse")
    with pytest.raises(InvalidPasswordError, match="confirmationPassword"):
        check_confirmation("correct horse", "correct house")
