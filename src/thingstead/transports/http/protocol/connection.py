"""One HTTP connection: reading its requests, one at a time, within limits.

Our subclass of uvicorn's protocol class. It finds each request's head and body itself
and gives the parser exactly these bytes; later requests wait unparsed. It must not know
routes or what bodies hold. Read on in `head.py` (which heads are refused), `cycle.py`
(the app's side), `lane.py` (the way around both) and `lifetime.py` (admission,
deadlines, ends).
"""

import asyncio
import math
import urllib.parse
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.server import ServerState

from thingstead.transports.http.protocol import head, phase
from thingstead.transports.http.protocol.cycle import Cycle
from thingstead.transports.http.protocol.edge import Edge
from thingstead.transports.http.protocol.lifetime import ConnectionLifetime
from thingstead.transports.http.protocol.upgrades import (
    Refused,
    UpgradeRequest,
    decision_on,
    switching_answer,
)

_HEAD = phase.HEAD
_LANE = phase.LANE

# The shortest chunk carries one byte in six; more framing than this serves no sender.
_FRAMING_PER_BODY_BYTE = 8


class SurplusError(Exception):
    """Stops the parser at the first byte after a chunked body."""


class ThingsteadProtocol(ConnectionLifetime):
    """Serves one connection; uvicorn makes one for each that it accepts.

    Body bytes of a known length are counted here, so the next head begins where it must
    even when its lines end in a bare LF. Where a chunked body ends only the parser
    knows; when more bytes follow in the same piece the connection ends after the
    answer, which is what RFC 9112 section 9.3.2 lets a client expect.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        edge: Edge,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop, edge=edge)
        self._keep_alive_seconds = edge.limits.keep_alive_seconds
        self._searched_bytes = 0
        self._hidden: list[tuple[bytes, bytes]] = []
        # Announced bytes still to come; None while a chunked body is read.
        self._left_bytes: int | None = 0
        self._raw_bytes = 0
        self._body_bytes = 0
        self._body_began = 0.0

    @property
    def is_crowded(self) -> bool:
        """Whether so much of later requests waits that no more may be read."""
        return len(self._pending) >= HIGH_WATER_LIMIT

    def data_received(self, data: bytes) -> None:
        """Takes what the socket gave: offers it to the lane first, then sorts it."""
        current = self._phase
        if current == _HEAD:
            if self._pending:
                self._pending += data
            else:
                lane = self._lane
                if lane is not None:
                    # The lane may answer before it returns, so the phase changes first.
                    self._phase = _LANE
                    try:
                        if lane.try_take(self, data):
                            return
                    except Exception:  # Supervises the lane: one request ends here.
                        self.logger.exception("Unhandled error in the direct lane")
                        self._fail_lane()
                        return
                    self._phase = _HEAD
                self._pending = data
            self._read_head()
        elif current == phase.BODY:
            self._read_body(data)
        elif current == phase.LINGER:
            self._throw_away(data)
        elif current != phase.CLOSED:
            self._keep_for_later(data)

    def lane_respond(self, answer: bytes, keep_alive: bool) -> None:  # noqa: FBT001 - hot path
        """Writes the lane's answer and goes on; does nothing once the client has gone."""
        if self._phase != _LANE:
            return
        self.transport.write(answer)
        self.server_state.total_requests += 1
        if not keep_alive or self._is_shutting_down:
            self._end()
            return
        self._phase = _HEAD
        self.deadline = self._now() + self._keep_alive_seconds
        if self._pending:
            self.flow.resume_reading()
            self._read_head()
        self._end_if_client_has()

    def _fail_lane(self) -> None:
        if self._phase == _LANE:
            self.fail_response()
        else:
            self._close()

    def _keep_for_later(self, data: bytes) -> None:
        if self._phase == phase.ANSWER and not self.cycle.keep_alive:
            self._has_surplus = True
            return
        self._pending += data
        if self.is_crowded:
            self.flow.pause_reading()

    def _read_head(self) -> None:
        data = self._pending
        if data[0] in b"\r\n":
            # RFC 9112, 2.2: an empty line before a request line is skipped.
            data = data.lstrip(b"\r\n")
            self._pending = data
            if not data:
                return
        end = head.head_end(data, self._searched_bytes)
        if end < 0:
            self._await_rest_of_head(data)
            return
        self._searched_bytes = 0
        try:
            checked = head.check_head(
                data[:end], self._limits, has_websocket=bool(self._edge.upgrades)
            )
        except head.HeadRefusedError as refusal:
            self.refuse(refusal.status, refusal.message)
            return
        self._pending = b""
        self._hidden = checked.hidden
        self._left_bytes = checked.body_bytes
        self._feed(checked.data)
        self._go_on_after_head(data[end:])

    def _await_rest_of_head(self, data: bytes) -> None:
        refusal = head.refusal_of_unended_head(data, self._limits)
        if refusal is not None:
            self.refuse(refusal.status, refusal.message)
            return
        if not self._searched_bytes:
            self.deadline = self._now() + self._limits.head_seconds
        self._searched_bytes = len(data)

    def _go_on_after_head(self, rest: bytes) -> None:
        if self._phase == _HEAD:
            self.refuse(400, "Bad Request: invalid head")
        elif not rest:
            return
        elif self._phase == phase.BODY:
            self._read_body(rest)
        elif self._phase == phase.ANSWER:
            self._keep_for_later(rest)
        elif self._phase == phase.LINGER:
            self._throw_away(rest)
        elif self._successor is not None:
            # Frames that came together with the request for a WebSocket.
            self._successor.data_received(rest)

    def _read_body(self, data: bytes) -> None:
        left = self._left_bytes
        if left is None:
            self._feed_chunks(data)
        else:
            self._left_bytes = max(0, left - len(data))
            self._feed(data[:left])
            if self._phase == phase.ANSWER and len(data) > left:
                self._keep_for_later(data[left:])
        if self._phase == phase.ANSWER and self.cycle.response_complete:
            # The app answered before the body had come; now the next request may.
            if self._has_surplus:
                self._end()
            else:
                self._await_next()

    def _feed_chunks(self, data: bytes) -> None:
        self._raw_bytes += len(data)
        self._feed(data)
        if self._phase != phase.BODY:
            return
        framing = self._raw_bytes - self._body_bytes
        if framing > self._limits.max_head_bytes + _FRAMING_PER_BODY_BYTE * self._body_bytes:
            self.refuse(400, "Bad Request: chunk framing or trailers too long")
            return
        self.deadline = self._body_deadline(
            self._body_bytes, base_seconds=self._limits.body_seconds
        )

    def _body_deadline(self, size: int, *, base_seconds: float) -> float:
        return self._body_began + base_seconds + size / self._limits.body_bytes_per_second

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._upgrade()
        except httptools.HttpParserCallbackError:
            if not self._has_surplus:
                self.logger.exception("Unhandled error while a request was parsed")
                self.fail_response()
        except httptools.HttpParserError as error:
            # The parser's reasons are fixed texts without bytes of the request.
            self.refuse(400, f"Bad Request: {error}")

    def _upgrade(self) -> None:
        try:
            target = httptools.parse_url(self.url)
        except httptools.HttpParserInvalidURLError:
            self.refuse(400, "Bad Request: invalid target")
            return
        request = UpgradeRequest(
            path=(target.path or b"/").decode("ascii"),
            query_string=target.query or b"",
            headers=self.headers,
            peer=self._peer(self.headers),
        )
        decision = decision_on(
            self._edge.upgrades,
            request,
            method=self.parser.get_method().decode("ascii"),
            http_version=self.parser.get_http_version(),
        )
        if isinstance(decision, Refused):
            self.refuse(decision.status, decision.message, header_lines=decision.header_lines)
            return
        answer = switching_answer(request, decision.subprotocol, self.date_line())
        self._hand_over(decision.successor, answer)

    def on_message_begin(self) -> None:
        """Prepares a request's scope; called by the parser at its first byte."""
        if self._phase != _HEAD:
            self._has_surplus = True
            self.cycle.keep_alive = False
            raise SurplusError
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes one header; trailers of a chunked body are dropped (RFC 9110, 6.5.1)."""
        if self._phase == _HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Starts the app for the request whose head has been parsed."""
        if self.parser.should_upgrade():
            self.scope["method"] = self.parser.get_method().decode("ascii")
            return
        try:
            target = httptools.parse_url(self.url)
        except httptools.HttpParserInvalidURLError:
            self.refuse(400, "Bad Request: invalid target")
            return
        self.headers += self._hidden
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = self.parser.get_http_version()
        raw_path = target.path or b"/"
        path = raw_path.decode("ascii")
        scope["path"] = self.root_path + (urllib.parse.unquote(path) if "%" in path else path)
        scope["raw_path"] = self.root_path.encode("ascii") + raw_path
        scope["query_string"] = target.query or b""
        self._begin_body()
        self.cycle = Cycle(
            self,
            scope,
            keep_alive=self.parser.should_keep_alive() and not self._is_shutting_down,
            expect_100_continue=self.expect_100_continue and scope["http_version"] == "1.1",
        )
        self._start_asgi_task(self.cycle, self.app)

    def _begin_body(self) -> None:
        self._phase = phase.BODY
        self._raw_bytes = 0
        self._body_bytes = 0
        if self._left_bytes == 0:
            return
        self._body_began = self._now()
        if self._left_bytes is None:
            self.deadline = self._body_deadline(0, base_seconds=self._limits.body_seconds)
        else:
            self.deadline = max(
                self._body_began + self._limits.body_seconds,
                self._body_deadline(self._left_bytes, base_seconds=0.0),
            )

    def on_body(self, body: bytes) -> None:
        """Gives a piece of the body to the app, unless it no longer wants it."""
        if self._phase != phase.BODY:
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.max_body_bytes:
            self.refuse(413, head.body_too_large_message(self._limits))
            return
        if self.cycle.response_complete or self.cycle.is_pushing:
            return
        self.cycle.body += body
        if len(self.cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Tells the app that it has the whole body; from here on there is no deadline."""
        if self._phase != phase.BODY:
            return
        self._phase = phase.ANSWER
        self.deadline = math.inf
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Goes on with the next request, or ends the connection."""
        self.server_state.total_requests += 1
        if not self.cycle.keep_alive:
            self._end()
        elif self._phase == phase.ANSWER:
            self._await_next()
        else:
            # The rest of the body is read, and dropped, under its deadline.
            self.flow.resume_reading()

    def _await_next(self) -> None:
        self._phase = _HEAD
        self.deadline = self._now() + self._keep_alive_seconds
        self.flow.resume_reading()
        if self._pending:
            self._read_head()
        self._end_if_client_has()

    def _end_if_client_has(self) -> None:
        """Closes when nothing of what the client sent before its end is left to answer."""
        if self._has_ended and self._phase in (_HEAD, phase.BODY):
            self._close()


def protocol_class(edge: Edge) -> type[ThingsteadProtocol]:
    """Gives the class for `uvicorn.Config(http=...)` whose connections share `edge`.

    `functools.partial(ThingsteadProtocol, edge=edge)` works there too, but is not the
    class that uvicorn's annotation asks for.
    """

    class BoundProtocol(ThingsteadProtocol):
        def __init__(
            self,
            config: Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            super().__init__(config, server_state, app_state, _loop, edge=edge)

    return BoundProtocol
