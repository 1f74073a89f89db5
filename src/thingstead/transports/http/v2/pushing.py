"""One live stream on its way out: pushed from callbacks, watched over by one task that sleeps.

What is committed reaches the socket without waking any task: the hub calls, what is queued is
taken, and bytes that all subscribers share are written. The stream's task only opens the
answer, replays what was missed, checks rights again, and says goodbye. How a document looks on
the wire is a `Form`'s matter.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from thingstead.features.live.model import End
from thingstead.features.live.ports import Event, Missed
from thingstead.features.streams.service import Stream
from thingstead.kernel.errors import OverloadedError, ThingsteadError
from thingstead.transports.http.answers import Header
from thingstead.transports.http.protocol.push import EXTENSION, Push, PushStart, chunk
from thingstead.transports.http.request import Send

_GOODBYE_S = 2.0
# Replayed events are joined to writes of about this size.
_PIECE_BYTES = 64 * 1024
# One write a turn of the loop lets most clients read each piece alone. When turns are long, more
# than one event comes in each: what is beyond a short queue leaves faster, within bounds.
_SHORT_QUEUE = 16
_WRITES_A_TURN = 16


@dataclass(frozen=True, slots=True)
class Following:
    """What a stream sends.

    `encode` returns an event's document, empty for one that has nothing for this subscriber;
    streams of the same `name` have the same documents.
    """

    stream: Stream
    name: str
    encode: Callable[[Event], bytes]


class Form(Protocol):
    """How a stream looks on the wire; no piece is empty unless the document is."""

    @property
    def name(self) -> str:
        """What events keep their pieces under."""
        ...

    @property
    def headers(self) -> tuple[Header, ...]:
        """The answer's headers."""
        ...

    @property
    def events_at_once(self) -> int:
        """How many events may leave in one write."""
        ...

    @property
    def sign_of_life(self) -> bytes:
        """What is sent when nothing happened for a while."""
        ...

    def opening(self, cursor: str | None) -> bytes:
        """Return the first piece, for a stream that begins behind that place if it has one."""
        ...

    def piece(self, document: bytes, event: Event) -> bytes:
        """Return an event's piece."""
        ...

    def gap(self, sequence: int) -> bytes:
        """Return what says that something up to that sequence may be missing."""
        ...

    def goodbye(self, error: ThingsteadError, reason: End) -> bytes:
        """Return the last piece."""
        ...


