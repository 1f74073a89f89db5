"""What Sigfox's backend calls: data and geolocation callbacks (`thethings-v2.md` 5.6).

The backend fills its own variables into the query or the body, as texts in the one and often in
the other too. A message that several base stations heard comes once more with `duplicate`.
"""

from thingstead.features.devices.decoding import Decoder
from thingstead.features.devices.readings import RAW_KEY, values_of_message
from thingstead.features.values.model import IncomingValue
from thingstead.kernel.errors import InvalidBodyError, InvalidDateError
from thingstead.kernel.instants import format_instant
from thingstead.transports.http.callbacks.mapping import (
    Callback,
    Members,
    Message,
    bytes_of,
    cleaned_key,
    device_of,
    leaves,
    number_of,
)

_IDS = ("id", "device")
# These have their own meaning, or are texts about the network and not about the device.
_NOT_VALUES = frozenset(
    {
        *_IDS,
        *("data", "time", "duplicate", "ack", "lat", "lng", "station"),
        *("deviceTypeId", "deviceType", "countryCode", "computedLocation"),
    }
)
# Year 9999, where texts with four digits for the year end.
_LAST_SECOND = 253_402_300_799


def sigfox_message(callback: Callback, decoder: Decoder | None) -> Message | None:
    """Return the message of a data callback; None for a duplicate.

    The decoder's fields, otherwise `data` as it is; numbers, booleans and texts of custom
    fields beside them; `$geo` and the values' positions from `lat` and `lng`.

    Raises:
        InvalidDeviceIdError: it names no device.
        InvalidDateError: `time` is no number of seconds.
    """
    members = callback.members
    if str(members.get("duplicate", "")).lower() in {"true", "1"}:
        return None
    token, device_id, path = device_of(callback, *_IDS)
    datetime, geo = _datetime(members), _geo(members)
    values: dict[str, IncomingValue] = {}
    data = members.get(RAW_KEY)
    if data not in (None, ""):
        for value in _values_of_data(data, decoder, datetime, geo):
            values[value.key] = value
    for value in _others(members, path, datetime, geo):
        values.setdefault(value.key, value)
    return Message(token, device_id, _with_position(list(values.values()), geo))


def sigfox_geo_message(callback: Callback, _decoder: Decoder | None) -> Message | None:
    """Return the message of a geolocation callback: `$geo`, and `radius` in metres.

    Raises:
        InvalidDeviceIdError: it names no device.
        InvalidBodyError: `lat` or `lng` is missing.
        InvalidDateError: `time` is no number of seconds.
    """
    members = callback.members
    token, device_id, path = device_of(callback, *_IDS)
    geo = _geo(members)
    if geo is None:
        raise InvalidBodyError("lat and lng: expected numbers of degrees")
    values = _others(members, path, _datetime(members), geo)
    return Message(token, device_id, _with_position(values, geo))


def _values_of_data(
    data: object, decoder: Decoder | None, datetime: str | None, geo: object
) -> list[IncomingValue]:
    message = bytes_of(data)
    if message is None:
        return [IncomingValue(RAW_KEY, data, geo, datetime)]
    return values_of_message(decoder, message, datetime=datetime, geo=geo)


def _others(
    members: Members, path: str | None, datetime: str | None, geo: object
) -> list[IncomingValue]:
    """Return what stands beside the data: numbers, booleans and texts of custom fields."""
    values = []
    for name, value in leaves(members):
        # The backend writes an empty text or `null` where it has nothing to say.
        if name.partition(".")[0] in _NOT_VALUES or name == path or value in {"", "null"}:
            continue
        number = number_of(value)
        key = cleaned_key(name)
        if key:
            found = _boolean(value) if number is None else number
            values.append(IncomingValue(key, found, geo, datetime))
    return values


def _boolean(value: str | float) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _datetime(members: Members) -> str | None:
    sent = members.get("time")
    if sent in (None, ""):
        return None
    seconds = number_of(sent)
    if seconds is None or not 0 <= seconds <= _LAST_SECOND:
        raise InvalidDateError("time: expected seconds since 1970")
    return format_instant(round(seconds * 1_000))


def _geo(members: Members) -> dict[str, object] | None:
    lat, long = number_of(members.get("lat")), number_of(members.get("lng"))
    return None if lat is None or long is None else {"lat": lat, "long": long}


def _with_position(values: list[IncomingValue], geo: object) -> list[IncomingValue]:
    return values if geo is None else [*values, IncomingValue("$geo", None, geo)]
