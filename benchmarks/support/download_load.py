"""A process that downloads whole images over connections that stay, and tells how many a second.

wrk reads into a buffer of 8 KiB, which makes it slower than a server that sends a file. Here the
kernel counts what comes and throws it away (`MSG_TRUNC`, tcp(7)), so that the server is at its
end before this is. Somebody else compares the bytes once.

Reads one JSON object from the file that is named (`Asked`).
"""

import itertools
import json
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_WARM_UP_S = 1.0
_BUFFER = bytearray(4 * 1024 * 1024)
_HEAD_END = b"\r\n\r\n"
_SILENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What to download; each connection takes turns with its share of the targets."""

    port: int
    targets: list[str]
    connections: int
    size: int
    seconds: float


@dataclass(slots=True)
class Connection:
    """One connection with one download after the other; `left`: bytes of the body to come."""

    socket: socket.socket
    requests: Iterator[bytes]
    left: int = 0
    head: bytes = b""
    begun: float = 0.0

    def ask(self) -> None:
        """Begin a download."""
        self.begun = time.monotonic()
        self.head = b""
        self.socket.sendall(next(self.requests))

    def is_done(self, size: int) -> bool:
        """Take what has come; return whether that was the end of a download."""
        if self.left:
            self.left -= self._count()
            return not self.left
        self.head += self.socket.recv(4_096) or _gone()
        head, end, rest = self.head.partition(_HEAD_END)
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 200 ") or b"%d" % size not in head:
            raise RuntimeError(f"answered otherwise: {head[:100]!r} {rest[:200]!r}")
        self.left = size - len(rest)
        return not self.left

    def _count(self) -> int:
        return (
            self.socket.recv_into(_BUFFER, min(self.left, len(_BUFFER)), socket.MSG_TRUNC)
            or _gone()
        )


@dataclass(slots=True)
class Phase:
    """What was downloaded since it began."""

    times_s: list[float] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)
    cpu_s: float = field(default_factory=time.process_time)

    def told(self) -> dict[str, object]:
        """Return it for the benchmark."""
        return {
            "times_s": self.times_s,
            "seconds": time.monotonic() - self.begun,
            "client_cpu_s": time.process_time() - self.cpu_s,
        }


def main() -> None:
    asked = Asked(**json.loads(Path(sys.argv[1]).read_text()))
    poll = select.epoll()
    connections: dict[int, Connection] = {}
    host = f"127.0.0.1:{asked.port}"
    requests = [
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() for target in asked.targets
    ]
    for number in range(asked.connections):
        connected = socket.create_connection(("127.0.0.1", asked.port))
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections[connected.fileno()] = Connection(
            connected, itertools.cycle(requests[number :: asked.connections])
        )
        poll.register(connected, select.EPOLLIN)
    for connection in connections.values():
        connection.ask()
    try:
        _download(poll, connections, asked.size, _WARM_UP_S)
        _tell({"begin": "whole"})
        phase = _download(poll, connections, asked.size, asked.seconds)
        told = phase.told()
        _tell({"end": "whole"})
        _tell(told)
    except (OSError, RuntimeError) as exc:
        _tell({"error": str(exc)})


def _download(
    poll: select.epoll, connections: dict[int, Connection], size: int, seconds: float
) -> Phase:
    phase = Phase()
    until = phase.begun + seconds
    while time.monotonic() < until:
        ready = poll.poll(_SILENCE_S)
        if not ready:
            raise RuntimeError("nothing came any more")
        for descriptor, _ in ready:
            connection = connections[descriptor]
            if connection.is_done(size):
                phase.times_s.append(time.monotonic() - connection.begun)
                connection.ask()
    return phase


def _gone() -> int:
    raise RuntimeError("a connection was closed")


def _tell(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
