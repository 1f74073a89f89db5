"""Decoding JSON bodies strictly, and saying what is wrong with one and where.

msgspec decodes into the features' dataclasses and finds most faults; two that it lets pass
are looked for here: the same member twice (the last would win silently), and nesting beyond
its recursion (which it reports as a `RecursionError`). See `rulings.md`, Wire.
"""

import json
import re
from collections import Counter
from typing import TypeVar

import msgspec

from thingstead.features.values.errors import InvalidValuesError
from thingstead.features.values.model import ABSENT, IncomingWrite
from thingstead.kernel.errors import InvalidBodyError, InvalidJSONError
from thingstead.kernel.json_values import JSONLimits, check_json

Shape = TypeVar("Shape")

_write_decoder = msgspec.json.Decoder(IncomingWrite)
_any_decoder = msgspec.json.Decoder()
_LIMITS = JSONLimits()
_PLACE = re.compile(r"(?s)(.*) - at `\$\.?(.*)`")


def decode_write(body: bytes) -> IncomingWrite:
    """Return the write that a JSON body holds.

    Raises:
        InvalidJSONError: the body is not well formed, or names a member twice.
        InvalidValuesError: it is well formed, but not of the shape of a write.
    """
    try:
        incoming = _write_decoder.decode(body)
        # How deep msgspec goes differs between versions of Python; counting may go less deep.
        colons = _colons_of_write(incoming)
    except msgspec.ValidationError as exc:
        raise InvalidValuesError(what_and_where(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise _malformed(exc, body) from exc
    # Every member costs one colon. If the colons of the text are all accounted for by what
    # was decoded, no member can have been sent twice; otherwise (unknown members, escapes,
    # null for an optional member, a real repetition) the slow way decides.
    if b"\\" in body or body.count(b":") != colons:
        refuse_repeated_members(body)
    return incoming


def decode_any(body: bytes) -> object:
    """Return the JSON value of a body, checked for depth, members, NUL and large integers.

    Raises:
        InvalidJSONError: the body is not well formed, or names a member twice.
        InvalidBodyError: a limit is exceeded.
    """
    try:
        value = _any_decoder.decode(body)
    except msgspec.ValidationError as exc:
        # A number that no double can hold is reported as a fault of shape.
        raise InvalidJSONError(what_and_where(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise _malformed(exc, body) from exc
    if type(value) in {dict, list}:
        refuse_repeated_members(body)
    check_json(value, "", _LIMITS)
    return value


def decode_object(body: bytes, shape: type[Shape]) -> Shape:
    """Return a JSON object decoded into a dataclass; unknown members are ignored.

    Raises:
        InvalidJSONError, InvalidBodyError: it is malformed, or of another shape.
    """
    value = decode_any(body)
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as exc:
        raise InvalidBodyError(what_and_where(exc)) from exc


def refuse_repeated_members(body: bytes) -> None:
    """Raise `InvalidJSONError` if an object of a well-formed body names a member twice."""
    try:
        json.loads(body, object_pairs_hook=_refuse_repetition)
    except RecursionError as exc:
        raise _malformed(exc, body) from exc
    except UnicodeDecodeError as exc:
        raise _malformed(exc, body) from exc
    except ValueError as exc:
        # The standard library refuses some of what msgspec takes, such as huge integers.
        raise InvalidJSONError("a number has too many digits") from exc


def what_and_where(error: msgspec.ValidationError) -> str:
    """Return msgspec's complaint as `values[3].key: expected str, got int`."""
    text = str(error)
    found = _PLACE.fullmatch(text)
    what, where = (found[1], found[2]) if found else (text, "")
    what = what[:1].lower() + what[1:].replace("`", "")
    return f"{where}: {what}" if where else what


def _refuse_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise InvalidJSONError(f"member {name[:64]!r} stands twice in one object")
    return members


def _malformed(error: Exception, body: bytes) -> InvalidJSONError:
    if isinstance(error, RecursionError):
        return InvalidJSONError(f"nested deeper than {_LIMITS.max_depth} levels")
    if isinstance(error, UnicodeDecodeError):
        return InvalidJSONError("a text is not UTF-8")
    if not body.strip():
        return InvalidJSONError("the body is empty")
    text = str(error).removeprefix("JSON is malformed: ")
    return InvalidJSONError(text[:1].lower() + text[1:])


def _colons_of_write(incoming: IncomingWrite) -> int:
    total = 1
    for member in incoming.values:
        total += 1
        value = member.value
        if value is not ABSENT:
            total += 1
            kind = type(value)
            if kind is str or kind is dict or kind is list:
                total += _colons(value)
        if member.geo is not None:
            total += 1 + _colons(member.geo)
        if member.datetime is not None:
            total += 1 + _colons(member.datetime)
    return total


def _colons(value: object) -> int:
    """Return how many colons a decoded value had as compact JSON without escapes."""
    if isinstance(value, str):
        return value.count(":")
    if isinstance(value, dict):
        return sum(1 + name.count(":") + _colons(member) for name, member in value.items())
    if isinstance(value, list):
        return sum(map(_colons, value))
    return 0
