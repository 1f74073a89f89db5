"""What LoRaWAN networks call: webhooks of The Things Stack v3, and others' like `http.py`.

The Things Stack's documentation, "Data formats", describes the messages. It calls for every
kind of event; only those with an uplink message hold what a device sent.
"""

import base64
import binascii

from thingstead.features.devices.decoding import Decoder
from thingstead.features.devices.readings import RAW_KEY, values_of_message
from thingstead.features.values.model import IncomingValue
from thingstead.transports.http.callbacks.mapping import (
    Callback,
    Members,
    Message,
    device_of,
    number_of,
    values_of,
)

_IDS = ("end_device_ids.device_id", "end_device_ids.dev_eui", "deviceId", "DevEUI")
_OF_STACK = frozenset({"end_device_ids", "uplink_message"})


def lora_message(callback: Callback, decoder: Decoder | None) -> Message | None:
    """Return the message; None for events that hold none, such as a join.

    Raises:
        InvalidDeviceIdError: it names no device.
    """
    members = callback.members
    uplink = members.get("uplink_message")
    if _OF_STACK & members.keys() and not isinstance(uplink, dict):
        return None
    token, device_id, path = device_of(callback, *_IDS)
    if isinstance(uplink, dict):
        return Message(token, device_id, _values_of_uplink(members, uplink, decoder))
    return Message(token, device_id, values_of(members, decoder, without=path))


def _values_of_uplink(
    members: Members, uplink: Members, decoder: Decoder | None
) -> list[IncomingValue]:
    datetime, geo = _datetime(members, uplink), _geo(uplink)
    decoded, raw = uplink.get("decoded_payload"), uplink.get("frm_payload")
    values: list[IncomingValue] = []
    if isinstance(decoded, dict) and decoded:
        values = values_of(decoded, None, datetime=datetime, geo=geo)
    elif isinstance(raw, str) and raw:
        values = _values_of_bytes(raw, decoder, datetime, geo)
    known = {value.key for value in values}
    for name, number in _reception(uplink).items():
        if name not in known:
            values.append(IncomingValue(name, number, geo, datetime))
    return values


def _values_of_bytes(
    raw: str, decoder: Decoder | None, datetime: str | None, geo: object
) -> list[IncomingValue]:
    """Return the decoder's fields, or the text as it came."""
    try:
        message = base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError):
        message = b""
    if decoder is None or not message:
        return [IncomingValue(RAW_KEY, raw, geo, datetime)]
    return values_of_message(decoder, message, datetime=datetime, geo=geo)


def _datetime(members: Members, uplink: Members) -> str | None:
    """Return when the network received the uplink; a webhook that is tried again says the same."""
    for holder in (uplink, members):
        sent = holder.get("received_at")
        if isinstance(sent, str) and sent:
            return sent
    return None


def _reception(uplink: Members) -> dict[str, int | float]:
    """Return how the first gateway that is named received it."""
    gateways = uplink.get("rx_metadata")
    if not isinstance(gateways, list) or not gateways or not isinstance(gateways[0], dict):
        return {}
    numbers = {name: number_of(gateways[0].get(name)) for name in ("rssi", "snr")}
    return {name: number for name, number in numbers.items() if number is not None}


def _geo(uplink: Members) -> dict[str, object] | None:
    locations = uplink.get("locations")
    user = locations.get("user") if isinstance(locations, dict) else None
    if not isinstance(user, dict):
        return None
    lat, long = number_of(user.get("latitude")), number_of(user.get("longitude"))
    return None if lat is None or long is None else {"lat": lat, "long": long}
