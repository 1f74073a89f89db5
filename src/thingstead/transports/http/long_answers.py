"""Answers of known length that are read while they are sent, such as images.

Exact Content-Length, never chunked, and little memory for who reads slowly. It must not know
what is sent. How fast a client has to read is the connection's matter (`protocol/pace.py`); read
on in `images.py`, which makes such answers.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from thingstead.kernel.errors import StoreUnavailableError, ThingsteadError
from thingstead.transports.http.answers import Header
from thingstead.transports.http.protocol.push import EXTENSION, Push, PushStart
from thingstead.transports.http.ranges import Span
from thingstead.transports.http.request import Send

_log = logging.getLogger(__name__)
OCTETS: Header = (b"Content-Type", b"application/octet-stream")


class Readable(Protocol):
    """Bytes that never change."""

    def read_now(self, start: int, size: int) -> bytes | None:
        """Return bytes if that needs no waiting for a disk, otherwise None."""
        ...

    async def read(self, start: int, size: int) -> bytes:
        """Return bytes; fewer than `size` only at the end.

        Raises:
            ThingsteadError: they cannot be read.
        """
        ...


class Source(Protocol):
    """What an answer is read from while it is open, and who is told how far it has come."""

    @property
    def blob(self) -> Readable:
        """The bytes."""
        ...

    async def begun(self) -> None:
        """Take note that the first byte is about to go out; done durably where it matters."""
        ...

    async def finished(self) -> None:
        """Take note that the connection has taken the last byte of the source."""
        ...


@dataclass(frozen=True, slots=True)
class LongAnswer:
    """An answer whose body is `parts`: bytes as they are, and spans that are read from the source.

    `size`: of the body. Without parts it is the answer to HEAD: nothing is opened. `last`: the
    source's last byte, behind which it is finished. `check` is awaited from time to time while a
    body goes out; what it raises cuts the answer off.
    """

    status: int
    size: int
    headers: tuple[Header, ...]
    parts: tuple[bytes | Span, ...]
    last: int
    open: Callable[[], AbstractAsyncContextManager[Source]]
    check: Callable[[], Awaitable[object]] | None = None


@dataclass(frozen=True, slots=True)
class LongLimits:
    """How much of a long answer is in memory.

    A piece is in memory until the client has taken all of it, which is hardly any time with most
    clients, and for minutes with some. So `large_pieces` may be large at once, and others are
    small: a thousand slow clients hold 8 MiB and the large pieces together.
    """

    piece_bytes: int = 8 * 1024
    # From 128 KiB on glibc asks the system for each object anew, which halves the speed.
    large_piece_bytes: int = 112 * 1024
    large_pieces: int = 64
    turn_bytes: int = 512 * 1024
    """After so much without waiting, others have their turn."""
    check_s: float = 1.0
    confirm_s: tuple[float, float] = (0.005, 1.0)
    """How soon, and later how often, to look whether a client has confirmed the last bytes."""


class LongSender:
    """Sends the long answers of one server."""

    def __init__(self, limits: LongLimits = LongLimits()) -> None:  # Frozen.
        self._limits = limits
        self._large_left = limits.large_pieces

    async def send(self, send: Send, answer: LongAnswer) -> None:
        """Send the answer; what goes wrong after its first byte ends the connection.

        Raises:
            ThingsteadError: nothing has been sent yet, so it can still be answered with this.
        """
        if not answer.parts:
            await _send_whole(send, answer, b"")
            return
        async with answer.open() as source:
            reader = _Reader(source.blob, answer.parts)
            if answer.size > self._limits.piece_bytes:
                await self._send_pieces(send, answer, reader, source)
                return
            body = await reader.read(self._limits.piece_bytes)
            await source.begun()
            await _send_whole(send, answer, body, source)

    async def _send_pieces(
        self, send: Send, answer: LongAnswer, reader: "_Reader", source: Source
    ) -> None:
        outlet = _Outlet()
        start = outlet.start(answer, await reader.read(self._limits.piece_bytes))
        await source.begun()
        await send({"type": EXTENSION, "start": start})
        # Otherwise its first piece would be in memory until the end.
        del start
        push = outlet.push
        if push is None:
            return
        try:
            is_taken = await self._pump(push, outlet, answer, reader)
        except ThingsteadError as error:
            _log.warning("an answer of %d bytes was cut off: %s", answer.size, error.code)
            push.cut()
            return
        if is_taken and _has_last(answer):
            # The system's buffers may hold all of an image that the client never gets.
            is_taken = await outlet.is_confirmed(self._limits)
        if is_taken:
            # What the client asks next on this connection finds it noted.
            await _note_end(source, answer)
            push.finish()

    async def _pump(
        self, push: Push, outlet: "_Outlet", answer: LongAnswer, reader: "_Reader"
    ) -> bool:
        """Return whether the connection took everything before its client left."""
        loop = asyncio.get_running_loop()
        check_at = loop.time() + self._limits.check_s
        turn_bytes = 0
        is_taken = await outlet.is_taken()
        while is_taken and not reader.is_at_end:
            if answer.check is not None and loop.time() >= check_at:
                await answer.check()
                check_at = loop.time() + self._limits.check_s
            with self._piece_bytes() as most:
                piece = await reader.read(most)
                turn_bytes += len(piece)
                push.write(piece)
                is_taken = await outlet.is_taken()
            if turn_bytes >= self._limits.turn_bytes:
                turn_bytes = 0
                await asyncio.sleep(0)
        return is_taken

    @contextmanager
    def _piece_bytes(self) -> Iterator[int]:
        """Give the size of a piece, for as long as it is in memory."""
        if not self._large_left:
            yield self._limits.piece_bytes
            return
        self._large_left -= 1
        try:
            yield self._limits.large_piece_bytes
        finally:
            self._large_left += 1


async def _send_whole(
    send: Send, answer: LongAnswer, body: bytes, source: Source | None = None
) -> None:
    start = {
        "type": "http.response.start",
        "status": answer.status,
        "headers": _heads(answer),
    }
    await send(start)
    if source is not None and _has_last(answer):
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await _note_end(source, answer)
        body = b""
    await send({"type": "http.response.body", "body": body})


async def _note_end(source: Source, answer: LongAnswer) -> None:
    if not _has_last(answer):
        return
    try:
        await source.finished()
    except ThingsteadError as error:
        # The client has everything; that it does is only not known.
        _log.warning("the end of an answer was not noted: %s", error.code)


def _heads(answer: LongAnswer) -> tuple[Header, ...]:
    return ((b"Content-Length", b"%d" % answer.size), *answer.headers)


def _has_last(answer: LongAnswer) -> bool:
    return any(isinstance(part, Span) and part.end > answer.last for part in answer.parts)


class _Outlet:
    """The connection's side of one answer: where to write, and whether it was taken."""

    __slots__ = ("_is_gone", "_taken", "push")

    def __init__(self) -> None:
        self.push: Push | None = None
        self._is_gone = False
        self._taken: asyncio.Future[bool] | None = None

    def start(self, answer: LongAnswer, first: bytes) -> PushStart:
        """Return what begins the answer."""
        return PushStart(
            status=answer.status,
            headers=_heads(answer),
            first=first,
            on_writable=self._on_writable,
            on_gone=self._on_gone,
            on_begun=self._on_begun,
        )

    async def is_taken(self) -> bool:
        """Wait until what was written has been taken; False when the client left before that."""
        if self.push is None or self._is_gone:
            return False
        if self.push.is_writable:
            return True
        self._taken = asyncio.get_running_loop().create_future()
        try:
            return await self._taken
        finally:
            self._taken = None

    async def is_confirmed(self, limits: LongLimits) -> bool:
        """Wait until the client's system has everything; False when the client left before that.

        The connection ends this wait for a client that does not read on.
        """
        wait_s, most_s = limits.confirm_s
        while not self._is_gone and self.push is not None:
            if self.push.has_confirmed():
                return True
            self._taken = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._taken,), timeout=wait_s)
            wait_s = min(wait_s * 2, most_s)
        return False

    def _on_begun(self, push: Push) -> None:
        self.push = push

    def _on_writable(self) -> None:
        if self._taken is not None and not self._taken.done():
            self._taken.set_result(True)

    def _on_gone(self) -> None:
        self._is_gone = True
        if self._taken is not None and not self._taken.done():
            self._taken.set_result(False)


