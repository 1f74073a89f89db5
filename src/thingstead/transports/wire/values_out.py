"""Values as they go out: compact JSON on one line, `value` last unless there is a position.

The order of the members matters to clients that cut texts instead of parsing them
(`thethings-v2.md` 1.4, 3.3): `datetime, key, value[, geo]`. Used from the event loop only,
because the formatter keeps a table that is not shared between threads.
"""

import msgspec

from thingstead.features.live.model import LiveEvent
from thingstead.features.values.model import MagicEcho, Reading, StoredValue
from thingstead.kernel.instants import InstantFormatter

encode = msgspec.json.Encoder().encode
_instant = InstantFormatter()
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


def encode_reading(reading: Reading) -> bytes:
    """Return a read's answer: a bare array, newest first; encoded once for all who read it."""
    encoded = reading.encodings.get(_FORMAT)
    if encoded is None:
        encoded = reading.encodings[_FORMAT] = encode(reading_items(reading))
    return encoded


def reading_items(reading: Reading) -> list[object]:
    """Return the members of a read's answer, ready to encode."""
    key = reading.key
    instant = _instant
    return [
        _Value(instant(at_ms), key, value)
        if lat is None or long is None
        else _PlacedValue(instant(at_ms), key, value, _Geo(lat, long))
        for value, at_ms, lat, long in reading.rows
    ]


def encode_static(key: str, value: object) -> bytes:
    """Return a static resource's answer: an array of one, without a time."""
    return encode([_StaticValue(key, value)])


def encode_event(event: LiveEvent) -> bytes:
    """Return a live event: a bare array of its values; encoded once for all subscribers."""
    encoded = event.encodings.get(_FORMAT)
    if encoded is None:
        encoded = event.encodings[_FORMAT] = encode([_entry(entry) for entry in event.entries])
    return encoded


def _entry(entry: StoredValue | MagicEcho) -> object:
    if isinstance(entry, MagicEcho):
        return _StaticValue(entry.key, entry.value)
    if entry.position is None:
        return _Value(_instant(entry.at_ms), entry.key, entry.value)
    geo = _Geo(entry.position.lat, entry.position.long)
    return _PlacedValue(_instant(entry.at_ms), entry.key, entry.value, geo)
