"""From the members of a provider's message to values, where nothing else says what they mean.

Knows no provider (`sigfox.py`, `lora.py`) and no transport. Names that cannot be resource keys
are cleaned, so that no message can reach a magic resource by its members' names.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from thingstead.features.devices.decoding import Decoder
from thingstead.features.devices.errors import InvalidDeviceIdError
from thingstead.features.devices.readings import values_of_message
from thingstead.features.values.checks import is_resource_key
from thingstead.features.values.model import IncomingValue

MAX_DEPTH = 3
THING_TOKEN = "thingToken"  # noqa: S105  # The name of a member.

_MAX_KEY_CHARACTERS = 64
_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9._-]")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{0,18})?([eE][+-]?[0-9]{1,3})?")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")

Members = dict[str, object]


@dataclass(frozen=True, slots=True)
class Callback:
    """A message as it came: the members of its query and body, and how it names its device.

    A member of the body stands before one of the query that has the same name.
    """

    members: Members
    idname: str | None = None
    thing_token: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What a callback wants: values of one device, named by its token or by its id."""

    thing_token: str | None
    device_id: str | None
    values: list[IncomingValue]


def at_path(members: Members, path: str) -> object:
    """Return what a dotted path leads to, a member of just that name first; None for nothing."""
    if path in members:
        return members[path]
    found: object = members
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def device_of(callback: Callback, *defaults: str) -> tuple[str | None, str | None, str | None]:
    """Return the thing token or the device id, and the path at which the id was found.

    The member that `idname` names is the device's id; without it the thing token counts, and
    without that the first of the default paths that leads to an id.

    Raises:
        InvalidDeviceIdError: the message names no device.
    """
    if callback.idname is not None and callback.idname != THING_TOKEN:
        device_id = _id_text(at_path(callback.members, callback.idname))
        if device_id is None:
            raise InvalidDeviceIdError(f"{callback.idname[:64]}: expected a text or a number")
        return None, device_id, callback.idname
    if callback.thing_token is not None:
        return callback.thing_token, None, None
    for path in defaults:
        device_id = _id_text(at_path(callback.members, path))
        if device_id is not None:
            return None, device_id, path
    raise InvalidDeviceIdError(f"{' or '.join((THING_TOKEN, *defaults))}: missing")


def _id_text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else None


def values_of(
    members: Members,
    decoder: Decoder | None,
    *,
    without: str | None = None,
    datetime: str | None = None,
    geo: object = None,
) -> list[IncomingValue]:
    """Return a value for each number, text and boolean, those of objects under dotted keys.

    Deeper ones than `MAX_DEPTH` and lists are left out, as is the member at the path `without`.
    With a decoder, the bytes that `data` or `payload` hold in hex become its fields instead.
    """
    values: dict[str, IncomingValue] = {}
    for path, value in leaves(members):
        if path == without:
            continue
        message = bytes_of(value) if decoder and path in {"data", "payload"} else None
        if message is None:
            found = [IncomingValue(cleaned_key(path), value, geo, datetime)]
        else:
            found = values_of_message(decoder, message, datetime=datetime, geo=geo)
        for one in found:
            if one.key:
                values.setdefault(one.key, one)
    return list(values.values())


def leaves(
    members: Members, prefix: str = "", depth: int = 1
) -> Iterator[tuple[str, str | bool | int | float]]:
    """Yield the numbers, texts and booleans with their dotted paths."""
    for name, value in members.items():
        path = prefix + name
        if isinstance(value, dict):
            if depth < MAX_DEPTH:
                yield from leaves(value, f"{path}.", depth + 1)
        elif isinstance(value, (str, bool, int, float)):
            yield path, value


def cleaned_key(name: str) -> str:
    """Return a resource key like the name; empty for an empty name."""
    key = _NOT_IN_KEYS.sub("_", name[:_MAX_KEY_CHARACTERS])
    if not key or is_resource_key(key):
        return key
    # `description` and the like are addresses of their own.
    return f"{key}_"


def bytes_of(value: object) -> bytes | None:
    """Return the bytes that a text holds in hex, None for anything else."""
    if not isinstance(value, str) or _HEX.fullmatch(value) is None:
        return None
    return bytes.fromhex(value)


def number_of(value: object) -> int | float | None:
    """Return a number, also one that came as a text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if not isinstance(value, str):
        return value
    if _NUMBER.fullmatch(value) is None:
        return None
    number = float(value)
    if not math.isfinite(number):
        return None
    # Whole numbers of up to 18 digits fit into 64 bits.
    is_whole = value.lstrip("+-").isdecimal()
    return int(value) if is_whole else number
