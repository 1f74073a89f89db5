"""The half of a WebSocket that has to do with time, writing and ends (RFC 6455 section 7).

Writes everything that was sent in one turn of the loop at once, asks silent clients for a sign
of life, and ends in order, so that the client can read why. It must not know what a message is.
Read on in `connection.py`, the half that reads.

There is no timer and no task for a connection: whoever watches it (`Watcher`, the HTTP edge's
sweeper) calls `deadline_passed` once `deadline` is over.
"""

import asyncio
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

from websockets.frames import CloseCode, Opcode

from thingstead.transports.websocket.frames import frame_of, frame_of_close
from thingstead.transports.websocket.handler import WebSocketHandler
from thingstead.transports.websocket.limits import WebSocketLimits

_log = logging.getLogger(__name__)
_PING = frame_of(Opcode.PING, b"")


class Watcher(Protocol):
    """Looks at the deadlines of many connections with one timer."""

    def watch(self, connection: "WebSocketLifetime", loop: asyncio.AbstractEventLoop) -> None:
        """Begin to call `deadline_passed` once a deadline is over; twice is once."""

    def forget(self, connection: "WebSocketLifetime") -> None:
        """Stop; unknown ones are ignored."""


class State(IntEnum):
    """What becomes of what the client sends."""

    OPEN = 0
    CLOSING = 1
    """A close frame was sent, and the client's is awaited."""
    DEAF = 2
    """What comes is thrown away until the client closes; its frames mean nothing any more."""


