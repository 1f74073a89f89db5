"""A device that speaks UDP."""

import asyncio

from support.wire import PATIENCE_SECONDS


class UDPDevice(asyncio.DatagramProtocol):
    """A socket that sends datagrams to the gateway and reads the bytes that come back."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, _addr):
        self.answers.put_nowait(data)

    async def ask(self, data):
        self.transport.sendto(data)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.answers.get()
