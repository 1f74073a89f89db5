"""Who writes: over HTTP and MQTT, without a pause, through every break of the connection.

Every number is written once. What has no answer is sent again where the server can tell that
it is the same: a write with times of its own, a packet of a kept session. What cannot be sent
again stays in doubt.
"""

import asyncio
import itertools
import json
import time
from collections import deque
from datetime import UTC, datetime, timedelta

from e2e.resume.client import BROKEN, MQTTClient, mqtt_client
from e2e.resume.play import DOCUMENT, Play, Relayed, Sent, cut
from support.wire import Wire, connect, request
from thingstead.transports.mqtt.codec import Puback, Pubcomp, Publish, Pubrec, Pubrel

KEYS = ("a", "b", "c")
COLLECTION = "/v2/classes/me/log"
_PAUSE_S = 0.02
_RELAY_PAUSE_S = 0.06
_UNDER_WAY = 10
_FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)


class HTTPWriter:
    """Writes values of one thing."""

    def __init__(self, play: Play, name: str, thing: int, *, day: int) -> None:
        self._play = play
        self._thing = thing
        self._chance = play.chance(name)
        self._at = _FIRST_DAY + timedelta(days=day)
        self._open: tuple[Sent, bytes] | None = None

    async def run(self) -> None:
        play = self._play
        while play.is_writing or self._open is not None:
            try:
                async with connect(play.address) as wire:
                    await self._write(wire)
                    cut(wire.writer.transport, self._chance)
            except BROKEN:
                await asyncio.sleep(self._chance.uniform(0.01, 0.1))

    async def _write(self, wire: Wire) -> None:
        until = time.monotonic() + self._chance.uniform(0.1, 3.0)
        while self._open is not None or (self._play.is_writing and time.monotonic() < until):
            if self._open is not None:
                sent, body = self._open
            else:
                sent, body, may_repeat = self._next()
                self._play.writes.append(sent)
                self._open = (sent, body) if may_repeat else None
            await wire.send(self._request(body))
            got = await wire.read()
            if got.status == 503:
                return
            assert got.status == 201, got.body
            sent.is_acknowledged, self._open = True, None
            if self._chance.random() < 0.1 and b"datetime" in body:
                # Nothing new: nobody hears of it.
                await wire.send(self._request(body))
                await wire.read()
            await asyncio.sleep(self._chance.uniform(0, _PAUSE_S))

    def _request(self, body: bytes) -> bytes:
        return request("POST", f"/v2/things/{self._play.tokens[self._thing]}", body)

    def _next(self) -> tuple[Sent, bytes, bool]:
        chance = self._chance
        members: list[dict[str, object]] = []
        shown: list[tuple[str, int | None]] = []
        has_times = chance.random() < 0.4
        for _ in range(chance.randint(1, 4)):
            key, number = chance.choice(KEYS), next(self._play.numbers)
            shown.append((key, number))
            members.append({"key": key, "value": number})
            if has_times:
                self._at += timedelta(milliseconds=chance.randint(0, 1))
                members[-1]["datetime"] = self._at.isoformat(timespec="milliseconds")
        if not has_times and chance.random() < 0.15:
            place = chance.randint(0, len(members))
            number = next(self._play.numbers)
            members.insert(place, {"key": DOCUMENT, "value": {"n": number}})
            shown.insert(place, (DOCUMENT, None))
        return Sent(self._thing, tuple(shown)), json.dumps({"values": members}).encode(), has_times


