"""Answers: compact one-line JSON under exactly the headers that old clients cope with.

`Content-Type: application/json` without a charset (TI's client compares the whole value), a
Content-Length on everything but streams, and no `{` in any header (the Arduino library skips
to the first one): `thethings-v2.md` 1.4 and 2.3.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import msgspec

from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.http.refusals import (
    MethodNotAllowedError,
    RangeNotSatisfiableError,
    status_of,
)

Header = tuple[bytes, bytes]

_encode = msgspec.json.Encoder().encode

JSON_TYPE: Header = (b"Content-Type", b"application/json")
# Sessions and tokens never travel in cookies, so any origin may call (`rulings.md`, Wire).
V2_HEADERS: tuple[Header, ...] = (
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"no-referrer"),
    (b"Access-Control-Allow-Origin", b"*"),
)
PREFLIGHT_HEADERS: tuple[Header, ...] = (
    (b"Access-Control-Allow-Methods", b"GET, HEAD, POST, PUT, DELETE, OPTIONS"),
    (
        b"Access-Control-Allow-Headers",
        (
            b"Content-Type, Accept, Authorization, Idempotency-Key, If-Match, If-None-Match,"
            b" Range, Last-Event-ID"
        ),
    ),
    (b"Access-Control-Max-Age", b"86400"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `headers` are those beyond type, length and `common`."""

    status: int
    body: bytes
    headers: tuple[Header, ...] = ()
    content_type: Header = JSON_TYPE
    common: tuple[Header, ...] = V2_HEADERS


@dataclass(frozen=True, slots=True)
class PiecewiseAnswer:
    """A 200 whose body is made while it is sent, for what may be too large for memory."""

    pieces: AsyncGenerator[bytes, None]
    headers: tuple[Header, ...] = ()


class _Said(msgspec.Struct, gc=False):
    status: str
    message: str


class _Refused(msgspec.Struct, gc=False):
    status: str
    code: int
    message: str


def json_answer(value: object, status: int = 200) -> Answer:
    """Return an answer with the value as its JSON body."""
    return Answer(status, _encode(value))


def created(message: str) -> Answer:
    """Return 201 with `"status":"created"`, which clients of the write call look for."""
    return Answer(201, _encode(_Said("created", message)))


def success(message: str) -> Answer:
    """Return 200 with `"status":"success"`."""
    return Answer(200, _encode(_Said("success", message)))


def refusal(error: ThingsteadError) -> Answer:
    """Return the answer to a refused request."""
    status = status_of(error)
    headers: list[Header] = []
    if error.retry_after_s is not None:
        headers.append((b"Retry-After", str(error.retry_after_s).encode("ascii")))
    if isinstance(error, MethodNotAllowedError):
        headers.append((b"Allow", error.allowed.encode("ascii")))
    if isinstance(error, RangeNotSatisfiableError):
        headers.append((b"Content-Range", b"bytes */%d" % error.size))
    if status == 413:
        # What is still coming is not read, so the connection cannot be used further.
        headers.append((b"Connection", b"close"))
    return Answer(status, refusal_document(error), tuple(headers))


def refusal_document(error: ThingsteadError) -> bytes:
    """Return `{"status":"error","code":N,"message":"…"}`."""
    return _encode(_Refused("error", status_of(error), str(error)))
