"""Cursors: what comes back is what was given, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.features.live.cursors import (
    CursorKind,
    InvalidCursorError,
    cursor_of,
    sequence_of,
)

KINDS = st.sampled_from(CursorKind)
# SQLite's integers end at 2**63 - 1; what a cursor may hold ends at 15 digits.
SEQUENCES = st.integers(0, 2**60 - 1)


@given(KINDS, SEQUENCES)
def test_a_cursor_holds_its_sequence(kind, sequence):
    assert sequence_of(kind, cursor_of(kind, sequence)) == sequence


@given(SEQUENCES)
def test_a_cursor_of_one_kind_is_none_of_another(sequence):
    with pytest.raises(InvalidCursorError):
        sequence_of(CursorKind.OBJECTS, cursor_of(CursorKind.VALUES, sequence))


@pytest.mark.parametrize(
    "text", ["", "v", "v-1", "v+1", "v 1", "v1 ", "vg", "v1\n", "vA", "1", "V1", "v0x1", "v\u0661"]
)
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(InvalidCursorError, match="Invalid cursor: expected the cursor of"):
        sequence_of(CursorKind.VALUES, text)


def test_the_longest_cursor_is_taken_and_a_longer_one_is_not():
    assert sequence_of(CursorKind.VALUES, "v" + "f" * 15) == 2**60 - 1
    with pytest.raises(InvalidCursorError):
        sequence_of(CursorKind.VALUES, "v" + "f" * 16)


@given(st.text(max_size=20))
def test_no_text_makes_it_fail_otherwise(text):
    try:
        sequence = sequence_of(CursorKind.VALUES, text)
    except InvalidCursorError:
        return
    assert int(text[1:], 16) == sequence
