"""How the bytes of a message become values: the grammar of Sigfox's custom payload config.

Fields are separated by blanks; each is `NAME:BYTE_INDEX:TYPE`, where TYPE is one of

    bool:BIT                        BIT 0 to 7, 7 is the most significant
    char:LENGTH                     so many bytes of text
    float:32 or float:64            IEEE 754, then perhaps :little-endian or :big-endian
    uint:BITS or int:BITS           1 to 64, then perhaps an endianness, then perhaps :BIT

Where BYTE_INDEX is left out, a boolean stands in the byte where the field before it ended and
every other field in the byte behind it, or in that byte if the field before it named a BIT.
The first field then stands in byte 0. A number is read from BIT (7 if it is left out) of its
first byte downwards. Source: the guide to callbacks of Sigfox's backend.

Assumption: "the current byte" of that guide is the last byte that the field before it used,
also where that field was a number of several bytes. Assumption: a number that is no whole
number of bytes, or does not begin at bit 7, is big-endian; the guide has no example of another.

Pure; knows no transport and no store.
"""

import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from thingstead.features.devices.errors import InvalidDecoderError
from thingstead.features.values.checks import is_resource_key

MAX_DECODER_CHARACTERS = 4_096
MAX_FIELDS = 100
# An LP-WAN's message has 242 bytes at most, a datagram's payload 8 KiB.
MAX_BYTE_INDEX = 8_191

_TOP_BIT = 7
_NAME = re.compile(r"[A-Za-z0-9#_-]{1,64}")
_NUMBER = re.compile(r"[0-9]{1,5}")
_LARGEST_INTEGER = 2**63 - 1
_ENDIANNESSES = {"": True, "big-endian": True, "little-endian": False}

FieldValue = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Field:
    """One field: which bytes it reads, from `start` on, and what becomes of them."""

    key: str
    start: int
    size: int
    value_of: Callable[[bytes], FieldValue | None]


@dataclass(frozen=True, slots=True)
class Decoder:
    """Turns the bytes of a message into values; `text` is what it was made from."""

    text: str
    fields: tuple[Field, ...]

    def decode(self, message: bytes) -> dict[str, FieldValue]:
        """Return the fields in their order.

        Those that reach beyond the message, and numbers that are not finite, are left out.
        """
        values: dict[str, FieldValue] = {}
        for field in self.fields:
            part = message[field.start : field.start + field.size]
            if len(part) < field.size:
                continue
            value = field.value_of(part)
            if value is not None:
                values[field.key] = value
        return values


def parse_decoder(text: str) -> Decoder:
    """Return the decoder that the text describes.

    Raises:
        InvalidDecoderError: it does not; the detail names the field.
    """
    if len(text) > MAX_DECODER_CHARACTERS:
        raise InvalidDecoderError(f"more than {MAX_DECODER_CHARACTERS} characters")
    words = text.split()
    if not words:
        raise InvalidDecoderError("it names no field")
    if len(words) > MAX_FIELDS:
        raise InvalidDecoderError(f"more than {MAX_FIELDS} fields")
    fields: list[Field] = []
    place = _Place()
    for word in words:
        try:
            field = _field(word, place)
        except ValueError as exc:
            raise InvalidDecoderError(f"field {word[:64]!r}: {exc}") from exc
        if any(field.key == known.key for known in fields):
            raise InvalidDecoderError(f"field {word[:64]!r}: {field.key} stands twice")
        fields.append(field)
    return Decoder(text, tuple(fields))


@dataclass(slots=True)
class _Place:
    """Where a field stands whose byte index is left out."""

    current: int = 0
    following: int = 0

    def step(self, start: int, size: int, *, names_bit: bool) -> None:
        self.current = start + size - 1
        self.following = self.current if names_bit else self.current + 1


@dataclass(frozen=True, slots=True)
class _Type:
    """What a type reads, and whether it named the bit at which it begins."""

    size: int
    value_of: Callable[[bytes], FieldValue | None]
    names_bit: bool = False


