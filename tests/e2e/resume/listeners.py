"""Who listens, breaks off in every way there is, and comes back for what it missed."""

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from e2e.resume.client import BROKEN, MQTTClient, mqtt_client
from e2e.resume.play import Play, Shown, cut, numbers_of, shown_of
from support.event_stream import ACCEPT, EventStream
from support.live_socket import live_socket
from support.wire import connect, request
from thingstead.transports.mqtt.codec import (
    Disconnect,
    Puback,
    Publish,
    Suback,
    Subscribe,
    SubscribeRequest,
)

_CALM_S = 30.0


class BrokenOffError(Exception):
    """The listener itself has broken off."""


@dataclass
class Record:
    """What one subscription heard: places in the order of commits, and what was shown there."""

    name: str
    cursor: str = ""
    start: int = -1
    heard: list[tuple[int, Shown]] = field(default_factory=list)
    numbers: set[int] = field(default_factory=set)

    def add(self, cursor: str, shown: Shown) -> None:
        self.cursor = cursor
        self.heard.append((int(cursor[1:], 16), shown))
        self.numbers.update(numbers_of(shown))

    def begin(self, cursor: str) -> None:
        if not self.cursor:
            self.cursor = cursor
            self.start = int(cursor[1:], 16)


class Listener(ABC):
    """Listens again and again; what a kind of listener does stands below."""

    def __init__(self, play: Play, name: str) -> None:
        self.name = name
        self.play = play
        self.chance = play.chance(name)
        self.has_begun = asyncio.Event()
        self.connections = 0
        self.wanted: Callable[[], bool] = lambda: False
        """Whether everything has come that was written last."""

    async def run(self) -> None:
        play, chance = self.play, self.chance
        until = None
        while not (play.is_calm and self.wanted()):
            if play.is_calm:
                until = until or time.monotonic() + _CALM_S
                if time.monotonic() > until:
                    play.problems.append(f"{self.name}: what was written last did not come")
                    return
            self.connections += 1
            with suppress(*BROKEN, ConnectionClosed, InvalidHandshake, BrokenOffError):
                await self.listen()
            await asyncio.sleep(chance.choice((0, chance.uniform(0, 0.1), chance.uniform(0, 1))))

    @abstractmethod
    async def listen(self) -> None:
        """One connection, until it breaks or has lasted long enough."""

    def patience_s(self) -> float:
        """How long this connection is to last."""
        if self.play.is_calm:
            return 10.0
        if not self.has_begun.is_set():
            return 20.0
        return self.chance.choice((0.0, self.chance.uniform(0, 0.1), self.chance.uniform(0, 2.5)))

    async def stall(self, transport: asyncio.Transport) -> None:
        """Sometimes read nothing for a while."""
        if self.has_begun.is_set() and not self.play.is_calm and self.chance.random() < 0.01:
            transport.pause_reading()
            await asyncio.sleep(self.chance.uniform(0.1, 1.5))
            if self.chance.random() < 0.3:
                raise BrokenOffError
            with suppress(RuntimeError):
                transport.resume_reading()


class SSEListener(Listener):
    """One stream of Server-Sent Events."""

    def __init__(self, play: Play, name: str, target: str, session: str = "") -> None:
        super().__init__(play, name)
        self._target = target
        self._headers = {"Authorization": session} if session else {}
        self.record = Record(name)
        self.wanted = lambda: self.record.numbers >= self.last()
        self.last: Callable[[], set[int]] = set

    async def listen(self) -> None:
        record = self.record
        sent = ACCEPT | self._headers
        if record.cursor:
            sent = sent | {"Last-Event-ID": record.cursor}
        async with connect(self.play.address) as wire:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.patience_s()):
                    await wire.send(request("GET", self._target, headers=sent))
                    head = await wire.read_head()
                    if head.status == 503:
                        return
                    assert head.status == 200, head
                    await self._read(EventStream(wire))
            cut(wire.writer.transport, self.chance)

    async def _read(self, stream: EventStream) -> None:
        record = self.record
        while not (self.play.is_calm and self.wanted()):
            try:
                event = await stream.next()
            except AssertionError:
                if stream.has_ended:
                    return
                raise
            if event.type == "subscribed":
                record.begin(event.id)
                self.has_begun.set()
            elif event.type == "values":
                record.add(event.id, shown_of(event.json))
            elif event.type == "object":
                record.add(event.id, shown_object(event.json))
            elif event.type == "end":
                return
            else:
                self.play.problems.append(f"{self.name}: {event}")
            await self.stall(stream.wire.writer.transport)


