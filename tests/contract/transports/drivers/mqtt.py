"""MQTT 3.1.1 and 5, over TCP and over WebSocket, with a token as user name or anonymous."""

import asyncio
import json
import secrets
from collections import deque
from contextlib import AsyncExitStack

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from contract.transports.driver import Ended, Kind, Refused, pause, resume
from support.in_process import Served
from support.mqtt_packets import client_bytes
from support.wire import PATIENCE_SECONDS, Address, Wire, compact
from support.wire import connect as connect_tcp
from thingstead.transports.mqtt.codec import (
    FROM_SERVER,
    Connack,
    Connect,
    Decoder,
    Disconnect,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Publish,
    Suback,
    Subscribe,
    SubscribeRequest,
    Unsuback,
    Unsubscribe,
    Will,
)

_KEPT_S = 3_600
_KINDS = {
    0x86: Kind.UNKNOWN,
    0x87: Kind.UNKNOWN,
    0x99: Kind.INVALID,
    0x97: Kind.TOO_MANY,
    0x89: Kind.BUSY,
}


class GoneError(Exception):
    """The server has closed the connection."""


class _TCP:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.transport = wire.writer.transport

    async def read(self) -> bytes:
        try:
            data = await self._wire.reader.read(65_536)
        except ConnectionError as reset:
            raise GoneError from reset
        if not data:
            raise GoneError
        return data

    async def write(self, data: bytes) -> None:
        self._wire.writer.write(data)


class _WebSocket:
    def __init__(self, live) -> None:
        self._live = live
        self.transport = live.transport

    async def read(self) -> bytes:
        try:
            return await self._live.recv(decode=False)
        except ConnectionClosed as closed:
            raise GoneError from closed

    async def write(self, data: bytes) -> None:
        try:
            await self._live.send(data)
        except ConnectionClosed as closed:
            raise GoneError from closed


class _Client:
    """Packets in and out; messages that come between are put aside."""

    def __init__(self, carrier, level: int) -> None:
        self.carrier = carrier
        self.level = level
        self.messages: deque[Publish] = deque()
        self.said = b""
        self.acknowledges = True
        self._decoder = Decoder(10_000_000, side=FROM_SERVER)
        self._decoder.level = level
        self._packets: deque = deque()
        self._last_id = 0

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    async def send(self, packet) -> None:
        await self.carrier.write(client_bytes(packet, self.level))

    async def packet(self):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self._packets:
                data = await self.carrier.read()
                self.said += data
                self._packets += self._decoder.feed(data)
        packet = self._packets.popleft()
        is_to_acknowledge = self.acknowledges and isinstance(packet, Publish)
        if is_to_acknowledge and packet.packet_id is not None:
            await self.send(Puback(packet.packet_id))
        return packet

    async def answer(self, kind):
        """The next packet of a kind, or the DISCONNECT that came instead."""
        while not isinstance(packet := await self.packet(), (kind, Disconnect)):
            assert isinstance(packet, Publish), packet
            self.messages.append(packet)
        return packet

    async def ping(self) -> None:
        await self.send(Pingreq())
        await self.answer(Pingresp)


