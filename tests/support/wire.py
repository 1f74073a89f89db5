"""A client that sends exactly the bytes it is told to and reads answers strictly.

A wrong frame fails the test that reads it. Every wait is bounded by `PATIENCE_SECONDS`.
"""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int


@dataclass
class Answer:
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    head: bytes = b""
    chunks: list[bytes] = field(default_factory=list)

    def get(self, name: str) -> str | None:
        """The value of a header that must not stand twice."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, f"{name} stands {len(found)} times"
        return found[0] if found else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return self.json["message"]

    @property
    def without_date(self) -> bytes:
        """The whole answer as it came, but for its Date line."""
        lines = self.head.split(b"\r\n")
        return b"\r\n".join(line for line in lines if not line.startswith(b"Date:")) + self.body


def compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def request(
    method: str,
    target: str,
    body: object = None,
    headers: dict[str, str] | None = None,
) -> bytes:
    """A whole request; a body that is not bytes becomes compact JSON."""
    fields = {"Host": "test"}
    raw = b""
    if body is not None:
        raw = body if isinstance(body, bytes) else compact(body)
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(raw))}
    elif method in {"POST", "PUT"}:
        fields |= {"Content-Length": "0"}
    fields |= headers or {}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + raw


def values(*members: tuple[str, object], **common: object) -> dict[str, object]:
    """A write's body; `common` members (`datetime`, `geo`) are added to each value."""
    return {"values": [{"key": key, "value": value, **common} for key, value in members]}


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            for piece in pieces:
                self.writer.write(piece)
                await self.writer.drain()
                # Gives a server in the same loop the chance to see the pieces apart.
                for _ in range(3):
                    await asyncio.sleep(0)

    async def read_head(self) -> Answer:
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        version, status, reason = first.split(" ", 2)
        assert version == "HTTP/1.1", first
        headers = [tuple(line.split(": ", 1)) for line in lines]
        return Answer(int(status), reason, headers, head=head)

    async def read_chunk(self) -> bytes:
        async with asyncio.timeout(PATIENCE_SECONDS):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            block = await self.reader.readexactly(size + 2)
        assert block.endswith(b"\r\n")
        return block[:-2]

    async def next_document(self) -> Any:
        """The next chunk of a stream, which must be one JSON document."""
        return json.loads(await self.read_chunk())

    async def next_values(self) -> list[dict[str, Any]]:
        """The next chunk of a stream that is no keep-alive."""
        while (document := await self.next_document()) == {}:
            pass
        assert isinstance(document, list), document
        return document

    async def read(self, *, to_head: bool = False) -> Answer:
        """One answer; `to_head` for one to a HEAD request, which has no body."""
        got = await self.read_head()
        if to_head or got.status in (204, 304):
            return got
        if got.get("Transfer-Encoding") is not None:
            while chunk := await self.read_chunk():
                got.chunks.append(chunk)
            got.body = b"".join(got.chunks)
            return got
        async with asyncio.timeout(PATIENCE_SECONDS):
            length = got.get("Content-Length")
            if length is None:
                got.body = await self.reader.read()
            else:
                got.body = await self.reader.readexactly(int(length))
        return got

    async def ask(
        self,
        method: str,
        target: str,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        await self.send(request(method, target, body, headers))
        return await self.read(to_head=method == "HEAD")

    async def rest(self) -> bytes:
        """What comes until the server closes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.reader.read()

    def half_close(self) -> None:
        self.writer.write_eof()

    def abort(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def connect(
    address: Address, tls: ssl.SSLContext | None = None, *, source: str | None = None
) -> AsyncIterator[Wire]:
    """A connection; `source` is the address of this machine that it comes from."""
    reader, writer = await asyncio.wait_for(
        asyncio.open_connection(
            address.host,
            address.port,
            limit=2**23,
            ssl=tls,
            server_hostname="localhost" if tls else None,
            local_addr=(source, 0) if source else None,
        ),
        PATIENCE_SECONDS,
    )
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()
        # The transport closes its socket in the loop's next turn.
        await asyncio.sleep(0)


async def ask(
    address: Address,
    method: str,
    target: str,
    body: object = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request on a connection of its own."""
    async with connect(address) as wire:
        return await wire.ask(method, target, body, headers)


@asynccontextmanager
async def subscribed(address: Address, token: str, query: str = "") -> AsyncIterator[Wire]:
    """A live stream whose confirmation has been read."""
    async with connect(address) as wire:
        await wire.send(request("GET", f"/v2/things/{token}{query}"))
        head = await wire.read_head()
        assert head.status == 200, head
        assert await wire.next_document() == {"status": "success", "message": "subscribed"}
        yield wire
