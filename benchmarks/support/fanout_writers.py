"""The one that writes while a thousand listen, as fast as it is answered or by the clock.

Every value is the next number, always of ten digits, so that all messages are equally long and
whoever listens finds what is missing. Read on in `fanout_load.py`.
"""

import asyncio
import collections
import re
import time
from typing import Protocol, cast

from support.mqtt_load import connect_packet, publish_parts

FIRST = 1_000_000_000
_NUMBER = re.compile(rb'"value":(\d{10})')
# The longest beginning of a match that may be left over at the end of a piece.
_TAIL_BYTES = 18


class Ledger:
    """Every write by its number: when it was due, and how many were acknowledged."""

    def __init__(self) -> None:
        self.due: list[float] = []
        self.acknowledged = 0
        self.is_saturating = False

    def next_body(self, due: float) -> bytes:
        """Return the body of the next write."""
        number = FIRST + len(self.due)
        self.due.append(due)
        return b'{"values":[{"key":"temperature","value":%d}]}' % number


class Witness:
    """Looks at every number that a subscriber gets, and how long it took from when it was due."""

    def __init__(self, ledger: Ledger) -> None:
        self.taken_s: list[float] = []
        self._ledger = ledger
        self._times = bytearray()
        self._unordered = 0
        self._last = -1
        self._tail = b""

    def look(self, data: bytes) -> None:
        """Take a piece as it came from the socket."""
        now = time.monotonic()
        data = self._tail + data
        due, times, end = self._ledger.due, self._times, 0
        for found in _NUMBER.finditer(data):
            end = found.end()
            number = int(found[1]) - FIRST
            if number >= len(times):
                times.extend(bytes(number + 1_000 - len(times)))
            times[number] = min(255, times[number] + 1)
            self._unordered += number < self._last
            self._last = number
            self.taken_s.append(now - due[number])
        self._tail = data[max(end, len(data) - _TAIL_BYTES) :]

    def problem(self, *, is_ordered: bool) -> str | None:
        """Return what is wrong with what came, now that everything was written."""
        written = len(self._ledger.due)
        once = self._times[:written].count(1)
        missing = written - once - sum(times > 1 for times in self._times)
        if once != written:
            return f"of {written} writes {missing} missing, {written - once - missing} doubled"
        if is_ordered and self._unordered:
            return f"{self._unordered} writes came behind later ones"
        return None


class Writer(Protocol):
    """How writes are sent."""

    @property
    def is_ordered(self) -> bool:
        """Whether they are committed in the order of their numbers."""

    async def open(self, port: int, token: str) -> None:
        """Connect."""

    def saturate(self, in_flight: int) -> None:
        """Begin to keep so many in flight, until `Ledger.is_saturating` is False."""

    def write(self, due: float) -> None:
        """Send one that is due."""


class MQTTWriter:
    """One connection, QoS 1."""

    is_ordered = True

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def open(self, port: int, token: str) -> None:
        """Connect."""
        loop = asyncio.get_running_loop()
        connected: asyncio.Future[None] = loop.create_future()
        _, self._connection = await loop.create_connection(
            lambda: _Acknowledged(self, connected), "127.0.0.1", port
        )
        body = b'{"values":[{"key":"temperature","value":%d}]}' % FIRST
        self._head, _ = publish_parts(f"v2/things/{token}", body)
        await asyncio.wait_for(connected, 10.0)

    def saturate(self, in_flight: int) -> None:
        """Begin to keep so many in flight."""
        self._ledger.is_saturating = True
        self._send(in_flight, time.monotonic())

    def write(self, due: float) -> None:
        """Send one that is due."""
        self._send(1, due)

    def answered(self, count: int) -> None:
        """Count acknowledgements, and go on."""
        self._ledger.acknowledged += count
        if self._ledger.is_saturating:
            self._send(count, time.monotonic())

    def _send(self, count: int, due: float) -> None:
        ledger, packets = self._ledger, []
        for _ in range(count):
            packet_id = len(ledger.due) % 65_535 + 1
            packets.append(self._head + packet_id.to_bytes(2, "big") + ledger.next_body(due))
        self._connection.send(b"".join(packets))


class _Acknowledged(asyncio.Protocol):
    """The connection of an MQTT writer."""

    def __init__(self, writer: MQTTWriter, connected: "asyncio.Future[None]") -> None:
        self._writer = writer
        self._connected = connected
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be let in."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(connect_packet("writer", 0))

    def send(self, packets: bytes) -> None:
        """Send packets."""
        self._transport.write(packets)

    def data_received(self, data: bytes) -> None:
        """Count PUBACKs; CONNACK is as long."""
        data = self._rest + data
        count, left = divmod(len(data), 4)
        self._rest = data[len(data) - left :] if left else b""
        if not self._connected.done():
            assert data[:4] == b"\x20\x02\x00\x00", data
            self._connected.set_result(None)
        elif count:
            assert data[0] == 0x40, data[:8]
            self._writer.answered(count)


class HTTPWriter:
    """Connections that have one request under way each; those that are free wait in turn."""

    is_ordered = False

    def __init__(self, ledger: Ledger, connections: int) -> None:
        self._ledger = ledger
        self._connections = connections
        self._free: collections.deque[_Lane] = collections.deque()
        self._due: collections.deque[float] = collections.deque()

    async def open(self, port: int, token: str) -> None:
        """Connect."""
        loop = asyncio.get_running_loop()
        for _ in range(self._connections):
            _, lane = await loop.create_connection(lambda: _Lane(self), "127.0.0.1", port)
            self._free.append(lane)
        self._head = (
            f"POST /v2/things/{token} HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode("ascii")

    def saturate(self, in_flight: int) -> None:
        """Begin to keep so many in flight."""
        self._ledger.is_saturating = True
        for _ in range(in_flight):
            self.write(time.monotonic())

    def write(self, due: float) -> None:
        """Send one that is due, or keep it until a connection is free."""
        if not self._free:
            self._due.append(due)
            return
        body = self._ledger.next_body(due)
        self._free.popleft().send(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))

    def answered(self, lane: "_Lane") -> None:
        """Count an answer, and go on."""
        self._ledger.acknowledged += 1
        self._free.append(lane)
        if self._ledger.is_saturating:
            self.write(time.monotonic())
        elif self._due:
            self.write(self._due.popleft())


class _Lane(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, writer: HTTPWriter) -> None:
        self._writer = writer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes) -> None:
        """Send a request."""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer; ours come in one piece."""
        assert data.startswith(b"HTTP/1.1 201"), data[:200]
        self._writer.answered(self)
