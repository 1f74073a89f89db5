"""A process that writes at a steady rate until it gets SIGTERM, then tells how long answers took.

Requests become due by the clock, not by the answer before, and their time counts from when
they were due: a server that stalls cannot hide it by slowing its client down. Connections
take turns, and one that the server closed is replaced.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import signal
import time
from pathlib import Path
from typing import cast

_BODY = b'{"values":[{"key":"temperature","value":21.5}]}'
_TICK_S = 0.001
_MOST_WAITING = 20_000
_REOPEN_S = 0.01


class Tally:
    """What became of the requests."""

    def __init__(self) -> None:
        self.latencies_ms: list[float] = []
        self.refused = 0
        self.lost = 0

    def as_json(self, seconds: float) -> str:
        """Return the sums and percentiles."""
        ordered = sorted(self.latencies_ms) or [0.0]
        return json.dumps(
            {
                "answered": len(self.latencies_ms),
                "refused": self.refused,
                "lost": self.lost,
                "per_s": len(self.latencies_ms) / seconds,
                "p50_ms": ordered[len(ordered) // 2],
                "p99_ms": ordered[int(len(ordered) * 0.99)],
                "p999_ms": ordered[int(len(ordered) * 0.999)],
                "longest_ms": ordered[-1],
            }
        )


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request under way at most."""

    def __init__(self, writer: "SteadyWriter") -> None:
        self._writer = writer
        self._transport: asyncio.Transport | None = None
        self._due = 0.0
        self._is_busy = False

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent; uvloop raises when a closed transport is written to."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Offer the connection for requests."""
        # uvloop's transports have the methods, but not the base class.
        self._transport = cast("asyncio.Transport", transport)
        self._writer.is_open(self)

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was due at that time."""
        self._due = due
        self._is_busy = True
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer; ours come in one piece."""
        if not self._is_busy:
            return  # what a server says before it closes an idle connection
        self._is_busy = False
        if data.startswith(b"HTTP/1.1 201"):
            self._writer.tally.latencies_ms.append((time.monotonic() - self._due) * 1e3)
        else:
            self._writer.tally.refused += 1
        self._writer.is_free(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Count the request that will have no answer."""
        self._transport = None
        if self._is_busy:
            self._is_busy = False
            self._writer.tally.lost += 1
        self._writer.is_closed(self)


class SteadyWriter:
    """Makes requests due and hands them to free connections."""

    def __init__(self, port: int, tokens: list[str], per_s: float, connections: int) -> None:
        self.tally = Tally()
        self._requests = [
            b"POST /v2/things/%b HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (token.encode("ascii"), len(_BODY), _BODY)
            for token in tokens
        ]
        self._port = port
        self._per_s = per_s
        self._most_open = connections
        self._open = 0
        self._next = 0
        self._free: collections.deque[Connection] = collections.deque()
        self._due: collections.deque[float] = collections.deque()

    def is_open(self, connection: Connection) -> None:
        """Count a new connection and use it."""
        self._open += 1
        self.is_free(connection)

    def is_free(self, connection: Connection) -> None:
        """Give the connection the next due request, or keep it."""
        if not connection.is_usable:
            return
        if self._due:
            self._send(connection, self._due.popleft())
        else:
            self._free.append(connection)

    def is_closed(self, connection: Connection) -> None:
        """Forget the connection; `keep_open` will replace it."""
        self._open -= 1
        with contextlib.suppress(ValueError):
            self._free.remove(connection)

    async def open(self) -> None:
        """Open all connections.

        Raises:
            OSError: nobody accepts them.
        """
        for _ in range(self._most_open):
            await self._connect()

    async def keep_open(self) -> None:
        """Replace closed connections for ever, at a pace that a server bears that closes all."""
        while True:
            await asyncio.sleep(_REOPEN_S)
            if self._open < self._most_open:
                with contextlib.suppress(OSError):
                    await self._connect()

    async def run(self, stopped: asyncio.Event) -> float:
        """Write until stopped; return the seconds that took."""
        begun = time.monotonic()
        made = 0
        while not stopped.is_set():
            now = time.monotonic()
            while made < (now - begun) * self._per_s:
                due = begun + made / self._per_s
                made += 1
                connection = self._take()
                if connection is not None:
                    self._send(connection, due)
                elif len(self._due) < _MOST_WAITING:
                    self._due.append(due)
                else:
                    self.tally.lost += 1
            await asyncio.sleep(_TICK_S)
        if not self._open:
            self.tally.lost += len(self._due)
        return time.monotonic() - begun

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._port)

    def _take(self) -> Connection | None:
        """Return the connection that was free for longest, so that none is closed as idle."""
        while self._free:
            connection = self._free.popleft()
            if connection.is_usable:
                return connection
        return None

    def _send(self, connection: Connection, due: float) -> None:
        connection.send(self._requests[self._next], due)
        self._next = (self._next + 1) % len(self._requests)


async def write(port: int, tokens: list[str], per_s: float, connections: int) -> None:
    """Write until SIGTERM, then print the tally."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    writer = SteadyWriter(port, tokens, per_s, connections)
    await writer.open()
    print("ready", flush=True)
    keeper = asyncio.create_task(writer.keep_open())
    try:
        seconds = await writer.run(stopped)
    finally:
        keeper.cancel()
    print(writer.tally.as_json(seconds), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tokens", type=Path, required=True)
    parser.add_argument("--per-second", type=float, default=2_000.0)
    parser.add_argument("--connections", type=int, default=256)
    given = parser.parse_args()
    runner = asyncio.Runner()
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with runner:
        tokens = given.tokens.read_text().split()
        runner.run(write(given.port, tokens, given.per_second, given.connections))


if __name__ == "__main__":
    main()
