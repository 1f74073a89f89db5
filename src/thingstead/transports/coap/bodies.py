"""Choosing the decoder of a body by its Content-Format, as liberally as over HTTP.

Everything is JSON, whatever it is labelled (a sample in the field sends it as text/plain), but
for forms and MessagePack. Neither has a registered number; senders that agreed on one may use
those of the experimental range (RFC 7252, 12.3) below.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec

from thingstead.features.values.model import IncomingWrite
from thingstead.kernel.errors import InvalidBodyError, ThingsteadError
from thingstead.kernel.json_values import JSONLimits, check_json
from thingstead.transports.coap.messages import CoAPRequest
from thingstead.transports.wire.form_bodies import decode_form, decode_form_write
from thingstead.transports.wire.json_bodies import (
    decode_any,
    decode_object,
    decode_write,
    what_and_where,
)
from thingstead.transports.wire.msgpack_bodies import decode_msgpack, decode_msgpack_write

Shape = TypeVar("Shape")

FORM_FORMAT = 65_001
MSGPACK_FORMAT = 65_002
_WRITE_DECODERS = {FORM_FORMAT: decode_form_write, MSGPACK_FORMAT: decode_msgpack_write}
_DECODERS: dict[int, Callable[[bytes], object]] = {
    FORM_FORMAT: decode_form,
    MSGPACK_FORMAT: decode_msgpack,
}
_LIMITS = JSONLimits()
_LINK_ID = b"linkId"


def write_decoder(request: CoAPRequest) -> Callable[[], IncomingWrite]:
    """Return what decodes the write that the body holds: see `Values.submit_encoded`."""
    decode = _WRITE_DECODERS.get(_format(request), decode_write)
    return partial(decode, request.body)


def read_object(request: CoAPRequest, shape: type[Shape]) -> Shape:
    """Return the body as the dataclass `shape`; unknown members are ignored."""
    if _format(request) not in _DECODERS:
        return decode_object(request.body, shape)
    try:
        return msgspec.convert(read_any(request), shape, strict=False)
    except msgspec.ValidationError as exc:
        raise InvalidBodyError(what_and_where(exc)) from exc


def read_any(request: CoAPRequest) -> object:
    """Return the body's value, checked for depth, members, NUL and large integers."""
    decode = _DECODERS.get(_format(request))
    if decode is None:
        return decode_any(request.body)
    value = decode(request.body)
    check_json(value, "", _LIMITS)
    return value


def offered_link_id(request: CoAPRequest) -> str | None:
    """Return the link id of a body that holds one and no values, or None."""
    if _LINK_ID not in request.body:
        return None
    try:
        sent = read_any(request)
    except ThingsteadError:
        # Then it is no write either, which is refused where writes are read.
        return None
    if not isinstance(sent, dict) or "values" in sent:
        return None
    link_id = sent.get("linkId")
    return link_id if isinstance(link_id, str) else None


def _format(request: CoAPRequest) -> int:
    return -1 if request.content_format is None else request.content_format
