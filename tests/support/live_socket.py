"""A client of the live WebSocket, over the `websockets` library."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

PATIENCE_SECONDS = 20


class LiveClient:
    def __init__(self, socket) -> None:
        self.socket = socket

    async def say(self, kind, **members):
        await self.socket.send(json.dumps({"type": kind, **members}))

    async def hear(self):
        async with asyncio.timeout(PATIENCE_SECONDS):
            return json.loads(await self.socket.recv())

    async def ask(self, kind, **members):
        await self.say(kind, **members)
        return await self.hear()

    async def authenticate(self, token):
        assert await self.ask("authenticate", token=token) == {"type": "authenticated"}

    async def subscribe(self, resource=None, **members):
        """The confirmation of a subscription that must succeed."""
        named = {} if resource is None else {"resource": resource}
        heard = await self.ask("subscribe", **{"id": "s", **named, **members})
        assert heard["type"] == "subscribed", heard
        return heard

    async def end(self):
        """Code and reason with which the server closes; what it says before is dropped."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            with suppress(ConnectionClosed):
                while True:
                    await self.socket.recv()
        return self.socket.close_code, self.socket.close_reason


@asynccontextmanager
async def live_socket(address, *, query="", tls=None, **options):
    """A WebSocket that nobody has authenticated on, unless the query or a header does."""
    scheme = "ws" if tls is None else "wss"
    url = f"{scheme}://{address.host}:{address.port}/v2/live{query}"
    async with connect(url, proxy=None, ssl=tls, **options) as socket:
        yield LiveClient(socket)


@asynccontextmanager
async def authenticated(address, token, *, tls=None):
    """A WebSocket of whoever holds the token."""
    async with live_socket(address, tls=tls) as client:
        await client.authenticate(token)
        yield client
