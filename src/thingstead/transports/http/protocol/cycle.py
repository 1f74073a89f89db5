"""One request and its answer: what the ASGI app receives and how its messages are written.

An answer in one piece leaves in one write, because several published clients parse each
received piece alone; a stream message is one HTTP chunk and one write. It must not know
how requests are read or connections end: it tells its connection. Read on in
`connection.py`, and in `push.py` for answers that are written from callbacks.
"""

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol, cast

from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent, HTTPScope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from thingstead.transports.http.protocol.answers import status_line
from thingstead.transports.http.protocol.pace import is_reset, untaken_bytes
from thingstead.transports.http.protocol.push import EXTENSION, PushStart

if TYPE_CHECKING:
    from uvicorn._types import HTTPResponseBodyEvent, HTTPResponseStartEvent

_BODYLESS_STATUSES: Final = (204, 304)
_WRONG_LENGTH: Final = "the body does not have the announced Content-Length"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
# Takes the place of a cycle's own once nobody waits for it: one takes 800 bytes.
_NOBODY_WAITS: Final = asyncio.Event()
# What a client of a long answer may have waiting for it under TLS, where 0 would never do.
_TLS_HIGH_WATER_BYTES: Final = 16 * 1024
_EXTENSIONS: Final[dict[str, dict[object, object]]] = {EXTENSION: {}}


class CycleConnection(Protocol):
    """What a cycle needs of its connection."""

    transport: asyncio.Transport
    flow: FlowControl
    logger: logging.Logger

    @property
    def is_crowded(self) -> bool:
        """Whether so much of later requests waits that no more may be read."""

    def date_line(self) -> bytes:
        """Gives the `Date` line for now."""

    def on_response_complete(self) -> None:
        """Takes note that the answer has been written to its end."""

    def fail_response(self) -> None:
        """Answers 500 if nothing was written yet; otherwise cuts the connection."""

    def cut_response(self) -> None:
        """Ends the connection in the middle of the answer."""

    def begin_long_answer(self) -> None:
        """Demands from now on that the client reads at a bearable pace."""

    def end_long_answer(self) -> None:
        """Demands that no longer."""

    def forget_cycle(self) -> None:
        """Lets go of the cycle, whose app has ended after the connection was lost."""


