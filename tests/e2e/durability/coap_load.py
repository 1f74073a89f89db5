"""The writer of `load.py` over CoAP: confirmable requests, many of which are sent again.

A request goes out again under its message id, as RFC 7252 4.2 has it: when no answer came, and
by chance at once or behind its answer, as a network that doubles datagrams does it. The server
knows a message again as long as its process lives, so that none of these may be stored twice
even without times of their own. What is in doubt when the process ends is never sent again here.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from e2e.durability.load import Sent, Writer
from support.coap import CON, EMPTY, POST, Packet, Peer, decode, request
from support.wire import Address

_WAIT_SECONDS = 0.5
_AT_ONCE = 0.2
_LATER = 0.1
_CREATED = 0x41


class CoAPWriter(Writer):
    """One socket that writes until nobody has the server's port."""

    async def write_until_it_breaks(self, address: Address) -> None:
        with contextlib.suppress(ConnectionError):
            async with _socket_to(address) as peer:
                while True:
                    await self._write(peer, self._next())

    async def _write(self, peer: "_Peer", sent: Sent) -> None:
        packet = request(POST, f"/v2/things/{sent.token}", payload=sent.body())
        # The token tells the answers apart, also those that come by themselves.
        packet.token = packet.message_id.to_bytes(2, "big")
        self._ledger.sent.append(sent)
        peer.send(packet)
        if self._chance.random() < _AT_ONCE:
            peer.send(packet)
        answer = await self._answer(peer, packet)
        if answer.code == _CREATED:
            self._ledger.acknowledged.append(sent)
        else:
            self._ledger.refused.append((sent, answer.payload))
        if self._chance.random() < _LATER:
            peer.send(packet)

    async def _answer(self, peer: "_Peer", packet: Packet) -> Packet:
        while True:
            try:
                async with asyncio.timeout(_WAIT_SECONDS):
                    got = await peer.next()
            except TimeoutError:
                # Also what was received already: only so is it noticed that the server is dead.
                peer.send(packet)
                continue
            if got.kind == CON:
                peer.acknowledge(got)
            if got.token == packet.token and got.code != EMPTY:
                return got


class _Peer(Peer):
    """A socket that learns that the server's is closed."""

    def error_received(self, exc: Exception) -> None:
        self.received.put_nowait(b"")

    async def next(self) -> Packet:
        if not (raw := await self.received.get()):
            raise ConnectionRefusedError
        return decode(raw)


@contextlib.asynccontextmanager
async def _socket_to(address: Address) -> AsyncIterator[_Peer]:
    transport, peer = await asyncio.get_running_loop().create_datagram_endpoint(
        _Peer, remote_addr=(address.host, address.port)
    )
    try:
        yield peer
    finally:
        transport.close()
