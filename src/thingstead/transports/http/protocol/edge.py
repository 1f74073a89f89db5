"""What all connections of one server share: limits, lane, counts, timer, date.

It must not know a single connection's state. Read on in `connection.py`, which uses
it, and in `limits.py` for the numbers.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate

from thingstead.transports.http.protocol.lane import DirectLane
from thingstead.transports.http.protocol.limits import EdgeLimits
from thingstead.transports.http.protocol.sweeper import Sweeper
from thingstead.transports.http.protocol.upgrades import PeerFinder, Upgrades


class ConnectionCounts:
    """Counts admitted connections, in all and for each address, and refusals.

    `refusals`: how many answers the edge gave by itself, by status. `refused_open`:
    how many connections over the limit are still open while their 503 is delivered.
    """

    def __init__(self) -> None:
        self.total = 0
        self.refused_open = 0
        self.refusals: Counter[int] = Counter()
        self._by_address: dict[str, int] = {}

    def for_address(self, address: str) -> int:
        """Gives how many admitted connections `address` has open."""
        return self._by_address.get(address, 0)

    @property
    def addresses(self) -> int:
        """How many addresses are remembered: those with an open connection."""
        return len(self._by_address)

    def admit(self, address: str | None) -> None:
        """Counts one connection in; `None`, a Unix socket, counts in the total only."""
        self.total += 1
        if address is not None:
            self._by_address[address] = self._by_address.get(address, 0) + 1

    def release(self, address: str | None) -> None:
        """Counts one admitted connection out; call it exactly once for each."""
        self.total -= 1
        if address is None:
            return
        left = self._by_address[address] - 1
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]


class DateLine:
    """Gives the `Date` header line, made anew once a second (RFC 9110, 6.6.1)."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock
        self._second = -1
        self._line = b""

    def now(self) -> bytes:
        """Gives the complete line, with its CRLF, for the current second."""
        second = int(self._wall_clock())
        if second != self._second:
            self._second = second
            self._line = b"Date: %b\r\n" % formatdate(second, usegmt=True).encode("ascii")
        return self._line


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Holds what the connections of one server, on one event loop, have in common.

    Several listeners (plain and TLS) may share one edge; the limits on connections then
    hold for all of them together. Tests pass a `Sweeper` with a shorter interval.
    `upgrades`: who accepts WebSockets on which path, written without a trailing slash.
    `peers`: who looks behind proxies for them; without it none is believed.
    """

    limits: EdgeLimits = field(default_factory=EdgeLimits)
    lane: DirectLane | None = None
    sweeper: Sweeper = field(default_factory=Sweeper)
    counts: ConnectionCounts = field(default_factory=ConnectionCounts)
    date: DateLine = field(default_factory=DateLine)
    upgrades: Upgrades = field(default_factory=dict)
    peers: PeerFinder | None = None
