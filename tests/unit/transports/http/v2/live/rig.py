"""A live WebSocket without a server: real frames and subscriptions, doubles behind them."""

import asyncio
import json

from thingstead.bus.memory import MemoryBus
from thingstead.features.live.cursors import CursorKind
from thingstead.features.live.model import LiveEvent
from thingstead.features.live.ports import Missed
from thingstead.features.live.replay import replayed
from thingstead.features.live.service import Live
from thingstead.features.live.subscription import LiveLimits
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.values.model import StoredValue
from thingstead.kernel.errors import ThingsteadError
from thingstead.kernel.ids import ResourceKey, ThingId
from thingstead.transports.http.v2.live.holders import Opened
from thingstead.transports.http.v2.live.socket import LiveSocket, LiveSocketLimits
from thingstead.transports.websocket import WebSocketConnection, WebSocketLimits
from unit.transports.websocket.rig import FakeTransport, Watched, frames_in, text

TOKEN = "right"
UNHURRIED = WebSocketLimits(message_burst=10_000)


def event(sequence: int, *values: float, key: str = "a", epoch: int = 0) -> LiveEvent:
    entries = tuple(StoredValue(ResourceKey(key), value, 0) for value in values)
    return LiveEvent(ThingId("thing"), sequence, entries, epoch)


class FakeStream:
    """A stream of the bus's topic `thing`, whose right the test gives and takes."""

    kind = CursorKind.VALUES
    revoked = ThingNotFoundError

    def __init__(self, live: Live, pages) -> None:
        self.live = live
        self.subscription = live.open(ThingId("thing"))
        self.pages = pages
        self.rechecks = 0
        self.when_rechecked = lambda subscription: None
        self.hidden_epochs: set[int] = set()
        self.looks: list[int] = []
        self.error: ThingsteadError | None = None

    def accepts(self, event):
        return event.epoch not in self.hidden_epochs

    async def recheck(self):
        self.rechecks += 1
        await asyncio.sleep(0)
        self.when_rechecked(self.subscription)

    async def head(self):
        if self.error is not None:
            raise self.error
        await asyncio.sleep(0)
        return 7

    def missed(self, after):
        async def look(sequence):
            self.looks.append(sequence)
            await asyncio.sleep(0)
            if self.error is not None:
                raise self.error
            return self.pages.pop(0) if self.pages else Missed([], sequence, True, False)

        return replayed(self.subscription, look, after)

    def close(self):
        self.live.close(self.subscription)


class FakeHolders:
    """Knows one token; is its own holder."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.pages: list[Missed] = []
        self.streams: list[FakeStream] = []
        self.error: ThingsteadError | None = None
        self.resource: str | None = None
        self.gate: asyncio.Event | None = None

    async def of(self, token, *, address):
        await self._pass()
        if token != TOKEN:
            raise ThingNotFoundError
        return self

    async def of_ticket(self, ticket):
        return await self.of(ticket, address="")

    async def open(self, name):
        await self._pass()
        stream = FakeStream(self.live, self.pages)
        self.streams.append(stream)
        return Opened(stream, name or "/own", self.resource)

    async def _pass(self):
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error


class LiveRig:
    def __init__(
        self,
        *,
        credential=None,
        limits: LiveSocketLimits | None = None,
        queue: LiveLimits | None = None,
    ) -> None:
        self.bus = MemoryBus()
        self.live = Live(self.bus, queue or LiveLimits())
        self.holders = FakeHolders(self.live)
        self.transport = FakeTransport()
        self.limits = limits or LiveSocketLimits()
        self.socket = LiveSocket(self.holders, self.limits, address="here", credential=credential)
        self.connection = WebSocketConnection(self.socket, UNHURRIED, Watched())
        self._heard = 0

    def begin(self) -> None:
        self.connection.take_over(self.transport, lambda: None)

    async def authenticated(self) -> "LiveRig":
        self.begin()
        assert await self.ask("authenticate", token=TOKEN) == [{"type": "authenticated"}]
        return self

    def say(self, kind, **members) -> None:
        self.connection.data_received(text(json.dumps({"type": kind, **members}).encode()))

    async def ask(self, kind, **members):
        self.say(kind, **members)
        return await self.heard()

    async def opened(self) -> FakeStream:
        """The stream that is being opened, as soon as it is."""
        while not self.holders.streams:  # noqa: ASYNC110  # It has no event.
            await asyncio.sleep(0)
        return self.holders.streams[-1]

    async def subscribe(self, **members) -> FakeStream:
        [subscribed] = await self.ask("subscribe", **{"id": "s", **members})
        assert subscribed["type"] == "subscribed"
        return self.holders.streams[-1]

    async def heard(self):
        """What was said since the last time; a close frame as its code."""
        for _ in range(30):
            await asyncio.sleep(0)
        frames = frames_in(b"".join(self.transport.writes))
        new, self._heard = frames[self._heard :], len(frames)
        return [
            json.loads(one.data) if one.opcode == 1 else int.from_bytes(one.data[:2], "big")
            for one in new
        ]
