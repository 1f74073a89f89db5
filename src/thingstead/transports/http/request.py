"""A request as handlers see it: decoded path, query, headers, and a bounded body.

The path is decoded once, here, and routed and authorised in that form: empty segments
(double and trailing slashes) vanish, each segment is percent-decoded once, and whatever could
make a segment mean two things is refused (`security.md` 6, HTTP request normalisation).
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from thingstead.kernel.addresses import counted_as, is_public
from thingstead.transports.http.refusals import (
    BodyTooLargeError,
    EncodingNotSupportedError,
    InvalidPathError,
    InvalidQueryError,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

FROM_TRUSTED_PROXY = "thingstead.from_trusted_proxy"
"""In a scope: whether a proxy that is trusted brought the request."""
EVENT_STREAM_TYPE = "text/event-stream"
_MAX_QUERY_FIELDS = 50
_UNUSUAL = re.compile(rb"[%\\\x00]|/\.")
_ENCODED_BYTE = re.compile(rb"%[0-9A-Fa-f]{2}")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_NOT_ACCEPTED = re.compile(r"q=0(\.0{0,3})?")


class ClientGoneError(Exception):
    """The client left before its request had arrived whole; nobody is there to answer."""


class Request:
    """One request; `arguments` holds what the route's pattern names, decoded."""

    __slots__ = ("_body", "_query", "_receive", "_scope", "arguments", "method", "segments")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._body: bytes | None = None
        self._query: dict[str, str] | None = None
        self.method: str = scope["method"]
        self.segments = path_segments(scope["raw_path"])
        self.arguments: dict[str, str] = {}

    @property
    def receive(self) -> Receive:
        """The ASGI channel, on which a stream notices that its client left."""
        return self._receive

    @property
    def address(self) -> str:
        """What the client counts as in budgets; that of a trusted proxy's client if there is one.

        Its address; of an IPv6 client the network of 64 bits, in which it can choose addresses.
        """
        return counted_as(self._client)

    @property
    def scheme(self) -> str:
        """How the client reaches us, `http` or `https`; as a trusted proxy tells it."""
        return str(self._scope["scheme"])

    @property
    def is_confidential(self) -> bool:
        """Whether nobody on a public network could read the request on its way.

        It came encrypted, from a proxy that is trusted, or from an address that is not public.
        """
        if self._scope["scheme"] == "https" or self._scope.get(FROM_TRUSTED_PROXY, False):
            return True
        return not is_public(self._client)

    @property
    def _client(self) -> str:
        client = self._scope["client"]
        return client[0] if client else "unknown"

    @property
    def query(self) -> dict[str, str]:
        """The query parameters; of one given twice the last counts.

        Raises:
            InvalidQueryError: there are too many, or they are no UTF-8.
        """
        if self._query is None:
            self._query = parse_query(self._scope["query_string"])
        return self._query

    @property
    def accepts_event_stream(self) -> bool:
        """Whether `Accept` names the media type of Server-Sent Events, with any weight but 0."""
        for header in self.headers(b"accept"):
            for media_range in header.decode("latin-1").lower().split(","):
                name, *parameters = [part.strip() for part in media_range.split(";")]
                if name == EVENT_STREAM_TYPE:
                    return not any(map(_NOT_ACCEPTED.fullmatch, parameters))
        return False

    def header(self, name: bytes) -> bytes | None:
        """Return the header's value; `name` in lower case; of several the first."""
        for known, value in self._scope["headers"]:
            if known == name:
                return bytes(value)
        return None

    def headers(self, name: bytes) -> list[bytes]:
        """Return every value of the header; `name` in lower case."""
        return [bytes(value) for known, value in self._scope["headers"] if known == name]

    async def body(self, max_bytes: int) -> bytes:
        """Return the whole body; asked again, the same.

        Raises:
            BodyTooLargeError: it is, or is announced to be, larger than `max_bytes`.
            EncodingNotSupportedError: it is compressed.
            ClientGoneError: the client left before the end.
        """
        if self._body is None:
            self._body = await self._whole_body(max_bytes)
        return self._body

    async def _whole_body(self, max_bytes: int) -> bytes:
        encoding = self.header(b"content-encoding")
        if encoding is not None and encoding.strip().lower() not in {b"identity", b""}:
            raise EncodingNotSupportedError
        announced = self.header(b"content-length")
        if announced is not None and int(announced) > max_bytes:
            raise _too_large(max_bytes)
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(max_bytes)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(max_bytes: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"this call takes at most {max_bytes} bytes")


def path_segments(raw_path: bytes) -> list[str]:
    """Return the path's decoded segments, without the empty ones.

    Raises:
        InvalidPathError: a segment is `.` or `..`, is no UTF-8, or holds a slash, backslash or
            NUL once it is decoded, or a percent sign that would be decoded a second time.
    """
    if not _UNUSUAL.search(raw_path):
        try:
            return [segment for segment in raw_path.decode("ascii").split("/") if segment]
        except UnicodeDecodeError as exc:
            raise InvalidPathError("it is not percent-encoded") from exc
    return [_decoded(segment) for segment in raw_path.split(b"/") if segment]


def _decoded(segment: bytes) -> str:
    if segment.count(b"%") != len(_ENCODED_BYTE.findall(segment)):
        raise InvalidPathError("it is not percent-encoded")
    try:
        text = unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidPathError("it is no UTF-8") from exc
    if text in {".", ".."}:
        raise InvalidPathError("dot segments are not followed")
    if "/" in text or "\\" in text or "\x00" in text:
        raise InvalidPathError("a part of it holds a slash, a backslash or NUL")
    if _ENCODED.search(text):
        raise InvalidPathError("a part of it is encoded twice")
    return text


def parse_query(query_string: bytes) -> dict[str, str]:
    """Return the query parameters; of one given twice the last counts.

    Raises:
        InvalidQueryError: there are too many, or they are no UTF-8.
    """
    if not query_string:
        return {}
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_MAX_QUERY_FIELDS,
            errors="strict",
        )
    except (ValueError, UnicodeDecodeError) as exc:
        raise InvalidQueryError(
            f"it is no percent-encoded UTF-8 with at most {_MAX_QUERY_FIELDS} parameters"
        ) from exc
    return dict(pairs)
