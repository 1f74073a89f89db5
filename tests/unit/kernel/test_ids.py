"""Identifiers, secrets, and codes that people type."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.kernel.ids import (
    SystemIdSource,
    digest,
    is_session_shaped,
    is_token_shaped,
    normalised_code,
)

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ids = SystemIdSource()


def test_a_token_has_43_characters_that_need_no_encoding_in_an_address():
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", ids.token())


def test_a_new_token_is_token_shaped():
    assert is_token_shaped(ids.token())


def test_tokens_differ():
    assert len({ids.token() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "text", ["", "a" * 42, "a" * 44, "a" * 42 + "=", "a" * 42 + "/", "a" * 43 + "\n", "\u00fc" * 43]
)
def test_other_texts_are_not_token_shaped(text):
    assert not is_token_shaped(text)


def test_a_product_hash_has_14_letters_and_digits():
    assert re.fullmatch(r"[A-Za-z0-9]{14}", ids.product_hash())


def test_a_short_id_has_14_letters_and_digits():
    assert re.fullmatch(r"[A-Za-z0-9]{14}", ids.short_id())


def test_a_session_token_is_told_from_others_by_its_form():
    token = ids.session_token()

    assert re.fullmatch(r"us_[A-Za-z0-9_-]{43}", token)
    assert is_session_shaped(token)
    assert not is_token_shaped(token)


@pytest.mark.parametrize(
    "text", ["", "us_", "a" * 46, "us_" + "a" * 42, "us_" + "a" * 44, "us_us_" + "a" * 43]
)
def test_other_texts_are_not_session_shaped(text):
    assert not is_session_shaped(text)


def test_session_tokens_differ():
    assert len({ids.session_token() for _ in range(100)}) == 100


@pytest.mark.parametrize("at_ms", [0, 1_767_225_600_000, 2**50 - 1])
def test_a_sortable_id_has_30_characters(at_ms):
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{30}", ids.sortable_id(at_ms))


@given(st.integers(0, 2**50 - 1), st.integers(0, 2**50 - 1))
def test_sortable_ids_sort_by_time(one, other):
    earlier, later = sorted((one, other))

    assert earlier == later or ids.sortable_id(earlier) < ids.sortable_id(later)


def test_sortable_ids_of_one_time_differ():
    assert len({ids.sortable_id(7) for _ in range(100)}) == 100


def test_a_secret_is_looked_up_by_its_sha256():
    assert digest("secret") == hashlib.sha256(b"secret").digest()


def test_text_that_is_no_utf8_has_a_digest_too():
    assert len(digest("\ud800")) == 32


def test_a_new_code_has_20_characters_and_is_its_own_normal_form():
    code = ids.activation_code()

    assert len(code) == 20
    assert normalised_code(code) == code


@given(st.text(ALPHABET, min_size=19, max_size=19))
def test_exactly_one_check_character_fits_each_code(body):
    fitting = [last for last in ALPHABET if normalised_code(body + last)]

    assert len(fitting) == 1


def test_the_check_character_finds_every_single_wrong_character():
    code = ids.activation_code()

    mistyped = [
        code[:place] + character + code[place + 1 :]
        for place in range(20)
        for character in ALPHABET
        if character != code[place]
    ]

    assert len(mistyped) == 20 * 31
    assert [text for text in mistyped if normalised_code(text)] == []


@given(st.text(ALPHABET, min_size=19, max_size=19), st.randoms(use_true_random=False))
def test_a_code_survives_the_ways_in_which_people_type_it(body, random):
    code = next(body + last for last in ALPHABET if normalised_code(body + last))
    spoken = {"0": "0Oo", "1": "1IiLl"}

    typed = ""
    for character in code:
        typed += random.choice(spoken.get(character, character + character.lower()))
        typed += random.choice(["", "", "-", " "])

    assert normalised_code(typed) == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 19,
        "0" * 21,
        "U" + "0" * 19,
        "0" * 19 + "!",
        "\u0660" * 20,
        "-" * 64,
        "0" * 20 + " " * 45,
        "0" * 1_000_000,
    ],
)
def test_a_text_that_cannot_be_a_code_has_no_normal_form(text):
    assert normalised_code(text) is None


def test_64_characters_with_blanks_may_be_a_code():
    assert normalised_code("0" * 20 + " " * 44) == "0" * 20
