"""What every road can be asked to do in the same words, and what it may answer.

A road's driver stands in `drivers/`; `roads.py` lists them with what each can. One driver holds
one token, a thing's or a session's, and one connection, opened with its first use. Nothing of
it raises for a refusal: it is what the driver returns.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Protocol

from support.in_process import Served


class Can(Enum):
    """What a road may be able to do."""

    WRITE = "take values"
    WHISPER = "take values that nobody is told of (broadcast=false)"
    READ = "give values that are stored"
    HEAR = "tell live of a thing"
    HEAR_RESOURCE = "tell live of a resource of all of a user's things"
    UNSUBSCRIBE = "end a subscription and stay open"
    RESUME = "go on where a subscription was cut"
    SAY_WHAT = "tell kinds of refusals apart"
    SAY_WHY = "say in words why a write was refused"
    SAY_END = "say in words why a subscription ended"


class Kind(StrEnum):
    """What kind of refusal it is; SOMEHOW on roads that cannot tell."""

    UNKNOWN = "unknown"
    INVALID = "invalid"
    TOO_MANY = "too many"
    BUSY = "busy"
    SOMEHOW = "somehow"


BY_HTTP_STATUS: Mapping[int, Kind] = {
    400: Kind.INVALID,
    401: Kind.UNKNOWN,
    404: Kind.UNKNOWN,
    429: Kind.TOO_MANY,
    503: Kind.BUSY,
}


@dataclass(frozen=True)
class Refused:
    """A refusal; `said` is all that came, but for what only repeats a name of the client's."""

    kind: Kind
    text: str = ""
    said: bytes = b""


@dataclass(frozen=True)
class Ended:
    """The end of a subscription, and the arrays that came before it."""

    text: str
    heard: list[bytes]


class Ears(Protocol):
    """One subscription that has been confirmed."""

    async def next(self) -> bytes:
        """The next array, as it came; fails when the subscription ends before."""
        ...

    async def end(self) -> Ended:
        """Listen until the subscription ends, and for a while longer where that is possible."""
        ...

    async def unsubscribe(self) -> list[bytes]:
        """End the subscription; the arrays that came before its confirmation."""
        ...

    async def place(self) -> object:
        """Behind which a later subscription has to go on; all that was heard is behind it."""
        ...

    def pause(self) -> None:
        """Read nothing more for now."""
        ...

    def resume(self) -> None:
        """Read again."""
        ...


class Driver(Protocol):
    """Speaks for one token on one road."""

    async def write(
        self, values: list[dict[str, Any]], *, is_broadcast: bool = True
    ) -> Refused | None:
        """Write; None when it was acknowledged."""
        ...

    async def read(self, key: str, limit: int) -> bytes | Refused:
        """The newest values, as they came."""
        ...

    async def hear(self, resource: str | None = None, *, behind: object = None) -> Ears | Refused:
        """Subscribe, to the token's thing or to a resource of the session's user; once only."""
        ...


_SMALL_BUFFER, _LARGE_BUFFER = 64 * 1024, 1024 * 1024

Make = Callable[[Served, str, AsyncExitStack], Driver]


@dataclass(frozen=True)
class Road:
    """One way in or out.

    `transport`: the package below `thingstead.transports` that serves it. `text_characters`: how
    long a text may be that it tells of in one piece.
    """

    name: str
    transport: str
    can: frozenset[Can]
    make: Make
    text_characters: int = 7_500

    def __str__(self) -> str:
        return self.name

    @asynccontextmanager
    async def open(self, served: Served, token: str) -> AsyncIterator[Driver]:
        """A driver that holds the token; its connection is cut off at the end."""
        async with AsyncExitStack() as stack:
            yield self.make(served, token, stack)

    def kind(self, kind: Kind) -> Kind:
        """The kind, as far as the road tells kinds apart."""
        return kind if Can.SAY_WHAT in self.can else Kind.SOMEHOW


def pause(transport: asyncio.Transport) -> None:
    """Read nothing more, and let the system keep little of what comes."""
    raw = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
    transport.pause_reading()


def resume(transport: asyncio.Transport) -> None:
    """Read again, quickly."""
    raw = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LARGE_BUFFER)
    transport.resume_reading()


def only_ears(heard: Ears | Refused) -> Ears:
    """The subscription, which must not have been refused."""
    assert not isinstance(heard, Refused), heard
    return heard
