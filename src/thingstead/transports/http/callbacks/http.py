"""What `/http/{productId}/{hash}` takes: any JSON object or form (`thethings-v2.md` 5.5)."""

import msgspec

from thingstead.features.devices.decoding import Decoder
from thingstead.features.values.errors import InvalidValuesError
from thingstead.features.values.model import IncomingValue, IncomingWrite
from thingstead.transports.http.callbacks.mapping import (
    Callback,
    Members,
    Message,
    device_of,
    values_of,
)
from thingstead.transports.wire.json_bodies import what_and_where


def http_message(callback: Callback, decoder: Decoder | None) -> Message:
    """Return the message: its `values` if they are a write's, otherwise a value a member.

    Raises:
        InvalidDeviceIdError: it names no device.
        InvalidValuesError: it has a write's `values`, and one of them is wrong.
    """
    token, device_id, path = device_of(callback)
    written = _written(callback.members)
    if written is None:
        written = values_of(callback.members, decoder, without=path)
    return Message(token, device_id, written)


def _written(members: Members) -> list[IncomingValue] | None:
    """Return the values of a message that is a write as things send it; None for another."""
    values = members.get("values")
    if not isinstance(values, list) or not values:
        return None
    if not all(isinstance(one, dict) and "key" in one for one in values):
        return None
    try:
        return msgspec.convert({"values": values}, IncomingWrite).values
    except msgspec.ValidationError as exc:
        raise InvalidValuesError(what_and_where(exc)) from exc
