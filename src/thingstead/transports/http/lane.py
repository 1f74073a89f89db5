"""The direct lane: the device write without the ASGI machinery.

Takes a request only when it is whole, alone, and plain: `POST /v2/things/TOKEN HTTP/1.1` with
CRLF line ends, a JSON body that has arrived, and a token seen before. Whatever is unusual
goes the ordinary way, which gives the same answer (the API suite runs both ways). Measured
against the ordinary way in benchmarks/README.md.
"""

import re
from asyncio import Future
from functools import partial

from thingstead.features.things.service import Things
from thingstead.features.values.model import Appended
from thingstead.features.values.service import Values
from thingstead.kernel.errors import StoreUnavailableError, ThingsteadError
from thingstead.transports.http.answers import Answer, created, refusal
from thingstead.transports.http.app import heads
from thingstead.transports.http.protocol import (
    DateLine,
    EdgeLimits,
    LaneConnection,
    status_line,
)
from thingstead.transports.wire.json_bodies import decode_write

_START = b"POST /v2/things/"
_TOKEN_END = len(_START) + 43
_LINE_REST = b" HTTP/1.1\r\n"
_HEAD_START = _TOKEN_END + len(_LINE_REST)
_HEAD_END = b"\r\n\r\n"
_LINK_ID = b"linkId"
_NOT_MINE = -1
_HEADS_KEPT = 2_048
_LONGEST_HEAD = 2_048
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e\x80-\xff \t]*)")
# A request with any field outside this list takes the ordinary way.
_HARMLESS = frozenset(
    {
        b"host",
        b"user-agent",
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"content-type",
        b"content-length",
        b"connection",
        b"cache-control",
        b"pragma",
        b"origin",
        b"referer",
    }
)


class WriteLane:
    """Takes plain writes straight from a connection to `Values.submit_encoded`."""

    def __init__(
        self,
        things: Things,
        values: Values,
        date: DateLine,
        *,
        max_body_bytes: int,
        edge_limits: EdgeLimits,
    ) -> None:
        self._things = things
        self._values = values
        self._date = date
        self._max_body_bytes = max_body_bytes
        # Heads that the edge would refuse go the ordinary way, where it does.
        self._max_headers = edge_limits.max_headers
        self._longest_head = min(
            _LONGEST_HEAD, edge_limits.max_head_bytes - _HEAD_START - len(_HEAD_END)
        )
        if edge_limits.max_target_bytes < _TOKEN_END - len(b"POST "):
            self._longest_head = -1
        self._lengths: dict[bytes, int] = {}
        self._created = _Rendered(created("created"))

    def try_take(self, connection: LaneConnection, data: bytes) -> bool:
        """Take the request if it is one for this lane; see `DirectLane.try_take`."""
        if not data.startswith(_START) or data[_TOKEN_END:_HEAD_START] != _LINE_REST:
            return False
        end = data.find(_HEAD_END, _HEAD_START)
        if end < 0:
            return False
        # What is remembered must be small, because anybody may send it.
        if end - _HEAD_START > self._longest_head:
            return False
        # Clients repeat their header fields, so what they mean is looked up.
        fields = data[_HEAD_START:end]
        length = self._lengths.get(fields)
        if length is None:
            length = self._judge(fields)
        if length != len(data) - end - len(_HEAD_END):
            return False
        # What may hold a link id, which is no write, goes the ordinary way.
        if data.find(_LINK_ID, end) >= 0:
            return False
        thing = self._things.known(data[len(_START) : _TOKEN_END].decode("latin-1"))
        if thing is None:
            return False
        try:
            decode = partial(decode_write, data[end + len(_HEAD_END) :])
            future = self._values.submit_encoded(thing, decode)
        except ThingsteadError as error:
            self._refuse(connection, error)
        else:
            future.add_done_callback(partial(self._answer, connection))
        return True

    def _answer(self, connection: LaneConnection, future: "Future[Appended]") -> None:
        if future.cancelled():
            self._refuse(connection, StoreUnavailableError())
            return
        error = future.exception()
        if error is None:
            connection.lane_respond(self._created.at(self._date), keep_alive=True)
        else:
            known = error if isinstance(error, ThingsteadError) else ThingsteadError()
            self._refuse(connection, known)

    def _refuse(self, connection: LaneConnection, error: ThingsteadError) -> None:
        answer = refusal(error)
        connection.lane_respond(_Rendered(answer).at(self._date), keep_alive=True)

    def _judge(self, fields: bytes) -> int:
        """Return the length of the body that the fields announce, or `_NOT_MINE`."""
        length = _body_length(fields)
        if fields.count(b"\r\n") + 1 > self._max_headers:
            length = _NOT_MINE
        if length > self._max_body_bytes:
            length = _NOT_MINE
        if len(self._lengths) >= _HEADS_KEPT:
            self._lengths.clear()
        self._lengths[fields] = length
        return length


def _body_length(fields: bytes) -> int:
    seen: dict[bytes, bytes] = {}
    for line in fields.split(b"\r\n"):
        found = _FIELD.fullmatch(line)
        if found is None:
            return _NOT_MINE
        name = found[1].lower()
        if name in seen or name not in _HARMLESS:
            return _NOT_MINE
        seen[name] = found[2].strip().lower()
    length = seen.get(b"content-length", b"")
    is_plain = (
        seen.get(b"connection", b"keep-alive") == b"keep-alive"
        and seen.get(b"content-type", b"application/json").startswith(b"application/json")
        and 0 < len(length) <= 7
        and length.isdigit()
    )
    return int(length) if is_plain else _NOT_MINE


class _Rendered:
    """An answer's bytes, but for the date."""

    __slots__ = ("_line", "_rest", "_status", "_whole")

    def __init__(self, answer: Answer) -> None:
        lines = b"".join(b"%b: %b\r\n" % header for header in heads(answer))
        self._status = status_line(answer.status)
        self._rest = lines + b"\r\n" + answer.body
        self._line = b""
        self._whole = b""

    def at(self, date: DateLine) -> bytes:
        """Return the whole answer with the date's current line, where `Cycle` puts it."""
        line = date.now()
        if line is not self._line:
            self._line = line
            self._whole = self._status + line + self._rest
        return self._whole
