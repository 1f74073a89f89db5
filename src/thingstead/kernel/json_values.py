"""What a JSON value may hold, whatever the transport that brought it.

Decoders accept more than the platform does: integers of any size, NUL in texts, objects
nested a thousand deep (measured: msgspec and the standard library let all of these pass).
This module checks a decoded value; finding the same member twice is the decoder's part,
because a decoded object no longer shows it.
"""

import json
import math
from dataclasses import dataclass
from typing import Final, final

from thingstead.kernel.errors import InvalidBodyError

_LARGEST_INTEGER = 2**63 - 1
_SMALLEST_INTEGER = -(2**63)


@dataclass(frozen=True, slots=True)
class JSONLimits:
    """How large and deep a JSON value may be."""

    max_depth: int = 32
    max_members: int = 1_000


@final
class JSONText:
    """A JSON value that was stored as checked text; whoever needs its members decodes it.

    As objects of Python it would take up to thirty times the room of its text, and most of
    them are only passed on.
    """

    # No dataclass: an encoder that does not know it must fail, not write out its members.
    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text: Final = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JSONText) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"JSONText of {len(self.text)} bytes"

    def decoded(self) -> object:
        """Return the value, made anew at each call."""
        value: object = json.loads(self.text)
        return value


def compact_size(value: object) -> int:
    """Return the bytes that the value takes as compact JSON in UTF-8."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))


def is_larger_than(value: object, max_bytes: int) -> bool:
    """Return whether the value's compact JSON is larger than that many bytes."""
    if value is None or isinstance(value, (bool, int, float)):
        return False
    if isinstance(value, str) and len(value) * 6 + 2 <= max_bytes:
        return False
    return compact_size(value) > max_bytes


def has_more_parts_than(value: object, most: int) -> bool:
    """Return whether a value has more members and items, at all depths, than `most`.

    Looks at `most` of them at most, so that a large value is cheap to refuse.
    """
    waiting = [value]
    parts = 0
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, (dict, list)):
            parts += len(inner)
            if parts > most:
                return True
            waiting.extend(inner.values() if isinstance(inner, dict) else inner)
    return False


def check_json(value: object, where: str, limits: JSONLimits, *, depth: int = 0) -> None:
    """Check a decoded value; `depth` is how many containers it stands in already.

    Raises:
        InvalidBodyError: names the place and the limit.
    """
    if isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if not _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER:
            raise InvalidBodyError(f"{where}: whole numbers go from -2^63 to 2^63-1")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidBodyError(f"{where}: a number must be finite")
    elif isinstance(value, (dict, list)):
        _check_container(value, where, limits, depth + 1)
    else:
        raise InvalidBodyError(f"{where}: {type(value).__name__} is no JSON type")


def _check_text(text: str, where: str) -> None:
    if "\x00" in text:
        raise InvalidBodyError(f"{where}: a text must not contain NUL")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as exc:
            raise InvalidBodyError(f"{where}: a text must not contain lone surrogates") from exc


def _check_container(
    value: dict[object, object] | list[object], where: str, limits: JSONLimits, depth: int
) -> None:
    if depth > limits.max_depth:
        # The place is cut: at this depth it would be longer than the message.
        raise InvalidBodyError(f"{where[:80]}: nested deeper than {limits.max_depth} levels")
    if isinstance(value, list):
        for index, member in enumerate(value):
            check_json(member, f"{where}[{index}]", limits, depth=depth)
        return
    if len(value) > limits.max_members:
        raise InvalidBodyError(f"{where}: more than {limits.max_members} members in one object")
    for name, member in value.items():
        if not isinstance(name, str):
            raise InvalidBodyError(f"{where}: a member's name must be a text")
        _check_text(name, f"{where}: name of a member")
        check_json(member, f"{where}.{name[:64]}" if where else name[:64], limits, depth=depth)
