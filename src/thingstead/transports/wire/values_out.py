"""Values as they go out: compact JSON on one line, `value` last unless there is a position.

The order of the members matters to clients that cut texts instead of parsing them
(`thethings-v2.md` 1.4, 3.3): `datetime, key, value[, geo]`. Used from the event loop only,
because the formatter keeps a table that is not shared between threads.
"""

from collections.abc import Sequence

import msgspec

from thingstead.features.live.model import LiveEvent
from thingstead.features.values.model import MagicEcho, Reading, Row, StoredValue
from thingstead.kernel.instants import InstantFormatter
from thingstead.kernel.json_values import JSONText


def _as_it_is(value: object) -> msgspec.Raw:
    """Return what goes out unchanged; asked only for what the encoder does not know.

    Raises:
        TypeError: nothing that is stored or answered has this type; the caller has a fault.
    """
    if isinstance(value, JSONText):
        return msgspec.Raw(value.text)
    raise TypeError(f"{type(value).__name__} is no JSON type")


encode = msgspec.json.Encoder(enc_hook=_as_it_is).encode
instant = InstantFormatter()
"""Formats times on the event loop; neighbouring ones quickly."""
_FORMAT = "json"


class _Geo(msgspec.Struct, gc=False):
    lat: float
    long: float


class _Value(msgspec.Struct, gc=False):
    datetime: str
    key: str
    value: object


class _PlacedValue(msgspec.Struct, gc=False):
    datetime: str
    key: str
    value: object
    geo: _Geo


class _StaticValue(msgspec.Struct, gc=False):
    key: str
    value: object


class _UsersValue(msgspec.Struct, gc=False):
    thingId: str  # noqa: N815  # The name on the wire; before the others (`rulings.md`, Wire).
    datetime: str
    key: str
    value: object


class _UsersPlacedValue(msgspec.Struct, gc=False):
    thingId: str  # noqa: N815
    datetime: str
    key: str
    value: object
    geo: _Geo


class _UsersStaticValue(msgspec.Struct, gc=False):
    thingId: str  # noqa: N815
    key: str
    value: object


def encode_reading(reading: Reading) -> bytes:
    """Return a read's answer: a bare array, newest first; encoded once for all who read it."""
    encoded = reading.encodings.get(_FORMAT)
    if encoded is None:
        encoded = reading.encodings[_FORMAT] = encode(reading_items(reading))
    return encoded


def reading_items(reading: Reading) -> list[object]:
    """Return the members of a read's answer, ready to encode."""
    key = reading.key
    return [
        _Value(instant(at_ms), key, value)
        if lat is None or long is None
        else _PlacedValue(instant(at_ms), key, value, _Geo(lat, long))
        for value, at_ms, lat, long in reading.rows
    ]


def encode_users_rows(key: str, rows: Sequence[tuple[str, Row]]) -> bytes:
    """Return one resource's values over several things, each with its thing's id."""
    return encode([_users_row(thing_id, key, row) for thing_id, row in rows])


def users_documents(key: str, documents: Sequence[tuple[str, object]]) -> list[object]:
    """Return one static resource of several things, each with its thing's id, to encode."""
    return [_UsersStaticValue(thing_id, key, value) for thing_id, value in documents]


def encode_users_documents(key: str, documents: Sequence[tuple[str, object]]) -> bytes:
    """Return the same encoded, as a bare array."""
    return encode(users_documents(key, documents))


def encode_users_entries(thing_id: str, entries: Sequence[StoredValue | MagicEcho]) -> bytes:
    """Return what a user hears of one write."""
    return encode([_users_entry(thing_id, entry) for entry in entries])


def encode_static(key: str, value: object) -> bytes:
    """Return a static resource's answer: an array of one, without a time."""
    return encode([_StaticValue(key, value)])


def encode_event(event: LiveEvent) -> bytes:
    """Return a live event: a bare array of its values; encoded once for all subscribers."""
    encoded = event.encodings.get(_FORMAT)
    if encoded is None:
        encoded = event.encodings[_FORMAT] = encode([_entry(entry) for entry in event.entries])
    return encoded


def encode_entries(entries: Sequence[StoredValue | MagicEcho]) -> bytes:
    """Return some values of a live event, as `encode_event` writes them."""
    return encode([_entry(entry) for entry in entries])


def _entry(entry: StoredValue | MagicEcho) -> object:
    if isinstance(entry, MagicEcho):
        return _StaticValue(entry.key, entry.value)
    if entry.position is None:
        return _Value(instant(entry.at_ms), entry.key, entry.value)
    geo = _Geo(entry.position.lat, entry.position.long)
    return _PlacedValue(instant(entry.at_ms), entry.key, entry.value, geo)


def _users_row(thing_id: str, key: str, row: Row) -> object:
    value, at_ms, lat, long = row
    if lat is None or long is None:
        return _UsersValue(thing_id, instant(at_ms), key, value)
    return _UsersPlacedValue(thing_id, instant(at_ms), key, value, _Geo(lat, long))


def _users_entry(thing_id: str, entry: StoredValue | MagicEcho) -> object:
    if isinstance(entry, MagicEcho):
        return _UsersStaticValue(thing_id, entry.key, entry.value)
    position = entry.position
    lat, long = (None, None) if position is None else (position.lat, position.long)
    return _users_row(thing_id, entry.key, (entry.value, entry.at_ms, lat, long))
