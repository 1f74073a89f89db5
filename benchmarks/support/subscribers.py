"""Connections that listen to one thing, one class for each kind of stream; they only count.

What comes is not parsed: a thousand of these must cost less than the server that feeds them.
Chunks and events are counted by their ends, frames and packets by their lengths. A few have a
`Witness`, who looks at every number. It must not know why one listens; see `fanout_load.py`
and `hold_subscribers.py`.
"""

import asyncio
import base64
import struct
from abc import ABC, abstractmethod
from typing import ClassVar, Protocol, cast

from support.mqtt_load import connect_packet, remaining_length

# An hour and the longest that MQTT may ask for: nobody shall say that nothing happened.
_KEEP_ALIVE_MS = 3_600_000
_KEEP_ALIVE_S = 1_200
_PING, _PONG, _TEXT = 0x89, 0x8A, 0x81
_CONNACK = b"\x20\x02\x00\x00"
_SUBACK = b"\x90\x03\x00\x01\x00"
_PUBLISH = 0x30


class Witness(Protocol):
    """Who looks at what came."""

    def look(self, data: bytes) -> None:
        """Take a piece as it came from the socket."""


class Subscriber(asyncio.Protocol, ABC):
    """One connection; `documents` counts what came after the confirmation."""

    name: ClassVar[str]

    def __init__(self, token: str, number: int) -> None:
        self.token = token
        self.number = number
        self.documents = 0
        self.witness: Witness | None = None
        self.is_ready = False
        self.refusal = b""
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        # uvloop's transports have the methods, but not the base class.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self.request())

    def data_received(self, data: bytes) -> None:
        """Count, or wait for the confirmation."""
        if self.is_ready:
            self.count(data)
            if self.witness is not None:
                self.witness.look(data)
            return
        self._rest += data
        if self.is_confirmed(self._rest):
            self._rest = b""
            self.is_ready = True
            if not self.ready.done():
                self.ready.set_result(None)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Tell who waits; the end is for them to judge."""
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"refused: {self._rest[:300]!r}"))
        if not self.lost.done():
            self.lost.set_result(None)

    @abstractmethod
    def request(self) -> bytes:
        """Return what is sent first."""

    @abstractmethod
    def is_confirmed(self, data: bytes) -> bool:
        """Return whether the stream is open; nothing has been written to the thing before."""

    @abstractmethod
    def count(self, data: bytes) -> None:
        """Count the documents that end in this piece."""


class V2Subscriber(Subscriber):
    """The stream of the v2 API: two line ends a chunk, and none in a document."""

    name = "v2 stream"
    _line_ends = 0
    _is_halved = False

    def request(self) -> bytes:
        """Return the request."""
        return _get(f"/v2/things/{self.token}?keepAlive={_KEEP_ALIVE_MS}")

    def is_confirmed(self, data: bytes) -> bool:
        """Return whether the first chunk is whole."""
        return data.startswith(b"HTTP/1.1 200 ") and data.endswith(b'subscribed"}\r\n')

    def count(self, data: bytes) -> None:
        """Count chunks."""
        ends = data.count(b"\r\n")
        if self._is_halved and data[0] == 0x0A:
            ends += 1
        self._is_halved = data[-1] == 0x0D
        self._line_ends += ends
        self.documents = self._line_ends // 2


class EventStreamSubscriber(Subscriber):
    """Server-Sent Events: an empty line behind each."""

    name = "server-sent events"
    _is_halved = False

    def request(self) -> bytes:
        """Return the request."""
        target = f"/v2/things/{self.token}?keepAlive={_KEEP_ALIVE_MS}"
        return _get(target, "Accept: text/event-stream")

    def is_confirmed(self, data: bytes) -> bool:
        """Return whether the first event is whole."""
        return data.startswith(b"HTTP/1.1 200 ") and data.endswith(b'subscribed"}\n\n\r\n')

    def count(self, data: bytes) -> None:
        """Count events."""
        self.documents += data.count(b"\n\n")
        if self._is_halved and data[0] == 0x0A:
            self.documents += 1
        self._is_halved = data[-1] == 0x0A


class WebSocketSubscriber(Subscriber):
    """The live WebSocket; the token stands in the request's header."""

    name = "WebSocket"
    _has_asked = False

    def request(self) -> bytes:
        """Return the request to upgrade."""
        key = base64.b64encode(self.number.to_bytes(16, "big")).decode("ascii")
        return _get(
            "/v2/live",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            f"Authorization: {self.token}",
        )

    def is_confirmed(self, data: bytes) -> bool:
        """Subscribe once it is known who asks; return whether that was confirmed."""
        if not self._has_asked and b'"authenticated"' in data:
            self._has_asked = True
            self.transport.write(_client_frame(_TEXT, b'{"type":"subscribe","id":"s"}'))
        at = data.find(b'"type":"subscribed"')
        return at >= 0 and data.endswith(b"}")

    def count(self, data: bytes) -> None:
        """Count frames, and answer pings."""
        if self._rest:
            data = self._rest + data
        at, length = 0, len(data)
        while length - at >= 2:
            size, begin = data[at + 1], at + 2
            if size == 126:
                if length - at < 4:
                    break
                size, begin = data[at + 2] << 8 | data[at + 3], at + 4
            elif size == 127:
                if length - at < 10:
                    break
                (size,) = struct.unpack_from("!Q", data, at + 2)
                begin = at + 10
            if begin + size > length:
                break
            if data[at] == _TEXT:
                self.documents += 1
            elif data[at] == _PING:
                self.transport.write(_client_frame(_PONG, data[begin : begin + size]))
            at = begin + size
        self._rest = data[at:]


