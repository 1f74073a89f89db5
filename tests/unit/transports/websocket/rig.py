"""A WebSocket connection without a socket: bytes in by hand, bytes out in a list."""

import asyncio
import struct

from websockets.frames import Close, Frame, Opcode

from thingstead.transports.websocket import WebSocketConnection, WebSocketLimits

LIMITS = WebSocketLimits()


class FakeTransport(asyncio.Transport):
    """Keeps what is written; the test says how much of it the client has not read."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.unsent_bytes = 0
        self.high = 0
        self.ends: list[str] = []
        self.is_reading_paused = False

    def set_write_buffer_limits(self, high=None, low=None):
        self.high = high

    def get_write_buffer_size(self):
        return self.unsent_bytes

    def write(self, data):
        self.writes.append(bytes(data))

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.ends.append("eof")

    def is_closing(self):
        return "close" in self.ends or "abort" in self.ends

    def close(self):
        self.ends.append("close")

    def abort(self):
        self.ends.append("abort")

    def pause_reading(self):
        self.is_reading_paused = True

    def resume_reading(self):
        self.is_reading_paused = False


class Recorder:
    """A handler that remembers what it was told, and echoes when asked to."""

    def __init__(self, **reactions) -> None:
        self.told: list[object] = []
        self.reactions = reactions
        self.connection: WebSocketConnection

    def opened(self, connection):
        self.connection = connection
        self._note("opened")

    def text(self, message):
        self._note("text", message)

    def binary(self, message):
        self._note("binary", message)

    def writable(self):
        self._note("writable")

    def deadline_passed(self):
        self._note("deadline")

    def closed(self):
        self._note("closed")

    def _note(self, name, *arguments):
        self.told.append((name, *arguments) if arguments else name)
        if name in self.reactions:
            self.reactions[name](self.connection)


class Watched:
    def __init__(self) -> None:
        self.all: set[object] = set()

    def watch(self, connection, loop):
        self.all.add(connection)

    def forget(self, connection):
        self.all.discard(connection)


class Rig:
    def __init__(self, limits: WebSocketLimits = LIMITS, **reactions) -> None:
        self.handler = Recorder(**reactions)
        self.transport = FakeTransport()
        self.watched = Watched()
        self.released = 0
        self.connection = WebSocketConnection(self.handler, limits, self.watched)
        self.connection.take_over(self.transport, self._release)

    def _release(self) -> None:
        self.released += 1

    @property
    def told(self) -> list[object]:
        return self.handler.told[1:]

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def receive(self, *frames: bytes) -> None:
        self.connection.data_received(b"".join(frames))

    async def written(self) -> list[Frame]:
        """The frames written so far, at the end of this turn of the loop."""
        await asyncio.sleep(0)
        return frames_in(b"".join(self.transport.writes))

    async def close_code(self) -> int:
        """The code of the close frame that was written last of all."""
        last = (await self.written())[-1]
        assert last.opcode == Opcode.CLOSE
        return Close.parse(last.data).code


def frames_in(data: bytes) -> list[Frame]:
    frames = []
    at = 0

    def exactly(count):
        nonlocal at
        assert at + count <= len(data)
        at += count
        return data[at - count : at]
        yield

    while at < len(data):
        parsing = Frame.parse(exactly, mask=False)
        try:
            next(parsing)
        except StopIteration as done:
            frames.append(done.value)
    return frames


def frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True, rsv1: bool = False) -> bytes:
    """A frame as clients send it; the library refuses to write the wrong ones."""
    first = fin << 7 | rsv1 << 6 | opcode
    mask = b"\x01\x02\x03\x04"
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
    return head(first, len(data), is_masked=True) + mask + masked


def head(first: int, length: int, *, is_masked: bool) -> bytes:
    bit = is_masked << 7
    if length < 126:
        return struct.pack("!BB", first, bit | length)
    if length < 65536:
        return struct.pack("!BBH", first, bit | 126, length)
    return struct.pack("!BBQ", first, bit | 127, length)


def text(data: bytes, **more) -> bytes:
    return frame(Opcode.TEXT, data, **more)


def continuation(data: bytes, *, fin: bool) -> bytes:
    return frame(Opcode.CONT, data, fin=fin)


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    return frame(Opcode.CLOSE, b"" if code is None else struct.pack("!H", code) + reason)
