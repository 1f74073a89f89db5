"""A process of clients that log in again and again until SIGTERM, then tells how it went.

Each client has one connection and waits for an answer before it asks again. A 503 is the
server's right while too many passwords wait: it is counted, and the client waits as long as
Retry-After says. After SIGTERM nothing new is sent, but every answer is awaited, so that
whoever measures next finds no password waiting.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import re
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

_ANSWER_S = 60.0
_REOPEN_S = 0.2
_BUSY = 503
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LogIn:
    """What to send, what it is called in the tally, and the status that answers it."""

    kind: str
    status: int
    body: str

    def request(self) -> bytes:
        """Return the bytes of the request."""
        body = self.body.encode("utf-8")
        return (
            b"POST /v2/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )


@dataclass(slots=True)
class Tally:
    """What became of the log-ins; `taken_ms` by kind, of those that were answered as expected."""

    taken_ms: dict[str, list[float]] = field(default_factory=lambda: collections.defaultdict(list))
    busy: int = 0
    unexpected: dict[str, int] = field(default_factory=lambda: collections.defaultdict(int))
    lost: int = 0

    def as_json(self, seconds: float) -> str:
        """Return it all, with the seconds that it took."""
        return json.dumps(
            {
                "seconds": seconds,
                "taken_ms": self.taken_ms,
                "busy": self.busy,
                "unexpected": self.unexpected,
                "lost": self.lost,
            }
        )


class Client:
    """One client with its own accounts, which it takes in turn."""

    def __init__(
        self, port: int, logins: list[LogIn], tally: Tally, stopped: asyncio.Event
    ) -> None:
        self._port = port
        self._logins = logins
        self._tally = tally
        self._stopped = stopped

    async def run(self, *, is_once: bool) -> None:
        """Log in until stopped, or once with each account; a closed connection is replaced."""
        waiting = collections.deque(self._logins)
        while waiting and not self._stopped.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                self._tally.lost += 1
                await self._pause(_REOPEN_S)
                continue
            with contextlib.closing(writer):
                while waiting and not self._stopped.is_set():
                    # What is under way when the connection breaks is not tried again.
                    login = waiting.popleft()
                    if not is_once:
                        waiting.append(login)
                    if not await self._log_in(login, reader, writer):
                        break

    async def _log_in(
        self, login: LogIn, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Log in; return whether the connection can be used again."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(_ANSWER_S):
                writer.write(login.request())
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                await reader.readexactly(int(length[1]) if length else 0)
        except (OSError, EOFError, TimeoutError):
            self._tally.lost += 1
            await self._pause(_REOPEN_S)
            return False
        status = int(head[9:12])
        if status == login.status:
            self._tally.taken_ms[login.kind].append((time.monotonic() - begun) * 1e3)
        elif status == _BUSY:
            self._tally.busy += 1
            wanted = _RETRY_AFTER.search(head)
            await self._pause(float(wanted[1]) if wanted else 1.0)
        else:
            self._tally.unexpected[f"{login.kind}: {status}"] += 1
        return b"connection: close" not in head.lower()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)


async def log_in(port: int, logins: list[LogIn], clients: int, *, is_once: bool) -> None:
    """Share the accounts out among the clients and let them go, then print the tally."""
    tally, stopped = Tally(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print("ready", flush=True)
    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for at in range(clients):
            client = Client(port, logins[at::clients], tally, stopped)
            group.create_task(client.run(is_once=is_once))
    print(tally.as_json(time.monotonic() - begun), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--logins", type=Path, required=True, help="JSON: [[kind, status, body]]")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--once", action="store_true", help="each account once, then end")
    given = parser.parse_args()
    logins = [LogIn(*one) for one in json.loads(given.logins.read_text())]
    asyncio.run(log_in(given.port, logins, given.clients, is_once=given.once))


if __name__ == "__main__":
    main()