class Cycle(RequestResponseCycle):
    """Runs the app for one request and writes its answer.

    It expects header names as they shall stand on the wire (`b"Content-Type"`). `Date`,
    `Connection` and `Transfer-Encoding` are its own matter: an app's `Connection: close`
    is honoured, a `Date` is kept, everything else about them is dropped.
    """

    def __init__(
        self,
        connection: CycleConnection,
        scope: HTTPScope,
        *,
        keep_alive: bool,
        expect_100_continue: bool,
    ) -> None:
        super().__init__(
            scope=scope,
            transport=connection.transport,
            flow=connection.flow,
            logger=connection.logger,
            access_logger=connection.logger,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=expect_100_continue,
            keep_alive=keep_alive,
            on_response=connection.on_response_complete,
        )
        scope["extensions"] = _EXTENSIONS
        self._connection = connection
        self._pushed: PushStart | None = None
        self._is_old_client = scope["http_version"] == "1.0"
        self._is_head_request = scope["method"] == "HEAD"
        self._start: HTTPResponseStartEvent | None = None
        self._is_bodyless = False
        self._left_bytes: int | None = None
        self._is_given_out = False
        self.pushed_bytes = 0
        self.has_run = False

    @property
    def is_head_request(self) -> bool:
        """Whether the answer must not have a body."""
        return self._is_head_request

    @property
    def _has_whole_body(self) -> bool:
        """Whether the request has arrived to its end and the app has not had all of it."""
        return not self.more_body and not self._is_given_out

    def abandon(self) -> None:
        """Tells the app, at its next look, that the client has gone; idempotent."""
        self.disconnected = True
        self.message_event.set()
        pushed, self._pushed = self._pushed, None
        if pushed is not None:
            pushed.on_gone()

    @property
    def is_pushing(self) -> bool:
        """Whether the answer is written from callbacks; what the client still sends is dropped."""
        return self._pushed is not None

    @property
    def is_bounded(self) -> bool:
        """Whether an answer of known length is being pushed."""
        return self._pushed is not None and self._left_bytes is not None

    @property
    def is_chunked(self) -> bool:
        """Whether pieces must stand in chunk framing."""
        return bool(self.chunked_encoding)

    @property
    def is_writable(self) -> bool:
        """Whether the client reads as fast as it is written to."""
        return not self.flow.write_paused

    def has_confirmed(self) -> bool:
        """Gives whether the client's system has confirmed all that was written, as far as known."""
        if self.transport.is_closing() or is_reset(self.transport):
            # Who pushes is told that the client has gone.
            self._connection.cut_response()
            return False
        return not untaken_bytes(self.transport)

    def write(self, piece: bytes) -> None:
        """Hands over a piece of a pushed answer; does nothing after the client left.

        Raises:
            RuntimeError: it goes beyond the announced length.
        """
        if self.disconnected or self.transport.is_closing():
            return
        if self._left_bytes is not None:
            self._count(piece)
        self.transport.write(piece)

    def finish(self) -> None:
        """Ends a pushed answer, so that the client knows that it is whole."""
        if self._left_bytes and self.transport.is_closing():
            # The client has left, which the connection is told in its next turn only.
            self.cut()
            return
        is_bounded = self.is_bounded
        self._pushed = None
        if is_bounded:
            self._connection.end_long_answer()
        if not self.disconnected:
            if is_bounded or self.transport.get_extra_info("sslcontext") is None:
                self.transport.set_write_buffer_limits()
            self._write_body({"type": "http.response.body", "body": b"", "more_body": False})

    def cut(self) -> None:
        """Ends the connection in the middle of a pushed answer."""
        self._pushed = None
        if not self.disconnected:
            self._connection.cut_response()

    def tell_writable(self) -> None:
        """Tells who pushes that the client reads on."""
        if self._pushed is not None:
            self._pushed.on_writable()

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Runs `app` to its end; whatever goes wrong in it becomes a 500 answer.

        Cancellation, which the server uses when its patience at shutdown ends, passes.
        """
        try:
            await app(self.scope, self.receive, self.send)
            if not self.response_complete and not self.disconnected:
                self.logger.error("The application returned without completing its answer")
        except Exception:  # This supervises the app: one failing request ends here.
            self.logger.exception("Unhandled error in the application")
        finally:
            if not self.response_complete and not self.disconnected:
                self._connection.fail_response()
            # The bound method would keep connection and cycle alive through each other.
            self.on_response = _nothing
            self.has_run = True
            if self.disconnected:
                self._connection.forget_cycle()

    async def receive(self) -> ASGIReceiveEvent:
        """Gives the next piece of the body, or the news that the client has gone.

        A request that had arrived whole is given out even after that: some clients send and
        leave (ESP8266 C library), and what they sent counts.
        """
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(_CONTINUE)
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete and not self._has_whole_body:
            if self.more_body or not self._connection.is_crowded:
                self.flow.resume_reading()
            await self.message_event.wait()
        self.message_event.clear()
        if self.response_complete or (self.disconnected and not self._has_whole_body):
            return {"type": "http.disconnect"}
        self._is_given_out = not self.more_body
        body = bytes(self.body)
        self.body = bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: ASGISendEvent) -> None:
        """Writes one message of the answer; waits while the client does not read.

        After the client has gone it does nothing. The head is held until the first body
        message, so an error before that can still become a clean 500.

        Raises:
            RuntimeError: the messages come in a wrong order, do not fit the announced
                length, or hold a line end in a header.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.response_complete:
            raise RuntimeError("a message came after the end of the answer")
        kind: str = message["type"]
        if message["type"] == "http.response.body":
            self._write_body(message)
        elif message["type"] == "http.response.start" and self._start is None:
            self._start = message
        elif kind == EXTENSION and self._start is None:
            self._push(cast("dict[str, PushStart]", message)["start"])
        else:
            raise RuntimeError(f"unexpected message {message['type']!r} in an answer")

    def _push(self, start: PushStart) -> None:
        self._start = {
            "type": "http.response.start",
            "status": start.status,
            "headers": start.headers,
        }
        self._write_body({"type": "http.response.body", "body": start.first, "more_body": True})
        # It lives as long as the answer; its first piece need not.
        self._pushed = replace(start, first=b"")
        if self.transport.get_extra_info("sslcontext") is not None:
            if self.is_bounded:
                self.transport.set_write_buffer_limits(high=_TLS_HIGH_WATER_BYTES)
        else:
            # uvloop gathers what is written in one turn of the loop, up to this limit. Beyond
            # it, it writes at once, and tells as soon as the socket does not take everything.
            self.transport.set_write_buffer_limits(high=0)
        # Nobody asks for the body any more; reading goes on, or the client's end went unseen.
        self.body = bytearray()
        self.message_event = _NOBODY_WAITS
        if self.more_body or not self._connection.is_crowded:
            self.flow.resume_reading()
        if self.is_bounded:
            self._connection.begin_long_answer()
        start.on_begun(self)

    def _write_body(self, message: "HTTPResponseBodyEvent") -> None:
        if self._start is None:
            raise RuntimeError("a body came before the start of the answer")
        body = message.get("body", b"")
        is_last = not message.get("more_body", False)
        if self.response_started:
            pieces = []
        else:
            pieces = self._head(self._start, len(body), is_last=is_last)
        if not self._is_bodyless:
            self._append_body(pieces, body, is_last=is_last)
        self.response_started = True
        if pieces:
            self.transport.write(b"".join(pieces))
        if is_last:
            self.response_complete = True
            self.message_event.set()
            self.on_response()

    def _append_body(self, pieces: list[bytes], body: bytes, *, is_last: bool) -> None:
        if self.chunked_encoding:
            if body:
                pieces += (b"%x\r\n" % len(body), body, b"\r\n")
            if is_last:
                pieces.append(b"0\r\n\r\n")
            return
        if self._left_bytes is not None:
            self._count(body)
            if is_last and self._left_bytes:
                raise RuntimeError(_WRONG_LENGTH)
        if body:
            pieces.append(body)

    def _count(self, body: bytes) -> None:
        left = self._left_bytes or 0
        if len(body) > left:
            raise RuntimeError(_WRONG_LENGTH)
        self._left_bytes = left - len(body)
        self.pushed_bytes += len(body)

    def _head(
        self, start: "HTTPResponseStartEvent", body_bytes: int, *, is_last: bool
    ) -> list[bytes]:
        status = start["status"]
        self._is_bodyless = self._is_head_request or status in _BODYLESS_STATUSES
        lines, has_date = self._app_lines(start)
        pieces = [status_line(status)]
        if not has_date:
            pieces.append(self._connection.date_line())
        pieces += lines
        if self._left_bytes is None:
            self._frame(pieces, body_bytes, is_last=is_last, status=status)
        if self.waiting_for_100_continue:
            # Nobody can tell whether the client will still send its body (RFC 9110, 10.1.1).
            self.keep_alive = False
            self.waiting_for_100_continue = False
        if not self.keep_alive:
            pieces.append(b"Connection: close\r\n")
        elif self._is_old_client:
            pieces.append(b"Connection: keep-alive\r\n")
        pieces.append(b"\r\n")
        return pieces

    def _app_lines(self, start: "HTTPResponseStartEvent") -> tuple[list[bytes], bool]:
        """Gives the pieces of the app's header lines, and whether `Date` is among them."""
        lines: list[bytes] = []
        has_date = False
        headers = 0
        for name, value in start.get("headers", ()):
            key = name.lower()
            if key == b"connection":
                if b"close" in value.lower():
                    self.keep_alive = False
                continue
            if key == b"transfer-encoding" or (key == b"content-length" and start["status"] == 204):
                continue
            if key == b"content-length":
                self._left_bytes = int(value)
            elif key == b"date":
                has_date = True
            headers += 1
            lines += (name, b": ", value, b"\r\n")
        block = b"".join(lines)
        if block.count(b"\n") != headers or block.count(b"\r") != headers or b"\0" in block:
            raise RuntimeError("a header of the answer holds CR, LF or NUL")
        return lines, has_date

    def _frame(self, pieces: list[bytes], body_bytes: int, *, is_last: bool, status: int) -> None:
        """Says where the body ends, when the app did not (RFC 9112, 6.3)."""
        if status in _BODYLESS_STATUSES:
            return
        if is_last:
            # An empty body to HEAD may stand for any length, so none is stated then.
            if body_bytes or not self._is_head_request:
                self._left_bytes = body_bytes
                pieces.append(b"Content-Length: %d\r\n" % body_bytes)
        elif self._is_head_request:
            return
        elif self._is_old_client:
            self.keep_alive = False
        else:
            self.chunked_encoding = True
            pieces.append(b"Transfer-Encoding: chunked\r\n")


def _nothing() -> None:
    """Stands where a finished cycle's callback was."""
