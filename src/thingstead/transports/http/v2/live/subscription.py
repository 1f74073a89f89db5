"""One subscription of a live WebSocket: what was missed first, then what happens.

It is called when there is something to take, and takes only while the client reads; what piles
up meanwhile has a bound (`features/live/subscription.py`). Just one task runs for it at a time,
and none while it only listens. Whether an event may go out is asked again for each.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Protocol

from thingstead.features.live.cursors import cursor_of, sequence_of
from thingstead.features.live.model import End
from thingstead.features.live.ports import Event
from thingstead.features.live.subscription import Overflow
from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.http.v2.live.holders import Opened
from thingstead.transports.http.v2.live.messages import EventFrames, said

_GAP = "Something may be missing: it is too long ago, or the cursor is from another history"


class SubscribedSocket(Protocol):
    """What a subscription needs of its socket."""

    @property
    def is_writable(self) -> bool:
        """Whether the client reads what is sent."""
        ...

    async def until_writable(self) -> None:
        """Wait until it does."""
        ...

    def say(self, message: bytes) -> None:
        """Send a message."""
        ...

    def send_frames(self, frames: bytes) -> None:
        """Send frames that are made."""
        ...

    def start(self, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        """Run something beside; what goes wrong in it ends the socket."""
        ...

    def stream_ended(self, subscription: "LiveSubscription", reason: End) -> None:
        """Let go of the subscription, which will send nothing more."""
        ...

    def stream_failed(self, subscription: "LiveSubscription", error: ThingsteadError) -> None:
        """Let go of the subscription, which cannot go on."""
        ...


class LiveSubscription:
    """Sends one stream's events under its client's id."""

    __slots__ = ("_frames", "_name", "_socket", "_stream", "_task", "id")

    def __init__(self, socket: SubscribedSocket, subscription_id: str, opened: Opened) -> None:
        self.id = subscription_id
        self._socket = socket
        self._stream = opened.stream
        self._name = opened.name
        self._frames = EventFrames(subscription_id, opened.resource)
        self._task: asyncio.Task[None] | None = None

    @property
    def revoked(self) -> type[ThingsteadError]:
        """What a new request would be answered, once the right has ended."""
        return self._stream.revoked

    async def begin(self, since: str | None, *, conflates: bool) -> None:
        """Confirm, and go on with what came after the cursor, if there is one, and with the rest.

        Raises:
            InvalidCursorError: it is no cursor of such a stream.
            OverloadedError, StoreUnavailableError: the store cannot tell now.
        """
        stream = self._stream
        sequence = await stream.head() if since is None else sequence_of(stream.kind, since)
        if conflates:
            stream.subscription.overflow = Overflow.CONFLATE
        cursor = cursor_of(stream.kind, sequence)
        self._socket.say(said("subscribed", id=self.id, resource=self._name, cursor=cursor))
        if since is not None:
            self._task = self._socket.start(self._replay(sequence))
        stream.subscription.push_to(self._go_on)

    def go_on(self) -> None:
        """Have the client's reading again used."""
        self._stream.subscription.poke()

    def close(self) -> None:
        """Let everything go; nothing is sent from now on."""
        self._stream.close()
        if self._task is not None:
            self._task.cancel()

    def _go_on(self) -> None:
        subscription = self._stream.subscription
        if subscription.ended is not None:
            self._socket.stream_ended(self, subscription.ended)
        elif self._task is not None:
            # It looks for itself when it is done.
            return
        elif subscription.takes_recheck():
            self._task = self._socket.start(self._recheck())
        elif self._socket.is_writable:
            for event in subscription.take():
                self._send(event)

    async def _recheck(self) -> None:
        await self._stream.recheck()
        self._task = None
        self._go_on()

    async def _replay(self, after: int) -> None:
        try:
            await self._send_missed(after)
        except ThingsteadError as error:
            self._task = None
            self._socket.stream_failed(self, error)
            return
        self._task = None
        self._go_on()

    async def _send_missed(self, after: int) -> None:
        subscription = self._stream.subscription
        has_gap = False
        async with aclosing(self._stream.missed(after)) as pages:
            async for page in pages:
                if page.has_gap and not has_gap:
                    has_gap = True
                    self._socket.say(said("gap", id=self.id, message=_GAP))
                for event in page.events:
                    await self._socket.until_writable()
                    if subscription.takes_recheck():
                        await self._stream.recheck()
                    if subscription.ended is not None:
                        return
                    self._send(event)

    def _send(self, event: Event) -> None:
        # What waited while a right ended must not go out after it.
        frame = self._frames.frame(event) if self._stream.accepts(event) else None
        if frame is not None:
            self._socket.send_frames(frame)