class MQTTSubscriber(Subscriber):
    """MQTT 3.1.1 with QoS 0; what comes are PUBLISH packets and nothing else."""

    name = "MQTT"
    _has_asked = False

    def request(self) -> bytes:
        """Return the CONNECT."""
        return connect_packet(f"listener-{self.number}", _KEEP_ALIVE_S)

    def is_confirmed(self, data: bytes) -> bool:
        """Subscribe once connected; return whether that was confirmed."""
        if not self._has_asked and data.startswith(_CONNACK):
            self._has_asked = True
            topic = f"v2/things/{self.token}".encode("ascii")
            body = b"\x00\x01" + len(topic).to_bytes(2, "big") + topic + b"\x00"
            self.transport.write(b"\x82" + remaining_length(len(body)) + body)
        return data == _CONNACK + _SUBACK

    def count(self, data: bytes) -> None:
        """Count packets."""
        if self._rest:
            data = self._rest + data
        at, length = 0, len(data)
        while at < length:
            assert data[at] == _PUBLISH, data[at : at + 16]
            size, shift, begin = 0, 0, at + 1
            while begin < length:
                byte = data[begin]
                begin += 1
                size |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            else:
                break
            if begin + size > length:
                break
            self.documents += 1
            at = begin + size
        self._rest = data[at:]


KINDS: dict[str, type[Subscriber]] = {
    kind.name: kind
    for kind in (V2Subscriber, EventStreamSubscriber, WebSocketSubscriber, MQTTSubscriber)
}


async def open_subscriber(
    kind: str, token: str, number: int, *, port: int, source: str | None = None
) -> Subscriber:
    """Return a subscriber whose stream is confirmed; `source` is the address it comes from.

    Raises:
        OSError: nobody accepts it, or it was refused.
    """
    subscriber = KINDS[kind](token, number)
    await asyncio.get_running_loop().create_connection(
        lambda: subscriber,
        "127.0.0.1",
        port,
        local_addr=None if source is None else (source, 0),
    )
    await asyncio.wait_for(subscriber.ready, 30.0)
    return subscriber


def _get(target: str, *headers: str) -> bytes:
    lines = (f"GET {target} HTTP/1.1", "Host: localhost", *headers, "", "")
    return "\r\n".join(lines).encode("ascii")


def _client_frame(first: int, payload: bytes) -> bytes:
    """Return a frame with a mask of zeros, which is one too (RFC 6455, 5.3)."""
    return bytes((first, 0x80 | len(payload))) + b"\x00\x00\x00\x00" + payload