class PushedStream:
    """Sends one subscription's events until the client leaves or the subscription ends."""

    __slots__ = (
        "_events_at_once",
        "_following",
        "_form",
        "_is_check_due",
        "_keep_alive_s",
        "_key",
        "_loop",
        "_push",
        "_said_at",
        "_stream",
        "_subscription",
        "_timer",
        "_waiter",
    )

    def __init__(self, following: Following, form: Form, keep_alive_s: float) -> None:
        self._following = following
        self._stream = following.stream
        self._subscription = following.stream.subscription
        self._form = form
        self._events_at_once = form.events_at_once
        self._keep_alive_s = keep_alive_s
        self._key = ""
        self._loop = asyncio.get_running_loop()
        self._push: Push | None = None
        self._said_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        # There is one while the task sleeps; then, and only then, events are pushed.
        self._waiter: asyncio.Future[None] | None = None
        self._is_check_due = False

    async def run(
        self,
        send: Send,
        cursor: str | None = None,
        missed: AsyncGenerator[Missed, None] | None = None,
    ) -> None:
        """Stream; first the pages of what was missed, if there are any to send.

        The stream is closed by who opened it.
        """
        start = PushStart(
            status=200,
            headers=self._form.headers,
            first=self._form.opening(cursor),
            on_writable=self._go_on,
            on_gone=self._leave,
            on_begun=self._begin,
        )
        await send({"type": EXTENSION, "start": start})
        push = self._push
        if push is None:
            return
        try:
            if missed is not None:
                await self._replay(push, missed)
            self._subscription.push_to(self._ready)
            reason = await self._until_end()
            await self._say_goodbye(push, reason)
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _begin(self, push: Push) -> None:
        self._push = push
        chunked = "-chunk" if push.is_chunked else ""
        self._key = f"{self._following.name}-{self._form.name}{chunked}"
        self._said_at = self._loop.time()
        self._timer = self._loop.call_later(self._keep_alive_s, self._break_silence)

    def _leave(self) -> None:
        self._subscription.end(End.CLOSED)
        self._wake()

    def _go_on(self) -> None:
        self._subscription.poke()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _sleep(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _ready(self) -> None:
        """Push what is queued; called at most once a turn of the event loop."""
        push = self._push
        subscription = self._subscription
        if self._waiter is None or push is None:
            return
        if subscription.takes_recheck() or self._is_check_due:
            self._is_check_due = True
            self._wake()
            return
        if subscription.ended is not None:
            self._wake()
            return
        key = self._key
        backlog = subscription.waiting // self._events_at_once - _SHORT_QUEUE
        for _ in range(min(max(backlog, 1), _WRITES_A_TURN)):
            if not push.is_writable:
                return
            events = subscription.take(self._events_at_once)
            pieces = [event.encodings.get(key) or self._framed(event) for event in events]
            piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if piece:
                push.write(piece)
                self._said_at = self._loop.time()

    def _framed(self, event: Event) -> bytes:
        """Return the event's piece as it goes out, made once for all that need the same."""
        document = self._following.encode(event)
        piece = self._frame(self._form.piece(document, event)) if document else b""
        event.encodings[self._key] = piece
        return piece

    def _frame(self, piece: bytes) -> bytes:
        return chunk(piece) if self._push is not None and self._push.is_chunked else piece

    def _break_silence(self) -> None:
        now = self._loop.time()
        due = self._said_at + self._keep_alive_s
        if due <= now:
            due = now + self._keep_alive_s
            if self._push is not None and self._push.is_writable:
                self._push.write(self._frame(self._form.sign_of_life))
                self._said_at = now
        self._timer = self._loop.call_later(due - now, self._break_silence)

    async def _until_end(self) -> End:
        """Check rights again whenever that is due; return why the subscription ended."""
        subscription = self._subscription
        while (reason := subscription.ended) is None:
            if not await self._checked():
                subscription.poke()
                await self._sleep()
        return reason

    async def _checked(self) -> bool:
        """Check the right to listen if that is due, and return whether it was."""
        if not (self._subscription.takes_recheck() or self._is_check_due):
            return False
        self._is_check_due = False
        await self._stream.recheck()
        # What waited while a right ended must not go out after it.
        self._subscription.sift()
        return True

    async def _replay(self, push: Push, missed: AsyncGenerator[Missed, None]) -> None:
        """Send the pages, as fast as the client reads; a failure ends the subscription."""
        subscription = self._subscription
        # Told of the end, and of a right to be looked at again, while the client reads nothing too.
        subscription.push_to(self._wake)
        try:
            async for page in missed:
                await self._checked()
                for piece in self._pieces(page):
                    while not push.is_writable and subscription.ended is None:
                        await self._sleep()
                        await self._checked()
                    if subscription.ended is not None:
                        return
                    push.write(piece)
                    self._said_at = self._loop.time()
        except ThingsteadError:
            # The store cannot tell just now what was missed; whoever comes again asks again.
            subscription.end(End.INTERRUPTED)

    def _pieces(self, page: Missed) -> Iterator[bytes]:
        """Return what is sent of a page, joined to writes of a fair size."""
        events = filter(self._stream.accepts, page.events)
        gathered: list[bytes] = []
        size = 0
        if page.has_gap:
            behind = page.events[0].sequence - 1 if page.events else page.scanned_to
            gathered.append(self._frame(self._form.gap(behind)))
        for event in events:
            gathered.append(self._framed(event))
            size += len(gathered[-1])
            if size >= _PIECE_BYTES:
                yield b"".join(gathered)
                gathered, size = [], 0
        if gathered:
            yield b"".join(gathered)

    async def _say_goodbye(self, push: Push, reason: End) -> None:
        """Send the reason as a last document, if the client still reads, and end the stream."""
        if reason is End.CLOSED:
            return
        try:
            async with asyncio.timeout(_GOODBYE_S):
                while not push.is_writable:
                    await self._sleep()
        except TimeoutError:
            push.cut()
            return
        error = self._stream.revoked if reason is End.REVOKED else OverloadedError
        push.write(self._frame(self._form.goodbye(error(reason.value), reason)))
        push.finish()
