"""Cursors: the place of an event among all of its kind, as clients hold it.

A text that means nothing to who holds it (`rulings.md`, Wire): on one machine it holds the
sequence, on other stores it may hold something else. Comparing two of them is not for clients.
"""

import re
from enum import StrEnum

from thingstead.kernel.errors import Category, ThingsteadError

_SEQUENCE = re.compile(r"[0-9a-f]{1,15}")


class InvalidCursorError(ThingsteadError):
    """A cursor is none that this server gave, or one of another kind of stream."""

    category = Category.INVALID
    code = "invalid-cursor"
    message = "Invalid cursor"
    advice = "Send a cursor exactly as an event of the same stream carried it, or leave it out."


class CursorKind(StrEnum):
    """What is counted; a cursor of one kind is none of another."""

    VALUES = "v"
    OBJECTS = "c"


def cursor_of(kind: CursorKind, sequence: int) -> str:
    """Return the cursor of the event with that sequence."""
    return f"{kind.value}{sequence:x}"


def sequence_of(kind: CursorKind, text: str) -> int:
    """Return the sequence that the cursor holds.

    Raises:
        InvalidCursorError: it is no cursor of that kind.
    """
    if not text.startswith(kind.value) or not _SEQUENCE.fullmatch(text, 1):
        raise InvalidCursorError("expected the cursor of an event of the same stream")
    return int(text[1:], 16)
