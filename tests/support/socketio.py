"""Socket.IO clients that do exactly what a test says, in both generations."""

import asyncio
import itertools
import json
from contextlib import asynccontextmanager

import websockets

from support.wire import PATIENCE_SECONDS, ask, connect


def split(eio, body):
    """The packets of a polling body, as the clients' libraries split it."""
    text = body.decode()
    if eio == 4:
        return text.split("\x1e")
    packets = []
    while text:
        length, _, rest = text.partition(":")
        packets.append(rest[: int(length)])
        text = rest[int(length) :]
    return packets


def joined(eio, packets):
    if eio == 4:
        return "\x1e".join(packets).encode()
    return "".join(f"{len(packet)}:{packet}" for packet in packets).encode()


class Polling:
    """A client that polls; one connection for what it sends, one for what it waits for."""

    def __init__(self, address, eio, sending, waiting):
        self.address = address
        self.eio = eio
        self.sid = None
        self._sending = sending
        self._waiting = waiting

    def target(self, more=""):
        sid = f"&sid={self.sid}" if self.sid else ""
        return f"/socket.io/?EIO={self.eio}&transport=polling{sid}{more}"

    async def post(self, *packets):
        return await self.post_raw(joined(self.eio, packets))

    async def post_raw(self, body, more="", **headers):
        headers = {"Content-Type": "text/plain;charset=UTF-8"} | headers
        return await self._sending.ask("POST", self.target(more), body, headers)

    async def send(self, *packets):
        got = await self.post(*packets)
        assert (got.status, got.body) == (200, b"ok"), got.body

    async def get(self, **headers):
        return await self._waiting.ask("GET", self.target(), headers=headers)

    async def receive(self):
        got = await self.get()
        assert got.status == 200, got.body
        assert got.get("Content-Type") == "text/plain; charset=UTF-8"
        return split(self.eio, got.body)


class Socket:
    """A client on a WebSocket."""

    def __init__(self, eio, socket):
        self.eio = eio
        self.socket = socket

    async def send(self, *packets):
        for packet in packets:
            await self.socket.send(packet)

    async def receive(self):
        async with asyncio.timeout(PATIENCE_SECONDS):
            return [await self.socket.recv()]


class App:
    """A client in the namespace; `acks` counts what it waits for."""

    def __init__(self, carrier):
        self.carrier = carrier
        self._packets = []
        self._acks = itertools.count()

    async def next(self):
        """The next packet that is no ping."""
        while True:
            while not self._packets:
                self._packets += await self.carrier.receive()
            packet = self._packets.pop(0)
            if packet == "2":
                await self.carrier.send("3")
            else:
                return packet

    async def event(self):
        packet = await self.next()
        assert packet.startswith("42/v2,"), packet
        name, argument = json.loads(packet.removeprefix("42/v2,"))
        return name, argument

    async def emit(self, name, argument):
        await self.carrier.send("42/v2," + json.dumps([name, argument]))

    async def ask(self, name, argument):
        """Emit, and return what the event of that name says."""
        await self.emit(name, argument)
        answered, document = await self.event()
        assert answered == name
        return document


async def begun(app, eio):
    opening = json.loads((await app.next()).removeprefix("0"))
    if eio == 3:
        assert await app.next() == "40"
    return opening


async def joined_namespace(app, eio):
    await app.carrier.send("40/v2" if eio == 3 else "40/v2,")
    packet = await app.next()
    assert packet.startswith("40/v2,")
    if eio == 4:
        assert set(json.loads(packet.removeprefix("40/v2,"))) == {"sid"}
    return app


@asynccontextmanager
async def opened(address, eio, transport="websocket"):
    """A connection that has begun."""
    if transport == "polling":
        async with connect(address) as sending, connect(address) as waiting:
            app = App(Polling(address, eio, sending, waiting))
            app.carrier.sid = (await begun(app, eio))["sid"]
            yield app
            # Otherwise it would be kept until it could have polled again.
            await ask(address, "POST", app.carrier.target(), joined(eio, ["1"]))
            return
    async with websocket(address, eio) as socket:
        app = App(Socket(eio, socket))
        await begun(app, eio)
        yield app


def websocket(address, eio, more=""):
    url = f"ws://{address.host}:{address.port}/socket.io/?EIO={eio}&transport=websocket{more}"
    return websockets.connect(url, compression=None)


@asynccontextmanager
async def in_namespace(address, eio, transport="websocket"):
    """A connection that has entered `/v2`."""
    async with opened(address, eio, transport) as app:
        yield await joined_namespace(app, eio)


async def all_left(server):
    """Wait until nobody listens any more."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(server.platform.live):  # noqa: ASYNC110  # Nothing tells of it.
            await asyncio.sleep(0)
