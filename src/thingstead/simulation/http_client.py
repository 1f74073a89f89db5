"""A small HTTP/1.1 client: POST with JSON, kept-alive connections, a bound on their number.

Only what the remote fleet needs, on asyncio's streams, because the installed package brings
no HTTP client. It never repeats a request by itself; `NoAnswerError.was_sent` tells the caller
whether a repeat could store something twice. RFC 9112 is what it follows.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

_MAX_HEAD_BYTES = 32 * 1024
_MAX_BODY_BYTES = 1024 * 1024
# What else may stand in a URL would break the request line that it becomes part of.
_PLAIN = re.compile(r"[!-~]+")
_FAILURES = (OSError, EOFError, asyncio.LimitOverrunError, ValueError, TimeoutError)


class NoAnswerError(Exception):
    """The server gave no usable answer; the text says why, in a few words."""

    def __init__(self, reason: str, *, was_sent: bool) -> None:
        super().__init__(reason)
        self.was_sent = was_sent


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a server is: from its URL."""

    host: str
    port: int
    is_tls: bool
    authority: str
    path: str

    @classmethod
    def of(cls, url: str) -> "Origin":
        """Return the origin that the URL names.

        Raises:
            ValueError: it is no http or https URL with a host.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("expected a URL such as http://localhost:8000")
        if parts.username or parts.query or parts.fragment or not _PLAIN.fullmatch(url):
            raise ValueError("expected only scheme, host, port and path")
        is_tls = parts.scheme == "https"
        port = parts.port or (443 if is_tls else 80)
        return cls(parts.hostname, port, is_tls, parts.netloc, parts.path.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HTTPClient:
    """Sends requests to one server over at most `connections` connections at once."""

    def __init__(self, origin: Origin, *, connections: int = 64, timeout_s: float = 10.0) -> None:
        self._origin = origin
        self._timeout_s = timeout_s
        self._free = asyncio.Semaphore(connections)
        self._idle: list[_Connection] = []
        self._tls = ssl.create_default_context() if origin.is_tls else None

    async def check(self) -> None:
        """Raise NoAnswerError unless the server accepts connections."""
        async with self._free, self._connection():
            pass

    async def post(self, path: str, body: bytes) -> Answer:
        """Send the JSON and return the answer, whatever its status.

        Raises:
            NoAnswerError: there was no connection, no answer in time, or no HTTP.
        """
        head = (
            f"POST {self._origin.path}{path} HTTP/1.1\r\nHost: {self._origin.authority}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        async with self._free, self._connection() as connection:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await connection.exchange(head.encode("ascii") + body)
            except _FAILURES as exc:
                raise NoAnswerError(_reason(exc), was_sent=True) from exc

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    @asynccontextmanager
    async def _connection(self) -> "AsyncIterator[_Connection]":
        """Lend an idle connection or a new one; take it back if it can be used again."""
        connection = None
        while self._idle and connection is None:
            connection = self._idle.pop()
            if connection.is_ended():
                connection.close()
                connection = None
        if connection is None:
            connection = await self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if connection.is_reusable:
            self._idle.append(connection)
        else:
            connection.close()

    async def _connect(self) -> "_Connection":
        origin = self._origin
        try:
            async with asyncio.timeout(self._timeout_s):
                reader, writer = await asyncio.open_connection(
                    origin.host, origin.port, ssl=self._tls, limit=_MAX_HEAD_BYTES
                )
        except _FAILURES as exc:
            raise NoAnswerError(_reason(exc), was_sent=False) from exc
        return _Connection(reader, writer)


class _Connection:
    """One connection, used for one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.is_reusable = True

    def is_ended(self) -> bool:
        """Return whether the server has closed it."""
        return self._reader.at_eof() or self._writer.is_closing()

    def close(self) -> None:
        """Close it without waiting for anything."""
        self._writer.transport.abort()

    async def exchange(self, request: bytes) -> Answer:
        """Send a request and return its answer."""
        self._writer.write(request)
        await self._writer.drain()
        status, headers, is_kept = await self._head()
        while 100 <= status < 200:
            status, headers, is_kept = await self._head()
        body = await self._body(status, headers)
        self.is_reusable = self.is_reusable and is_kept
        return Answer(status, headers, body)

    async def _head(self) -> tuple[int, dict[str, str], bool]:
        return _parsed(await self._reader.readuntil(b"\r\n\r\n"))

    async def _body(self, status: int, headers: Mapping[str, str]) -> bytes:
        if status in {204, 304}:
            return b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return await self._chunks()
        if "content-length" in headers:
            return await self._exactly(int(headers["content-length"]))
        self.is_reusable = False
        return await self._reader.read(_MAX_BODY_BYTES)

    async def _chunks(self) -> bytes:
        body = b""
        while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await self._exactly(size, so_far=len(body))
            await self._reader.readexactly(2)
        while await self._reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return body

    async def _exactly(self, size: int, so_far: int = 0) -> bytes:
        if not 0 <= size <= _MAX_BODY_BYTES - so_far:
            raise ValueError("the answer is too large")
        return await self._reader.readexactly(size)


def _parsed(head: bytes) -> tuple[int, dict[str, str], bool]:
    """Return the status, the headers, and whether the connection is kept."""
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if version not in {"HTTP/1.1", "HTTP/1.0"}:
        raise ValueError("the answer is not HTTP/1.1")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    is_kept = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    return int(rest[:3]), headers, is_kept


def _reason(exc: Exception) -> str:
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    if isinstance(exc, ConnectionRefusedError):
        return "connection refused"
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {exc.verify_message}"
    if isinstance(exc, EOFError | ConnectionError):
        return "the connection was closed"
    if isinstance(exc, asyncio.LimitOverrunError):
        return "the answer's head is too large"
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
