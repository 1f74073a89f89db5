"""A real server in the test's process, and a client that sends raw bytes to it.

Read on in `tests/e2e/http_edge/test_quirks.py` for how rows are written.
"""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

import uvicorn

from thingstead.transports.http.protocol import Edge, EdgeLimits, Sweeper, protocol_class

PATIENCE_SECONDS = 10


def quick_edge(**changes: Any) -> Edge:
    """An edge whose sweeper looks every 5 ms; any limit and these may be given."""
    parts = {name: changes.pop(name) for name in ("lane", "upgrades", "peers") if name in changes}
    changes = {"linger_seconds": 2.0} | changes
    return Edge(limits=EdgeLimits(**changes), sweeper=Sweeper(0.005), **parts)


class Echo:
    """An app that answers what it saw, and remembers every request."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bytes]] = []

    async def __call__(self, scope, receive, send) -> None:
        body = await read_body(receive)
        self.seen.append((scope["method"], scope["raw_path"].decode(), body))
        await answer(
            send,
            json.dumps(
                {
                    "method": scope["method"],
                    "path": scope["path"],
                    "query": scope["query_string"].decode(),
                    "body": body.decode("latin-1"),
                    "headers": {k.decode(): v.decode("latin-1") for k, v in scope["headers"]},
                }
            ).encode(),
        )


async def read_body(receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return body
        body += message["body"]
        if not message["more_body"]:
            return body


async def answer(send, body: bytes = b"{}", status: int = 200, headers=()) -> None:
    headers = [
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(body)),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Answer:
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def get(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection; reads answers strictly, so that a wrong frame fails the test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await turns()

    async def read_head(self) -> Answer:
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        version, status, reason = first.split(" ", 2)
        assert version == "HTTP/1.1"
        return Answer(int(status), reason, [tuple(line.split(": ", 1)) for line in lines])

    async def read_chunk(self) -> bytes:
        async with asyncio.timeout(PATIENCE_SECONDS):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            data = await self.reader.readexactly(size + 2)
        assert data.endswith(b"\r\n")
        return data[:-2]

    async def read(self, *, has_body: bool = True) -> Answer:
        got = await self.read_head()
        if not has_body or got.status in (204, 304):
            return got
        async with asyncio.timeout(PATIENCE_SECONDS):
            if got.get("Transfer-Encoding"):
                while chunk := await self.read_chunk():
                    got.body += chunk
            elif lengths := got.get("Content-Length"):
                got.body = await self.reader.readexactly(int(lengths[0]))
            else:
                got.body = await self.reader.read()
        return got

    async def rest(self) -> bytes:
        """What comes until the server closes; a reset counts as a close."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.reader.read()

    async def ask(self, *pieces: bytes) -> Answer:
        await self.send(*pieces)
        return await self.read()

    def abort(self) -> None:
        """Reset the connection, as a device that lost its power and came back does."""
        if self.writer.transport.is_closing():
            return
        socket = self.writer.get_extra_info("socket")
        socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class Rig:
    server: uvicorn.Server
    port: int
    tls: ssl.SSLContext | None = None
    clients: list[Client] = field(default_factory=list)

    async def connect(self) -> Client:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            limit=2**22,
            ssl=self.tls,
            server_hostname="localhost" if self.tls else None,
        )
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Client(reader, writer)
        self.clients.append(client)
        return client

    @property
    def connections(self) -> set[Any]:
        return self.server.server_state.connections


@asynccontextmanager
async def serve(app, edge: Edge | None = None, **config: Any) -> AsyncIterator[Rig]:
    client_tls = config.pop("client_tls", None)
    settings = uvicorn.Config(
        app,
        **{
            "host": "127.0.0.1",
            "port": 0,
            "http": protocol_class(edge or quick_edge()),
            "ws": "none",
            "lifespan": "off",
            "log_config": None,
        }
        | config,
    )
    settings.load()
    server = uvicorn.Server(settings)
    server.lifespan = settings.lifespan_class(settings)
    await server.startup()
    rig = Rig(server, server.servers[0].sockets[0].getsockname()[1], client_tls)
    try:
        yield rig
    finally:
        for listener in server.servers:
            listener.close()
        for client in rig.clients:
            client.abort()
        await until(lambda: not rig.connections)
        for task in list(server.server_state.tasks):
            task.cancel()
        await until(lambda: not server.server_state.tasks)


async def until(condition: Callable[[], object]) -> None:
    """Waits, loop turn by loop turn, for what other tasks will make true."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - many conditions have no event
            await asyncio.sleep(0.001)


async def turns(count: int = 5) -> None:
    """Lets the server see what was sent so far, so that pieces arrive apart."""
    for _ in range(count):
        await asyncio.sleep(0)
