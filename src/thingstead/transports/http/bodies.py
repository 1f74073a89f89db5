"""Choosing the decoder of a body by its Content-Type, as liberally as old clients need.

Forms and MessagePack are told by their types; everything else, known or not or missing, is
JSON (`rulings.md`, Wire). `curl -d '{…}'` labels JSON as a form, so a body that begins like
JSON is taken for JSON all the same.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec

from thingstead.features.values.model import IncomingWrite
from thingstead.kernel.errors import InvalidBodyError
from thingstead.kernel.json_values import JSONLimits, check_json
from thingstead.transports.http.request import Request
from thingstead.transports.wire.form_bodies import decode_form, decode_form_write
from thingstead.transports.wire.json_bodies import (
    decode_any,
    decode_object,
    decode_write,
    what_and_where,
)
from thingstead.transports.wire.msgpack_bodies import decode_msgpack, decode_msgpack_write

Shape = TypeVar("Shape")

_FORM = b"application/x-www-form-urlencoded"
_MSGPACK = frozenset({b"application/msgpack", b"application/x-msgpack", b"application/vnd.msgpack"})
_LIMITS = JSONLimits()
_WRITE_DECODERS = {
    "json": decode_write,
    "form": decode_form_write,
    "msgpack": decode_msgpack_write,
}


async def read_write(request: Request, max_bytes: int) -> Callable[[], IncomingWrite]:
    """Return what decodes the write that the body holds: see `Values.submit_encoded`."""
    body = await request.body(max_bytes)
    return partial(_WRITE_DECODERS[_kind(request, body)], body)


async def read_object(request: Request, shape: type[Shape], max_bytes: int) -> Shape:
    """Return the body as the dataclass `shape`; unknown members are ignored."""
    body = await request.body(max_bytes)
    if _kind(request, body) == "json":
        return decode_object(body, shape)
    try:
        return msgspec.convert(_untyped(request, body), shape, strict=False)
    except msgspec.ValidationError as exc:
        raise InvalidBodyError(what_and_where(exc)) from exc


async def read_json(request: Request, max_bytes: int) -> object:
    """Return the body's value, checked for depth, members, NUL and large integers."""
    body = await request.body(max_bytes)
    return decode_any(body) if _kind(request, body) == "json" else _untyped(request, body)


async def read_json_or_form(request: Request, max_bytes: int) -> object:
    """Return the body's value, checked as `read_json` does; an empty object without a body.

    What a provider lets its users write is often labelled wrongly: what does not begin like
    JSON, and is not labelled as MessagePack, is a form.
    """
    body = await request.body(max_bytes)
    first = body.lstrip()[:1]
    if not first:
        return {}
    if _kind(request, body) == "msgpack":
        return _untyped(request, body)
    if first in {b"{", b"["}:
        return decode_any(body)
    value = decode_form(body)
    check_json(value, "", _LIMITS)
    return value


def _untyped(request: Request, body: bytes) -> object:
    value = decode_form(body) if _kind(request, body) == "form" else decode_msgpack(body)
    check_json(value, "", _LIMITS)
    return value


def _kind(request: Request, body: bytes) -> str:
    content_type = request.header(b"content-type")
    if content_type is None:
        return "json"
    name = content_type.partition(b";")[0].strip().lower()
    if name in _MSGPACK:
        return "msgpack"
    if name == _FORM and body.lstrip()[:1] not in {b"{", b"[", b""}:
        return "form"
    return "json"