class _Reader:
    """Reads the parts of a body one after the other."""

    __slots__ = ("_blob", "_parts")

    def __init__(self, blob: Readable, parts: tuple[bytes | Span, ...]) -> None:
        self._blob = blob
        self._parts = deque(parts)

    @property
    def is_at_end(self) -> bool:
        """Whether everything has been read."""
        return not self._parts

    async def read(self, most: int) -> bytes:
        """Return the next bytes, at most `most`, in one object; empty at the end.

        Raises:
            ThingsteadError: they cannot be read, or there are fewer than there should be.
        """
        pieces: list[bytes] = []
        left = most
        while left and self._parts:
            piece = await self._next(left)
            pieces.append(piece)
            left -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _next(self, most: int) -> bytes:
        part = self._parts.popleft()
        if isinstance(part, bytes):
            if len(part) > most:
                self._parts.appendleft(part[most:])
            return part[:most]
        end = min(part.end, part.start + most)
        if end < part.end:
            self._parts.appendleft(Span(end, part.end))
        size = end - part.start
        piece = self._blob.read_now(part.start, size)
        if piece is None or len(piece) != size:
            piece = await self._blob.read(part.start, size)
        if len(piece) != size:
            # Never padded: the client must not take this for the whole.
            raise StoreUnavailableError("an image is shorter than its row says")
        return piece