class ObjectWriter:
    """Creates and changes objects of one collection."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._chance = play.chance("objects")
        self._ids: list[str] = []

    async def run(self) -> None:
        while self._play.is_writing:
            try:
                async with connect(self._play.address) as wire:
                    await self._write(wire)
            except BROKEN:
                await asyncio.sleep(self._chance.uniform(0.01, 0.1))

    async def _write(self, wire: Wire) -> None:
        while self._play.is_writing:
            if not await self.write(wire):
                return
            await asyncio.sleep(self._chance.uniform(0, 2 * _PAUSE_S))

    async def write(self, wire: Wire, number: int | None = None) -> bool:
        """Write one number; whether the server took it."""
        play, chance = self._play, self._chance
        number = number or next(play.numbers)
        play.objects[number] = False
        method, path = "POST", COLLECTION
        if self._ids and chance.random() < 0.5:
            method, path = "PUT", f"{path}/{chance.choice(self._ids)}"
        got = await wire.ask(method, path, {"n": number}, {"Authorization": play.session})
        if got.status == 503:
            return False
        assert got.status in {200, 201}, (got.status, got.body)
        play.objects[number] = True
        if got.status == 201:
            self._ids = [*self._ids[-20:], got.json["_id"]]
        return True


class MQTTWriter:
    """Publishes in a kept session: values, or messages that are passed on."""

    def __init__(
        self, play: Play, name: str, thing: int, level: int, *, relays: bool = False, qos: int = 1
    ) -> None:
        self._play = play
        self._name = name
        self._thing = thing
        self._level = level
        self._relays = relays
        self._qos = qos
        # Of QoS 2: packets that the server has, whose ids are not free yet.
        self._unreleased: deque[int] = deque()
        self._chance = play.chance(name)
        self._open: deque[tuple[Publish, Sent | Relayed]] = deque()
        self._ids = itertools.cycle(range(1, 60_000))

    async def run(self) -> None:
        play = self._play
        while play.is_writing or self._open or self._unreleased:
            try:
                async with mqtt_client(
                    play.mqtt_port,
                    self._level,
                    client_id=self._name,
                    token=play.tokens[self._thing],
                ) as client:
                    await self._publish(client)
                    cut(client.transport, self._chance)
            except BROKEN:
                await asyncio.sleep(self._chance.uniform(0.01, 0.1))

    async def _publish(self, client: MQTTClient) -> None:
        await client.send(*map(Pubrel, self._unreleased))
        for packet, _ in self._open:
            packet.is_duplicate = True
            await client.send(packet)
        until = time.monotonic() + self._chance.uniform(0.1, 3.0)
        while (
            self._open or self._unreleased or (self._play.is_writing and time.monotonic() < until)
        ):
            if self._play.is_writing and len(self._open) < _UNDER_WAY:
                self._open.append(self._next())
                await client.send(self._open[-1][0])
                if self._chance.random() < 0.5:
                    continue
            if time.monotonic() >= until and self._chance.random() < 0.2:
                return
            packet = await client.packet()
            if isinstance(packet, Puback | Pubrec):
                self._acknowledged(packet.packet_id)
            if isinstance(packet, Pubrec):
                self._unreleased.append(packet.packet_id)
                await client.send(Pubrel(packet.packet_id))
            elif isinstance(packet, Pubcomp):
                self._unreleased.remove(packet.packet_id)
            await asyncio.sleep(
                self._chance.uniform(0, _RELAY_PAUSE_S if self._relays else _PAUSE_S)
            )

    def _acknowledged(self, packet_id: int) -> None:
        for one in self._open:
            if one[0].packet_id == packet_id:
                self._open.remove(one)
                if isinstance(one[1], Sent):
                    one[1].is_acknowledged = True
                else:
                    one[1].acknowledged_at = time.monotonic()
                return

    def _next(self) -> tuple[Publish, Sent | Relayed]:
        play, number = self._play, next(self._play.numbers)
        topic = f"v2/things/{play.tokens[self._thing]}"
        entry: Sent | Relayed
        if self._relays:
            topic, payload = f"{topic}/cmd", b"%d" % number
            entry = Relayed(self._thing, number, time.monotonic())
            play.relayed.append(entry)
        else:
            shown = [(self._chance.choice(KEYS), number)]
            if self._chance.random() < 0.3:
                shown.append((self._chance.choice(KEYS), next(play.numbers)))
            payload = json.dumps(
                {"values": [{"key": key, "value": value} for key, value in shown]}
            ).encode()
            entry = Sent(self._thing, tuple(shown))
            play.writes.append(entry)
        return Publish(topic, payload, self._qos, packet_id=next(self._ids)), entry
