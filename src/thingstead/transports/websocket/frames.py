"""Frames in and out, over the library `websockets` (RFC 6455 section 5).

Its `Frame` is used and its connection object is not: that keeps 1.4 KiB for each connection
(wsproto's 0.8 KiB; a `FrameReader` at rest 0.1 KiB) and reads all frames of a piece before the
caller can refuse one. wsproto was left aside because it unmasks in Python, `websockets` in C.
"""

import struct
from collections.abc import Generator

from websockets.frames import Close, CloseCode, Frame, Opcode

__all__ = ["CloseCode", "FrameReader", "frame_of_binary", "frame_of_close", "frame_of_text"]

_TEXT = 0x81
_BINARY = 0x82
_LONGEST_REASON_BYTES = 123


def frame_of_text(payload: bytes) -> bytes:
    """Return the frame of a whole text message; `payload` must be UTF-8."""
    return _head(_TEXT, len(payload)) + payload


def frame_of_binary(payload: bytes) -> bytes:
    """Return the frame of a whole binary message."""
    return _head(_BINARY, len(payload)) + payload


def frame_of_close(code: int, reason: str) -> bytes:
    """Return a close frame; a reason that is too long is cut.

    Raises:
        ProtocolError: the code is none that may be sent (RFC 6455 section 7.4).
    """
    short = reason.encode("utf-8")[:_LONGEST_REASON_BYTES].decode("utf-8", "ignore")
    return frame_of(Opcode.CLOSE, Close(code, short).serialize())


def frame_of(opcode: Opcode, payload: bytes) -> bytes:
    """Return a frame of any kind, as the library writes it."""
    return Frame(opcode, payload).serialize(mask=False)


def _head(first: int, length: int) -> bytes:
    # Written here because the library's way takes ten times as long, for each subscriber.
    if length < 126:
        return bytes((first, length))
    if length < 65_536:
        return struct.pack("!BBH", first, 126, length)
    return struct.pack("!BBQ", first, 127, length)


class FrameReader:
    """Gives the frames of one client's byte stream, one by one."""

    __slots__ = ("_buffer", "_parsing")

    def __init__(self) -> None:
        self._buffer: bytearray | None = None
        self._parsing: Generator[None, None, Frame] | None = None

    def feed(self, data: bytes) -> None:
        """Append what the socket gave."""
        if self._buffer is None:
            self._buffer = bytearray(data)
        else:
            self._buffer += data

    def next_frame(self, max_bytes: int) -> Frame | None:
        """Return the next frame, or None while it has not come whole.

        Raises:
            PayloadTooBig: its payload is larger than `max_bytes`.
            ProtocolError: it is no frame that a client may send; the stream is lost then.
        """
        if self._parsing is None:
            if not self._buffer:
                self._buffer = None
                return None
            self._parsing = Frame.parse(self._exactly, mask=True, max_size=max_bytes)
        try:
            next(self._parsing)
        except StopIteration as whole:
            self._parsing = None
            frame: Frame = whole.value
            return frame
        return None

    def _exactly(self, count: int) -> Generator[None, None, bytes | bytearray]:
        while self._buffer is None or len(self._buffer) < count:
            yield
        piece = self._buffer[:count]
        del self._buffer[:count]
        return piece