class MQTTDriver:
    def __init__(
        self,
        served: Served,
        token: str,
        stack: AsyncExitStack,
        *,
        level: int,
        is_anonymous: bool = False,
        is_on_websocket: bool = False,
    ) -> None:
        self._served = served
        self._token = token
        self._stack = stack
        self._level = level
        self._is_anonymous = is_anonymous
        self._is_on_websocket = is_on_websocket
        self._client: _Client | None = None
        self._client_id = f"c{secrets.token_hex(8)}"
        self.will: Will | None = None

    async def _carrier(self):
        if self._is_on_websocket:
            address = self._served.address
            url = f"ws://{address.host}:{address.port}/mqtt"
            options = {"proxy": None, "compression": None, "close_timeout": 0.1}
            live = await self._stack.enter_async_context(
                connect(url, subprotocols=["mqtt"], max_size=None, **options)
            )
            self._stack.callback(live.transport.abort)
            return _WebSocket(live)
        port = Address(self._served.address.host, self._served.ports["mqtt"])
        return _TCP(await self._stack.enter_async_context(connect_tcp(port)))

    async def _connected(self, behind: object = None) -> _Client | Refused:
        if self._client is not None:
            return self._client
        client = _Client(await self._carrier(), self._level)
        properties = Properties()
        is_kept = not self._is_anonymous
        if is_kept and self._level == 5:
            properties = Properties(session_expiry_s=_KEPT_S)
        if behind is not None:
            self._client_id = behind
        connect_packet = Connect(
            self._level,
            self._client_id,
            is_clean=not is_kept,
            keep_alive_s=60,
            user_name=None if self._is_anonymous else self._token,
            will=self.will,
            properties=properties,
        )
        await client.send(connect_packet)
        try:
            connack = await client.packet()
        except GoneError:
            return self._refused(client, 0)
        assert isinstance(connack, Connack)
        if connack.reason:
            return self._refused(client, connack.reason, connack.properties)
        assert connack.is_session_present == (behind is not None)
        self._client = client
        return client

    def _refused(self, client, reason, properties=None) -> Refused:
        if self._level < 5:
            return Refused(Kind.SOMEHOW, "", client.said)
        text = (properties and properties.reason_string) or ""
        return Refused(_KINDS.get(reason, Kind.SOMEHOW), text, client.said)

    async def write(self, values, *, is_broadcast=True):
        client = await self._connected()
        if isinstance(client, Refused):
            return client
        topic = f"v2/things/{self._token}"
        errors = f"{topic}/errors"
        try:
            if self._level < 5:
                # Only there can MQTT 3 say why.
                asked = (SubscribeRequest(errors, 0),)
                await client.send(Subscribe(client.next_id(), asked))
                await client.answer(Suback)
            publish = Publish(topic, compact({"values": values}), 1, packet_id=client.next_id())
            await client.send(publish)
            answer = await client.answer(Puback)
            if self._level == 5:
                if answer.reason in (0, 0x10):
                    return None
                return self._refused(client, answer.reason, answer.properties)
            await client.ping()
        except GoneError:
            return self._refused(client, 0)
        told = [message for message in client.messages if message.topic == errors]
        for message in told:
            client.messages.remove(message)
        if not told:
            return None
        return Refused(Kind.SOMEHOW, json.loads(told[0].payload)["message"], told[0].payload)

    async def hear(self, resource=None, *, behind=None):
        client = await self._connected(behind)
        if isinstance(client, Refused):
            return client
        topic = f"v2/things/{self._token}" if resource is None else f"v2/me/resources/{resource}"
        ears = _Ears(client, topic, self._client_id)
        if behind is not None:
            return ears
        asked = (SubscribeRequest(topic, 0 if self._is_anonymous else 1),)
        try:
            await client.send(Subscribe(client.next_id(), asked))
            suback = await client.answer(Suback)
        except GoneError:
            return self._refused(client, 0)
        if isinstance(suback, Disconnect):
            return self._refused(client, suback.reason, suback.properties)
        if suback.reasons[0] >= 0x80:
            return self._refused(client, suback.reasons[0], suback.properties)
        return ears


class _Ears:
    def __init__(self, client: _Client, topic: str, client_id: str) -> None:
        self._client = client
        self._topic = topic
        self._client_id = client_id

    async def next(self):
        client = self._client
        message = client.messages.popleft() if client.messages else await client.packet()
        assert isinstance(message, Publish), message
        assert message.topic == self._topic
        return message.payload

    def _heard(self):
        heard = [message.payload for message in self._client.messages]
        self._client.messages.clear()
        return heard

    async def end(self):
        text = ""
        # A server that closed a socket with something unread in it resets the connection, which
        # overtakes what it said before.
        self._client.acknowledges = False
        try:
            goodbye = await self._client.answer(Disconnect)
            text = goodbye.properties.reason_string or ""
            await self._client.answer(Disconnect)
        except GoneError:
            pass
        return Ended(text, self._heard())

    async def unsubscribe(self):
        client = self._client
        await client.send(Unsubscribe(client.next_id(), (self._topic,)))
        await client.answer(Unsuback)
        return self._heard()

    async def place(self):
        # Everything that was heard is acknowledged, and that has arrived.
        await self._client.ping()
        return self._client_id

    def pause(self):
        pause(self._client.carrier.transport)

    def resume(self):
        resume(self._client.carrier.transport)
