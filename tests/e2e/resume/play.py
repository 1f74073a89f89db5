"""What all parts of one run share: the server that comes and goes, what was sent, what is due.

A run has a rough part, in which connections break and the server is killed, and a calm one, in
which everybody listens until the last thing that was written has come.
"""

import asyncio
import contextlib
import itertools
import random
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from support.in_process import free_port
from support.process import ServerProcess, server_process
from support.wire import Address

DOCUMENT = "$settings"
_LIMITS = {
    f"THINGSTEAD_LIMITS_{name}": "1000000"
    for name in (
        "WRITES_PER_SECOND",
        "WRITE_BURST",
        "CALLS_PER_SECOND",
        "CALL_BURST",
        "BAD_SESSIONS_PER_MINUTE",
        "BAD_TOKENS_PER_MINUTE",
    )
}

Shown = tuple[tuple[str, int | None], ...]
"""Keys and numbers of one write in order; a document has no number, its key says it was there."""


@dataclass(eq=False)
class Sent:
    """One write; `thing` is the place of its thing in the list."""

    thing: int
    shown: Shown
    is_acknowledged: bool = False


@dataclass(eq=False)
class Relayed:
    """One message that is passed on, and when it was sent first and acknowledged."""

    thing: int
    number: int
    sent_at: float
    acknowledged_at: float | None = None


@dataclass
class Play:
    """One run. All times are those of `time.monotonic`."""

    folder: Path
    seed: int
    tokens: list[str] = field(default_factory=list)
    session: str = ""
    writes: list[Sent] = field(default_factory=list)
    objects: dict[int, bool] = field(default_factory=dict)
    """The numbers that objects were given, and whether that was acknowledged."""
    relayed: list[Relayed] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    stops: int = 0
    is_writing: bool = True
    is_calm: bool = False
    last: set[int] = field(default_factory=set)
    """The numbers that are written last, one on each road; set when it is calm."""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    http_port: int = field(default_factory=free_port)
    mqtt_port: int = field(default_factory=free_port)

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.http_port)

    def chance(self, name: str) -> random.Random:
        """Who draws for itself draws the same in each run of the seed, whatever others do."""
        return random.Random(f"{self.seed} {name}")

    def serve(self) -> "contextlib.AbstractContextManager[ServerProcess]":
        env = {**_LIMITS, "THINGSTEAD_MQTT_PORT": str(self.mqtt_port)}
        return server_process(self.folder, "--port", str(self.http_port), env=env)

    async def upset(self, server: ServerProcess, chance: random.Random) -> None:
        """End the server, at once or in order, at a moment that the seed chooses."""
        await asyncio.sleep(chance.uniform(0.5, 3.0))
        if chance.random() < 0.5:
            self.kills.append(time.monotonic())
            await asyncio.to_thread(server.kill)
            return
        self.stops += 1
        code = await asyncio.to_thread(server.stop)
        if code != 0:
            self.problems.append(f"the server ended with {code}")


def cut(transport: asyncio.Transport, chance: random.Random) -> None:
    """End a connection: by a reset, or so that what was sent before still arrives."""
    raw = transport.get_extra_info("socket")
    if raw is not None and chance.random() < 0.5:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def shown_of(values: list[dict[str, object]]) -> Shown:
    """What one array of a stream shows."""
    return tuple(
        (str(one["key"]), None if one["key"] == DOCUMENT else one["value"])  # type: ignore[misc]
        for one in values
    )


def numbers_of(shown: Shown) -> tuple[int, ...]:
    return tuple(number for _, number in shown if number is not None)
