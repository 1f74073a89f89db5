"""A raw MQTT client: any packet, any bytes, over TCP, TLS or a WebSocket.

It decodes with the product's own codec, turned round; `tests/e2e/clients` has clients that
nobody here wrote.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed

from support.mqtt_packets import client_bytes
from support.wire import PATIENCE_SECONDS
from thingstead import listeners
from thingstead.transports.mqtt.codec import (
    FROM_SERVER,
    NO_PROPERTIES,
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
)
from thingstead.transports.mqtt.limits import MQTTLimits
from thingstead.transports.mqtt.listener import MQTTServer


class StreamWire:
    """Bytes over TCP or TLS."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    async def read(self):
        try:
            return await self.reader.read(65_536)
        except ConnectionError:
            return b""

    async def write(self, data):
        self.writer.write(data)
        with suppress(ConnectionError):
            await self.writer.drain()

    async def close(self):
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    def cut(self):
        self.writer.transport.abort()


class WebSocketWire:
    """Bytes in binary WebSocket messages."""

    def __init__(self, socket):
        self.socket = socket

    async def read(self):
        try:
            return await self.socket.recv()
        except ConnectionClosed:
            return b""

    async def write(self, data):
        await self.socket.send(data)

    async def close(self):
        await self.socket.close()

    def cut(self):
        self.socket.transport.abort()


class Client:
    """One connection; `level` is 3, 4 or 5."""

    def __init__(self, wire, level):
        self.wire = wire
        self.level = level
        self._decoder = Decoder(2**28, side=FROM_SERVER)
        self._decoder.level = level
        self._packets = []
        self._ids = itertools.cycle(range(1, 65_536))

    async def send(self, *packets):
        await self.send_bytes(b"".join(client_bytes(packet, self.level) for packet in packets))

    async def send_bytes(self, data):
        await self.wire.write(data)

    async def next(self):
        """The next packet, None when the server has closed."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self._packets:
                data = await self.wire.read()
                if not data:
                    return None
                self._packets += self._decoder.feed(data)
        return self._packets.pop(0)

    async def expect(self, kind):
        packet = await self.next()
        assert isinstance(packet, kind), packet
        return packet

    async def connect(
        self,
        client_id="",
        *,
        token=None,
        is_clean=True,
        keep_alive_s=0,
        will=None,
        properties=NO_PROPERTIES,
        expiry_s=None,
    ):
        """The CONNACK; with a token as the user name."""
        if expiry_s is not None:
            properties = Properties(session_expiry_s=expiry_s)
        await self.send(
            Connect(
                self.level,
                client_id or ("c" if self.level == 3 else ""),
                is_clean,
                keep_alive_s,
                user_name=token,
                will=will,
                properties=properties,
            )
        )
        return await self.expect(Connack)

    def new_id(self):
        return next(self._ids)

    async def publish(self, topic, payload, qos=1, **more):
        """The PUBACK of a QoS 1 message; with QoS 0 nothing is awaited."""
        if not isinstance(payload, bytes):
            payload = json.dumps(payload).encode()
        packet_id = (more.pop("packet_id", None) or self.new_id()) if qos else None
        await self.send(Publish(topic, payload, qos, packet_id=packet_id, **more))
        if qos == 1:
            answer = await self.expect(Puback)
            assert answer.packet_id == packet_id
            return answer
        return None

    async def subscribe(self, *filters, qos=1, no_local=False, identifier=None):
        """The SUBACK."""
        identifiers = () if identifier is None else (identifier,)
        requests = tuple(SubscribeRequest(text, qos, no_local) for text in filters)
        properties = Properties(subscription_identifiers=identifiers)
        packet_id = self.new_id()
        await self.send(Subscribe(packet_id, requests, properties))
        answer = await self.expect(Suback)
        assert answer.packet_id == packet_id
        return answer

    async def unsubscribe(self, *filters):
        packet_id = self.new_id()
        await self.send(Unsubscribe(packet_id, filters))
        return await self.expect(Unsuback)

    async def ping(self):
        """Everything that came before the answers to two pings.

        A ping overtakes what the server is still at; the second one leaves it a turn.
        """
        before = []
        for _ in range(2):
            await self.send(Pingreq())
            while not isinstance(packet := await self.next(), Pingresp):
                assert packet is not None
                before.append(packet)
        return before

    async def until_now(self):
        """Everything that came while the server carried out all that was sent before."""
        packet_id = self.new_id()
        await self.send(Unsubscribe(packet_id, ("nothing",)))
        before = []
        while not isinstance(packet := await self.next(), Unsuback):
            assert packet is not None
            before.append(packet)
        return before + await self.ping()

    async def message(self, *, is_acknowledged=True):
        """The next message, acknowledged if it wants to be."""
        packet = await self.expect(Publish)
        if packet.qos and is_acknowledged:
            await self.send(Puback(packet.packet_id))
        return packet

    async def values(self, **more):
        """The values of the next message."""
        return [one["value"] for one in json.loads((await self.message(**more)).payload)]

    async def end(self):
        """The DISCONNECT with which the server closes, None without one; the rest is dropped."""
        last = None
        while (packet := await self.next()) is not None:
            last = packet
        return last if isinstance(last, Disconnect) else None

    async def leave(self, properties=NO_PROPERTIES, reason=0):
        """Say goodbye, and wait until the server has heard it."""
        await self.send(Disconnect(reason, properties))
        await self.end()

    def cut(self):
        """Break the connection."""
        self.wire.cut()


@asynccontextmanager
async def connection(port, level=4, *, tls=None) -> AsyncIterator[Client]:
    """A connection on which nothing was sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    client = Client(StreamWire(reader, writer), level)
    try:
        yield client
    finally:
        await client.wire.close()


@asynccontextmanager
async def websocket(address, level=4, *, subprotocols=("mqtt",)) -> AsyncIterator[Client]:
    """The same over a WebSocket of the HTTP port."""
    url = f"ws://{address.host}:{address.port}/mqtt"
    async with connect_websocket(url, proxy=None, subprotocols=list(subprotocols)) as socket:
        yield Client(WebSocketWire(socket), level)


@asynccontextmanager
async def connected(port, level=4, client_id="", *, tls=None, **more) -> AsyncIterator[Client]:
    """A client that was accepted."""
    async with connection(port, level, tls=tls) as client:
        answer = await client.connect(client_id, **more)
        assert answer.reason == 0, answer
        client.connack = answer
        yield client


@asynccontextmanager
async def mqtt_on(platform, **limits):
    """A further MQTT server of the platform, with limits of its own; yields it and its port."""
    server = MQTTServer(listeners._mqtt_services(platform), MQTTLimits(**limits))
    listener = listeners.open_listener("127.0.0.1", 0)
    port = listener.getsockname()[1]
    await server.listen(listener)
    try:
        yield server, port
    finally:
        await server.drain()


def let_pass(server, seconds):
    """Have the server look at its clients as if so much time had passed."""
    now = server.broker.now() + seconds
    for connection in tuple(server.broker._connections):
        connection.look_at_time(now)


async def noticed_leaving(server):
    """Wait until the server knows that its clients are gone."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(server.broker):  # noqa: ASYNC110  # Nobody tells.
            await asyncio.sleep(0)


def thing_topic(token, rest=""):
    return f"v2/things/{token}{'/' if rest else ''}{rest}"


def resource_topic(token, key="k"):
    return f"v2/things/{token}/resources/{key}"
