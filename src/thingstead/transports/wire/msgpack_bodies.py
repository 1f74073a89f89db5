"""MessagePack bodies: the same map as in JSON (`thethings-v2.md` 2.2, Arduino's example).

msgspec decodes them; of a member that stands twice it keeps the last, as it does in JSON, so
the names are looked through here as well. The format: https://github.com/msgpack/msgpack,
spec.md.
"""

import msgspec

from thingstead.features.values.errors import InvalidValuesError
from thingstead.features.values.model import IncomingWrite
from thingstead.kernel.errors import InvalidBodyError
from thingstead.transports.wire.json_bodies import what_and_where

_write_decoder = msgspec.msgpack.Decoder(IncomingWrite)
_any_decoder = msgspec.msgpack.Decoder()


def decode_msgpack_write(body: bytes) -> IncomingWrite:
    """Return the write that a MessagePack body holds.

    Raises:
        InvalidBodyError: the body is no MessagePack.
        InvalidValuesError: it is not of the shape of a write.
    """
    try:
        incoming = _write_decoder.decode(body)
        _refuse_repeated_members(body)
    except msgspec.ValidationError as exc:
        raise InvalidValuesError(what_and_where(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise InvalidBodyError("the body is not well-formed MessagePack") from exc
    return incoming


def decode_msgpack(body: bytes) -> object:
    """Return the value that a MessagePack body holds, unchecked.

    Raises:
        InvalidBodyError: the body is no MessagePack.
    """
    try:
        value: object = _any_decoder.decode(body)
        _refuse_repeated_members(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise InvalidBodyError("the body is not well-formed MessagePack") from exc
    return value


def _refuse_repeated_members(body: bytes) -> None:
    """Raise `InvalidBodyError` if a map of a well-formed body names a member twice."""
    _skip(body, 0)


def _skip(body: bytes, at: int) -> int:
    """Return where the value at that offset ends, having looked through its maps."""
    kind = body[at]
    at += 1
    if kind < 0x80 or kind >= 0xE0:
        return at
    if kind < 0x90:
        return _skip_map(body, at, kind & 0x0F)
    if kind < 0xA0:
        return _skip_array(body, at, kind & 0x0F)
    if kind < 0xC0:
        return at + (kind & 0x1F)
    if kind in _FIXED:
        return at + _FIXED[kind]
    width = _COUNTED[kind]
    count = int.from_bytes(body[at : at + width], "big")
    at += width
    if kind in _ARRAYS:
        return _skip_array(body, at, count)
    if kind in _MAPS:
        return _skip_map(body, at, count)
    # Extensions carry one byte of type between their length and their content.
    return at + count + (1 if kind in _EXTENSIONS else 0)


def _skip_array(body: bytes, at: int, count: int) -> int:
    for _ in range(count):
        at = _skip(body, at)
    return at


def _skip_map(body: bytes, at: int, count: int) -> int:
    seen: set[object] = set()
    for _ in range(count):
        end = _skip(body, at)
        # Decoded, because one name can be written with lengths of different widths.
        name = _any_decoder.decode(body[at:end])
        if isinstance(name, (list, dict)):
            raise InvalidBodyError("a member's name must be a text")
        if name in seen:
            raise InvalidBodyError(f"member {str(name)[:64]!r} stands twice in one object")
        seen.add(name)
        at = _skip(body, end)
    return at


# How many bytes follow the first one.
_FIXED = {
    **dict.fromkeys((0xC0, 0xC1, 0xC2, 0xC3), 0),
    0xCA: 4,
    0xCB: 8,
    0xCC: 1,
    0xCD: 2,
    0xCE: 4,
    0xCF: 8,
    0xD0: 1,
    0xD1: 2,
    0xD2: 4,
    0xD3: 8,
    0xD4: 2,
    0xD5: 3,
    0xD6: 5,
    0xD7: 9,
    0xD8: 17,
}
# In how many bytes the count that follows is written.
_COUNTED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_COUNTED |= {0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}
_EXTENSIONS = frozenset({0xC7, 0xC8, 0xC9})
_ARRAYS = frozenset({0xDC, 0xDD})
_MAPS = frozenset({0xDE, 0xDF})
