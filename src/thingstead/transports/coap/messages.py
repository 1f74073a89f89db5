"""Requests as handlers see them, and what handlers answer. Sans-I/O."""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field

from aiocoap.numbers.codes import Code

from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.coap.refusals import UploadTooLargeError, code_of, refusal_document
from thingstead.transports.coap.targets import Target
from thingstead.transports.wire.values_out import encode

JSON_FORMAT = 50
LINK_FORMAT = 40


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sent a request: `key` is one socket, `counted_as` what it counts as in budgets."""

    key: Hashable
    counted_as: str
    is_public: bool


@dataclass(frozen=True, slots=True)
class CoAPRequest:
    """One whole request.

    `arguments` holds what the route's path names; `observe` is 0 to subscribe and 1 to leave.
    """

    method: Code
    target: Target
    arguments: dict[str, str]
    peer: Peer
    body: bytes = b""
    content_format: int | None = None
    observe: int | None = None

    @property
    def query(self) -> dict[str, str]:
        """The query parameters."""
        return self.target.query

    @property
    def address(self) -> str:
        """What the peer counts as in budgets."""
        return self.peer.counted_as


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `max_age_s`: when to try again; `size1`: how large a body may be."""

    code: Code
    payload: bytes
    content_format: int = JSON_FORMAT
    max_age_s: int | None = None
    size1: int | None = None


@dataclass(frozen=True, slots=True)
class LongAnswer:
    """An answer that is read piece by piece and never held whole, such as an image.

    `read` returns the bytes from an offset, as many as asked for or up to the end; `etag` has
    at most 8 bytes and changes with the content.
    """

    size: int
    etag: bytes = field(repr=False)
    read: Callable[[int, int], Awaitable[bytes]]
    content_format: int


def content(value: object) -> Answer:
    """Return 2.05 with the value as JSON."""
    return Answer(Code.CONTENT, encode(value))


def said(code: Code, status: str, message: str) -> Answer:
    """Return `{"status":…,"message":…}` under a code."""
    return Answer(code, encode({"status": status, "message": message}))


def refusal(error: ThingsteadError) -> Answer:
    """Return the answer to a refused request."""
    return Answer(
        code_of(error),
        refusal_document(error),
        # RFC 8516: after how many seconds the request may be sent again.
        max_age_s=error.retry_after_s,
        size1=error.most if isinstance(error, UploadTooLargeError) else None,
    )
