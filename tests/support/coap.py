"""CoAP datagram by datagram, and a CoAP server beside the one that a test has in its loop."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from support.in_process import Served
from thingstead.transports.coap.device import CoAPServices
from thingstead.transports.coap.limits import CoAPLimits
from thingstead.transports.coap.routes import Route
from thingstead.transports.coap.server import CoAPServer

PATIENCE_SECONDS = 20
CON, NON, ACK, RST = range(4)
EMPTY, GET, POST, PUT, DELETE, FETCH = range(6)
OBSERVE, URI_PATH, CONTENT_FORMAT, MAX_AGE, URI_QUERY = 6, 11, 12, 14, 15
ACCEPT, BLOCK2, BLOCK1, SIZE2, PROXY_URI, SIZE1 = 17, 23, 27, 28, 35, 60
ETAG, ECHO, NO_RESPONSE = 4, 252, 258
_ids = itertools.count(1)


@dataclass
class Packet:
    kind: int
    code: int
    message_id: int = field(default_factory=lambda: next(_ids) % 65_536)
    token: bytes = b"\x01"
    options: list[tuple[int, bytes]] = field(default_factory=list)
    payload: bytes = b""

    @property
    def status(self) -> str:
        """The code with its dot, such as 2.05."""
        return f"{self.code >> 5}.{self.code & 31:02}"

    def option(self, number: int) -> bytes | None:
        return next((value for known, value in self.options if known == number), None)

    def number(self, number: int) -> int | None:
        value = self.option(number)
        return None if value is None else int.from_bytes(value, "big")

    def encode(self) -> bytes:
        raw = bytes([0x40 | self.kind << 4 | len(self.token), self.code])
        raw += self.message_id.to_bytes(2, "big") + self.token
        before = 0
        for number, value in sorted(self.options, key=lambda option: option[0]):
            delta, delta_more = _shortened(number - before)
            length, length_more = _shortened(len(value))
            raw += bytes([delta << 4 | length]) + delta_more + length_more + value
            before = number
        return raw + (b"\xff" + self.payload if self.payload else b"")


def decode(raw: bytes) -> Packet:
    token_end = 4 + (raw[0] & 15)
    options, at, number = [], token_end, 0
    while at < len(raw) and raw[at] != 0xFF:
        first, at = raw[at], at + 1
        delta, at = _lengthened(raw, first >> 4, at)
        length, at = _lengthened(raw, first & 15, at)
        number += delta
        options.append((number, raw[at : at + length]))
        at += length
    message_id = int.from_bytes(raw[2:4], "big")
    return Packet(raw[0] >> 4 & 3, raw[1], message_id, raw[4:token_end], options, raw[at + 1 :])


def request(code, path, *, kind=CON, options=(), payload=b"", **members) -> Packet:
    """A request; `path` may hold a query, which goes into Uri-Query."""
    path, _, query = path.partition("?")
    named = [(URI_PATH, part.encode()) for part in path.strip("/").split("/")]
    named += [(URI_QUERY, part.encode()) for part in query.split("&") if part]
    return Packet(kind, code, options=[*named, *options], payload=payload, **members)


def block(number: int, more: bool, exponent: int) -> bytes:
    value = number << 4 | more << 3 | exponent
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


class Peer(asyncio.DatagramProtocol):
    """One socket of a client that does exactly what the test says."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.received.put_nowait(data)

    def error_received(self, exc):
        pass

    def send(self, packet: Packet) -> Packet:
        self.transport.sendto(packet.encode())
        return packet

    async def receive(self) -> Packet:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return decode(await self.received.get())

    async def ask(self, packet: Packet) -> Packet:
        """What answers a request; what only acknowledges is passed over."""
        self.send(packet)
        while (answer := await self.receive()).code == EMPTY and answer.kind != RST:
            pass
        if answer.kind == CON:
            self.acknowledge(answer)
        return answer

    def acknowledge(self, packet: Packet) -> None:
        self.send(Packet(ACK, EMPTY, packet.message_id, b""))

    def reject(self, packet: Packet) -> None:
        self.send(Packet(RST, EMPTY, packet.message_id, b""))

    async def is_silent(self) -> bool:
        """Whether nothing came before the answer to a ping that was sent now."""
        ping = self.send(Packet(CON, EMPTY, token=b""))
        answer = await self.receive()
        return (answer.kind, answer.message_id) == (RST, ping.message_id)


@asynccontextmanager
async def peer_of(server: CoAPServer) -> AsyncIterator[Peer]:
    loop = asyncio.get_running_loop()
    transport, peer = await loop.create_datagram_endpoint(
        Peer, remote_addr=("127.0.0.1", server.port)
    )
    try:
        yield peer
    finally:
        transport.close()


def services_of(served: Served) -> CoAPServices:
    platform = served.platform
    return CoAPServices(
        platform.things,
        platform.values,
        platform.magic,
        platform.tags,
        platform.links,
        platform.streams,
        platform.clock,
    )


@asynccontextmanager
async def coap_of(
    served: Served, limits: CoAPLimits | None = None, *more_routes: Route
) -> AsyncIterator[CoAPServer]:
    """A CoAP server on a free port of 127.0.0.1."""
    server = CoAPServer(services_of(served), limits, more_routes=more_routes)
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.drain()


def _shortened(number: int) -> tuple[int, bytes]:
    if number < 13:
        return number, b""
    if number < 269:
        return 13, bytes([number - 13])
    return 14, (number - 269).to_bytes(2, "big")


def _lengthened(raw: bytes, nibble: int, at: int) -> tuple[int, int]:
    if nibble < 13:
        return nibble, at
    if nibble == 13:
        return raw[at] + 13, at + 1
    return int.from_bytes(raw[at : at + 2], "big") + 269, at + 2
