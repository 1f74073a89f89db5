"""An MQTT client that does what it is told, and says nothing by itself."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from support.mqtt_packets import client_bytes
from thingstead.transports.mqtt.codec import FROM_SERVER, Connack, Connect, Decoder, Properties

_KEPT_S = 3_600
_PATIENCE_S = 20
BROKEN = (OSError, asyncio.IncompleteReadError, TimeoutError)
"""What a connection that is cut, or a server that is not there, raises."""


class MQTTClient:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, level: int
    ) -> None:
        self.transport = writer.transport
        self._reader = reader
        self._writer = writer
        self._level = level
        self._decoder = Decoder(10_000_000, side=FROM_SERVER)
        self._decoder.level = level
        self._packets: deque[Any] = deque()
        self.is_session_present = False

    async def send(self, *packets: object) -> None:
        self._writer.write(b"".join(client_bytes(one, self._level) for one in packets))
        await self._writer.drain()

    async def packet(self) -> Any:
        async with asyncio.timeout(_PATIENCE_S):
            while not self._packets:
                data = await self._reader.read(65_536)
                if not data:
                    raise ConnectionResetError("the server has closed the connection")
                self._packets += self._decoder.feed(data)
        return self._packets.popleft()


@asynccontextmanager
async def mqtt_client(
    port: int, level: int, *, client_id: str, token: str
) -> AsyncIterator[MQTTClient]:
    """A client of a kept session, connected; cut off at the end unless that was done."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        client = MQTTClient(reader, writer, level)
        properties = Properties(session_expiry_s=_KEPT_S) if level == 5 else Properties()
        await client.send(
            Connect(level, client_id, False, 60, user_name=token, properties=properties)
        )
        connack = await client.packet()
        if not isinstance(connack, Connack) or connack.reason:
            raise ConnectionRefusedError(connack)
        client.is_session_present = connack.is_session_present
        yield client
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