def _field(word: str, place: _Place) -> Field:
    name, *rest = word.split(":")
    if len(rest) < 2:
        raise ValueError("expected NAME:BYTE_INDEX:TYPE")
    if _NAME.fullmatch(name) is None:
        raise ValueError("a name has 1 to 64 letters, digits, #, - or _")
    # What Sigfox calls customData#NAME is no resource key.
    key = name.replace("#", "_")
    if not is_resource_key(key):
        raise ValueError(f"{key} is reserved and cannot hold values")
    index, kind, *parameters = rest
    read_type = _TYPES.get(kind)
    if read_type is None:
        raise ValueError("the type is bool, char, float, uint or int")
    described = read_type(parameters)
    omitted = place.current if kind == "bool" else place.following
    start = omitted if index == "" else _number(index, 0, MAX_BYTE_INDEX, "a byte index")
    if start + described.size - 1 > MAX_BYTE_INDEX:
        raise ValueError(f"it reaches beyond byte {MAX_BYTE_INDEX}")
    place.step(start, described.size, names_bit=described.names_bit)
    return Field(key, start, described.size, described.value_of)


def _number(text: str, least: int, most: int, what: str) -> int:
    if _NUMBER.fullmatch(text) is None or not least <= int(text) <= most:
        raise ValueError(f"{what} is a number from {least} to {most}")
    return int(text)


def _parameters(sent: list[str], most: int, expected: str) -> list[str]:
    """Return as many parameters, empty where they are left out."""
    if not 1 <= len(sent) <= most:
        raise ValueError(f"expected {expected}")
    return [*sent, *[""] * (most - len(sent))]


def _is_big_endian(text: str) -> bool:
    if text not in _ENDIANNESSES:
        raise ValueError("the endianness is big-endian or little-endian")
    return _ENDIANNESSES[text]


def _bool(sent: list[str]) -> _Type:
    (text,) = _parameters(sent, 1, "bool:BIT")
    bit = _number(text, 0, _TOP_BIT, "the bit")
    return _Type(1, lambda part: bool(part[0] >> bit & 1))


def _char(sent: list[str]) -> _Type:
    (text,) = _parameters(sent, 1, "char:LENGTH")
    return _Type(_number(text, 1, MAX_BYTE_INDEX + 1, "the length"), _text)


def _text(part: bytes) -> str:
    # Assumption: texts shorter than their field are filled up with NUL, as in C.
    return part.split(b"\x00", 1)[0].decode("utf-8", "replace")


def _float(sent: list[str]) -> _Type:
    bits, endianness = _parameters(sent, 2, "float:32 or float:64, then an endianness")
    if bits not in {"32", "64"}:
        raise ValueError("a float has 32 or 64 bits")
    order = ">" if _is_big_endian(endianness) else "<"
    form = struct.Struct(order + ("f" if bits == "32" else "d"))

    def value_of(part: bytes) -> float | None:
        (value,) = form.unpack(part)
        return float(value) if math.isfinite(value) else None

    return _Type(form.size, value_of)


def _uint(sent: list[str]) -> _Type:
    return _integer(sent, is_signed=False)


def _int(sent: list[str]) -> _Type:
    return _integer(sent, is_signed=True)


def _integer(sent: list[str], *, is_signed: bool) -> _Type:
    expected = "a number of bits, then an endianness, then a bit"
    sent_bits, endianness, sent_bit = _parameters(sent, 3, expected)
    bits = _number(sent_bits, 1, 64, "the number of bits")
    bit = _TOP_BIT if sent_bit == "" else _number(sent_bit, 0, _TOP_BIT, "the bit")
    is_big = _is_big_endian(endianness)
    if not is_big and (bits % 8 or bit != _TOP_BIT):
        raise ValueError("little-endian numbers are of whole bytes")
    # The bits before the number in its first byte, and those behind it in its last.
    before = _TOP_BIT - bit
    size = (before + bits + 7) // 8
    behind = size * 8 - before - bits
    mask = (1 << bits) - 1

    def value_of(part: bytes) -> int | float:
        number = int.from_bytes(part, "big" if is_big else "little") >> behind & mask
        if is_signed and number >> (bits - 1):
            return number - (1 << bits)
        # A larger one cannot be stored as a whole number, and keeps 53 bits as a float.
        return number if number <= _LARGEST_INTEGER else float(number)

    return _Type(size, value_of, names_bit=sent_bit != "")


_TYPES: dict[str, Callable[[list[str]], _Type]] = {
    "bool": _bool,
    "char": _char,
    "float": _float,
    "uint": _uint,
    "int": _int,
}
