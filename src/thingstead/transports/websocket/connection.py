"""One WebSocket as its user sees it: messages in, messages out (RFC 6455 sections 5 and 6).

Reads frames, joins messages, counts them, answers pings. It must not know what messages mean,
nor how the socket was upgraded. Read on in `lifetime.py` (time, writing and ends), `handler.py`
(its user), `frames.py` (the bytes) and `limits.py` (every number).

No extension is ever agreed on. Frames with a reserved bit, as compressed ones have, end the
connection with 1002, so nothing is ever inflated (`security.md` 5). An idle connection takes
about 1 KiB, without its handler (tests/unit/transports/websocket/test_memory.py).
"""

import math

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Close, CloseCode, Frame, Opcode

from thingstead.transports.websocket.frames import (
    FrameReader,
    frame_of,
    frame_of_binary,
    frame_of_text,
)
from thingstead.transports.websocket.handler import WebSocketHandler
from thingstead.transports.websocket.lifetime import State, Watcher, WebSocketLifetime
from thingstead.transports.websocket.limits import WebSocketLimits

# Fragments at least this long cost nothing extra: what bounds them is the message's size.
_FREE_FRAGMENT_BYTES = 512
# RFC 6455, 5.5; such frames may come between the parts of a message.
_LONGEST_CONTROL_BYTES = 125


class WebSocketConnection(WebSocketLifetime):
    """Carries messages between one client and one handler; see `handler.py` for its calls.

    Messages come in order and one at a time. What is sent after the end began is dropped.
    """

    __slots__ = (
        "_fragments",
        "_is_message_text",
        "_message_bytes",
        "_reader",
        "_spent_until",
    )

    def __init__(
        self, handler: WebSocketHandler, limits: WebSocketLimits, watcher: Watcher
    ) -> None:
        super().__init__(handler, limits, watcher)
        self._reader = FrameReader()
        self._fragments: list[bytes] | None = None
        self._is_message_text = False
        self._message_bytes = 0
        self._spent_until = 0.0

    # --- What a handler calls ---

    def send_text(self, payload: bytes) -> None:
        """Send a text message; `payload` must be UTF-8."""
        self.send_frames(frame_of_text(payload))

    def send_binary(self, payload: bytes) -> None:
        """Send a binary message."""
        self.send_frames(frame_of_binary(payload))

    def send_frames(self, prepared: bytes) -> None:
        """Send whole frames that `frame_of_text` or `frame_of_binary` made, perhaps for many.

        It is written at the end of this turn of the loop, together with all else, or as soon
        as much has gathered, so that `is_writable` is true to the moment.
        """
        if self.is_open:
            self._put(prepared)

    def pause_reading(self) -> None:
        """Deliver no further message until `resume_reading`; for waiting that must be short."""
        self._is_paused = True
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on delivering messages; what was read before the pause comes first."""
        if not self._is_paused:
            return
        self._is_paused = False
        if self._transport.is_closing():
            return
        self._heard_at = self._loop.time()
        self._transport.resume_reading()
        self._read()

    # --- What the HTTP server and the loop call ---

    def data_received(self, data: bytes) -> None:
        """Take what the socket gave."""
        if self._state == State.DEAF:
            return
        self._heard_at = self._loop.time()
        self._asked_at = math.inf
        self._reader.feed(data)
        self._read()

    # --- Reading ---

    def _read(self) -> None:
        limits = self._limits
        try:
            while not self._is_paused and self._state != State.DEAF:
                left_bytes = limits.message_bytes - self._message_bytes
                frame = self._reader.next_frame(max(left_bytes, _LONGEST_CONTROL_BYTES))
                if frame is None:
                    return
                if not self._may_send(frame):
                    self._fail(CloseCode.POLICY_VIOLATION, _too_many(limits))
                    return
                self._take(frame)
        except PayloadTooBig:
            self._fail(
                CloseCode.MESSAGE_TOO_BIG,
                f"a message may have at most {limits.message_bytes} bytes",
            )
        except ProtocolError as error:
            # The library's reasons are fixed texts without bytes of the client's.
            self._fail(CloseCode.PROTOCOL_ERROR, str(error))
        except UnicodeDecodeError:
            self._fail(CloseCode.INVALID_DATA, "a text must be UTF-8")

    def _may_send(self, frame: Frame) -> bool:
        """Count the frame; a bucket that is told by when it will be full again."""
        if frame.opcode == Opcode.CONT and len(frame.data) >= _FREE_FRAGMENT_BYTES:
            return True
        limits = self._limits
        now = self._heard_at
        spent_until = max(self._spent_until, now) + 1.0 / limits.messages_per_second
        # Half a message is less than one more, and more than what fractions lose.
        if (spent_until - now) * limits.messages_per_second > limits.message_burst + 0.5:
            return False
        self._spent_until = spent_until
        return True

    def _take(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode == Opcode.PING:
            # One that does not read needs no answer; the newest is the one that counts.
            if self.is_writable and self._state == State.OPEN:
                self._put(frame_of(Opcode.PONG, bytes(frame.data)))
        elif opcode == Opcode.CLOSE:
            self._take_close(frame)
        elif opcode != Opcode.PONG:
            self._take_part(frame)

    def _take_close(self, frame: Frame) -> None:
        Close.parse(frame.data)
        if self._state == State.OPEN:
            self._put(frame_of(Opcode.CLOSE, bytes(frame.data)))
        self._begin_end(State.DEAF)
        self.flush()
        self._transport.close()

    def _take_part(self, frame: Frame) -> None:
        fragments = self._fragments
        if (frame.opcode == Opcode.CONT) != (fragments is not None):
            raise ProtocolError("a message must end before the next begins")
        if fragments is None:
            self._is_message_text = frame.opcode == Opcode.TEXT
            if frame.fin:
                self._deliver(bytes(frame.data))
                return
            fragments = self._fragments = []
        fragments.append(bytes(frame.data))
        self._message_bytes += len(frame.data)
        if self._message_bytes > self._limits.message_bytes:
            raise PayloadTooBig(self._message_bytes, self._limits.message_bytes)
        if frame.fin:
            self._fragments = None
            self._message_bytes = 0
            self._deliver(b"".join(fragments))

    def _deliver(self, message: bytes) -> None:
        if self._state != State.OPEN:
            return
        if self._is_message_text:
            self._call(self._handler.text, message.decode("utf-8"))
        else:
            self._call(self._handler.binary, message)


def _too_many(limits: WebSocketLimits) -> str:
    return f"at most {limits.messages_per_second:g} messages/s, {limits.message_burst} at once"