class LiveListener(Listener):
    """Some subscriptions on one live WebSocket."""

    def __init__(self, play: Play, name: str, token: str, *resources: str) -> None:
        super().__init__(play, name)
        self._token = token
        self.records = {resource: Record(f"{name} {resource}") for resource in resources}
        self.last: dict[str, Callable[[], set[int]]] = {}
        self.wanted = lambda: all(
            record.numbers >= self.last[resource]() for resource, record in self.records.items()
        )

    async def listen(self) -> None:
        async with live_socket(self.play.address, close_timeout=0.2) as client:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.patience_s()):
                    await client.authenticate(self._token)
                    for resource, record in self.records.items():
                        since = {"since": record.cursor} if record.cursor else {}
                        await client.say("subscribe", id=resource, resource=resource, **since)
                    while not (self.play.is_calm and self.wanted()):
                        self._take(await client.hear())
                        await self.stall(client.socket.transport)
            if self.chance.random() < 0.7:
                cut(client.socket.transport, self.chance)

    def _take(self, said: dict[str, object]) -> None:
        kind = said["type"]
        if kind in {"error", "ended"} and said["code"] == 503:
            raise BrokenOffError
        record = self.records[str(said["id"])] if "id" in said else None
        if record is None or kind not in {"subscribed", "values", "object"}:
            self.play.problems.append(f"{self.name}: {said}")
        elif kind == "subscribed":
            record.begin(str(said["cursor"]))
            if all(one.cursor for one in self.records.values()):
                self.has_begun.set()
        elif kind == "values":
            record.add(str(said["cursor"]), shown_of(said["values"]))  # type: ignore[arg-type]
        else:
            record.add(str(said["cursor"]), shown_object(said["object"]))


class MQTTListener(Listener):
    """A kept session, which acknowledges sooner or later, and in any order."""

    def __init__(self, play: Play, name: str, token: str, level: int, *filters: str) -> None:
        super().__init__(play, name)
        self._token = token
        self._level = level
        self._filters = filters
        self._has_session = False
        self._late: list[int] = []
        self.heard: list[Shown] = []
        self.relays: list[int] = []
        self.numbers: set[int] = set()
        self._seen: set[Shown | int] = set()
        self.repeats = 0
        self.times: list[tuple[float, float]] = []
        """From when to when the server may have known it connected."""
        self.last: Callable[[], set[int]] = set
        self.wanted = lambda: self.last() <= self.numbers

    async def listen(self) -> None:
        began = time.monotonic()
        self._late.clear()
        try:
            async with mqtt_client(
                self.play.mqtt_port, self._level, client_id=self.name, token=self._token
            ) as client:
                await self._with(client)
        finally:
            self.times.append((began, time.monotonic()))

    async def _with(self, client: MQTTClient) -> None:
        if self._has_session and not client.is_session_present:
            self.play.problems.append(f"{self.name}: the session is gone")
        if not self._has_session or self.chance.random() < 0.5:
            requests = tuple(SubscribeRequest(text, 1) for text in self._filters)
            await client.send(Subscribe(1, requests))
        with suppress(TimeoutError):
            async with asyncio.timeout(self.patience_s()):
                while not (self.play.is_calm and self.wanted()):
                    await self._take(client, await client.packet())
                    await self.stall(client.transport)
                await client.send(*map(Puback, self._late))
        if self.chance.random() < 0.3:
            await client.send(Disconnect())
        elif self.chance.random() < 0.3 and not self.play.is_calm:
            # Its own next connection takes over while this one is still there.
            await self._take_over()
        cut(client.transport, self.chance)

    async def _take_over(self) -> None:
        with suppress(*BROKEN):
            async with mqtt_client(
                self.play.mqtt_port, self._level, client_id=self.name, token=self._token
            ):
                pass

    async def _take(self, client: MQTTClient, packet: object) -> None:
        if isinstance(packet, Suback):
            assert all(reason == 1 for reason in packet.reasons), packet
            self._has_session = True
            self.has_begun.set()
        elif isinstance(packet, Publish):
            self._note(packet)
            assert packet.packet_id is not None
            self._late.append(packet.packet_id)
            if self.play.is_calm or self.chance.random() < 0.6:
                self.chance.shuffle(self._late)
                keep = 0 if self.chance.random() < 0.8 else len(self._late) // 2
                now, self._late = self._late[keep:], self._late[:keep]
                await client.send(*map(Puback, now))

    def _note(self, packet: Publish) -> None:
        is_relayed = packet.topic.endswith("/cmd")
        one = int(packet.payload) if is_relayed else shown_of(json.loads(packet.payload))
        if one in self._seen:
            self.repeats += 1
            return
        self._seen.add(one)
        if isinstance(one, int):
            self.relays.append(one)
            self.numbers.add(one)
        else:
            self.heard.append(one)
            self.numbers.update(numbers_of(one))


def shown_object(said: object) -> Shown:
    assert isinstance(said, dict), said
    found = said["object"] if isinstance(said.get("object"), dict) else said
    return ((str(said.get("action")), found["n"]),)