class WebSocketLifetime(asyncio.Protocol, ABC):
    """Owns a transport from the upgrade to its end."""

    __slots__ = (
        "_asked_at",
        "_handler",
        "_handler_deadline",
        "_heard_at",
        "_is_flushing",
        "_is_paused",
        "_is_told",
        "_limits",
        "_loop",
        "_outgoing",
        "_outgoing_bytes",
        "_released",
        "_state",
        "_transport",
        "_watcher",
        "deadline",
        "is_writable",
        "stall_deadline",
    )

    def __init__(
        self, handler: WebSocketHandler, limits: WebSocketLimits, watcher: Watcher
    ) -> None:
        self._handler = handler
        self._limits = limits
        self._watcher = watcher
        self._loop: asyncio.AbstractEventLoop
        self._transport: asyncio.Transport
        self._released: Callable[[], None] | None = None
        self._state = State.OPEN
        self._is_told = False
        self._is_paused = False
        self._is_flushing = False
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._heard_at = 0.0
        self._asked_at = math.inf
        self._handler_deadline = math.inf
        self.is_writable = True
        """Whether the client reads what is sent. A handler that can wait sends nothing else."""
        self.deadline = math.inf
        self.stall_deadline = math.inf

    # --- What a handler calls ---

    @property
    def is_open(self) -> bool:
        """Whether messages can still be sent."""
        return self._state == State.OPEN

    def flush(self) -> None:
        """Write now what was sent in this turn of the loop."""
        outgoing = self._outgoing
        if not outgoing or self._transport.is_closing():
            return
        self._transport.write(outgoing[0] if len(outgoing) == 1 else b"".join(outgoing))
        outgoing.clear()
        self._outgoing_bytes = 0
        if self._transport.get_write_buffer_size() > self._limits.unsent_bytes:
            # Nothing can be said to a client that does not read.
            self._transport.abort()

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake; the handler is told at once. A second call is ignored."""
        if self._state != State.OPEN:
            return
        self._put(frame_of_close(code, reason))
        self._begin_end(State.CLOSING)

    def set_deadline(self, seconds: float | None) -> None:
        """Have the handler's `deadline_passed` called once, then; None: not at all."""
        if seconds is None:
            self._handler_deadline = math.inf
            return
        self._handler_deadline = self._loop.time() + seconds
        self.deadline = min(self.deadline, self._handler_deadline)

    # --- What the HTTP server and the loop call ---

    def take_over(self, transport: asyncio.Transport, released: Callable[[], None]) -> None:
        """Begin on a socket whose upgrade has been answered; `released` is called at its end."""
        self._transport = transport
        self._released = released
        self._loop = asyncio.get_running_loop()
        transport.set_write_buffer_limits(high=self._limits.high_water_bytes)
        self._heard_at = self._loop.time()
        self.deadline = self._heard_at + self._limits.ping_after_seconds
        self._watcher.watch(self, self._loop)
        self._call(self._handler.opened, self)

    def pause_writing(self) -> None:
        """Learn that the client does not read."""
        self.is_writable = False
        self.stall_deadline = self._loop.time() + self._limits.stall_seconds

    def resume_writing(self) -> None:
        """Learn that the client reads again."""
        self.is_writable = True
        self.stall_deadline = math.inf
        if self.is_open:
            self._call(self._handler.writable)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Let everything go."""
        self._state = State.DEAF
        self._watcher.forget(self)
        self._outgoing.clear()
        self.deadline = self.stall_deadline = self._handler_deadline = math.inf
        self._tell_closed()
        # Handler and connection hold each other, and the collector looks seldom.
        del self._handler
        released, self._released = self._released, None
        if released is not None:
            released()

    def shutdown(self) -> None:
        """Close because the server stops; idempotent."""
        self.close(CloseCode.GOING_AWAY, "the server is stopping")

    def deadline_passed(self, now: float) -> None:
        """Act on whatever has taken too long, and say when to look again."""
        if self.stall_deadline <= now or (self._state != State.OPEN and self.deadline <= now):
            self._transport.abort()
            return
        if self._handler_deadline <= now:
            self._handler_deadline = math.inf
            self._call(self._handler.deadline_passed)
        if self.is_open:
            self._ask_for_life(now)

    # --- The ends of it ---

    def _ask_for_life(self, now: float) -> None:
        limits = self._limits
        # A paused connection hears nothing, which is not the client's fault.
        quiet_since = now if self._is_paused else self._heard_at
        ask_at = quiet_since + limits.ping_after_seconds
        if now - self._asked_at >= limits.answer_seconds:
            self.close(CloseCode.INTERNAL_ERROR, "no answer to pings")
            return
        if ask_at <= now:
            if self._asked_at == math.inf:
                self._asked_at = now
            self._put(_PING)
            ask_at = min(now + limits.ping_after_seconds, self._asked_at + limits.answer_seconds)
        self.deadline = min(ask_at, self._handler_deadline)

    def _put(self, frame: bytes) -> None:
        self._outgoing.append(frame)
        self._outgoing_bytes += len(frame)
        if self._outgoing_bytes > self._limits.high_water_bytes:
            self.flush()
        elif not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush_at_turns_end)

    def _flush_at_turns_end(self) -> None:
        self._is_flushing = False
        self.flush()

    def _begin_end(self, state: State) -> None:
        self._state = state
        self.deadline = self._loop.time() + self._limits.close_seconds
        if self._is_paused and not self._transport.is_closing():
            # The client's own close frame must be heard.
            self._is_paused = False
            self._transport.resume_reading()
            self._loop.call_soon(self._read)
        self._tell_closed()

    def _fail(self, code: int, reason: str) -> None:
        """End because of what the client sent; nothing more of it is understood."""
        if self._state == State.OPEN:
            self._put(frame_of_close(code, reason))
        self._begin_end(State.DEAF)
        self.flush()
        if self._transport.can_write_eof() and not self._transport.is_closing():
            # A socket closed with unread bytes is reset, which can overtake the close frame.
            self._transport.write_eof()

    def _tell_closed(self) -> None:
        if not self._is_told:
            self._is_told = True
            self._call(self._handler.closed)

    def _call(self, method: Callable[..., None], *arguments: object) -> None:
        try:
            method(*arguments)
        except Exception:  # noqa: BLE001  # Supervises the handler: one connection ends here.
            _log.exception("Unhandled error in a WebSocket's handler")
            self.close(CloseCode.INTERNAL_ERROR, "internal error")

    @abstractmethod
    def _read(self) -> None:
        """Take what has come and was not taken while the connection was paused."""
