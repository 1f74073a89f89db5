"""The seam through which a connection leaves HTTP for a WebSocket.

    edge = Edge(upgrades={"/v2/live": acceptor, "/mqtt": other}, peers=trusted)

For a request with `Upgrade: websocket` the edge looks its path up in that table, checks the
handshake (RFC 6455 section 4.2.1) and asks the path's `UpgradeAcceptor`. What it accepts with
takes the socket over after the 101 answer; what it refuses with is answered as a JSON error.
On every other path, and for a handshake that is none, the edge answers by itself. With an empty
table such requests are ordinary HTTP. A request for such a path without the header goes to the
app as ever, which is where Socket.IO polls; other paths need a route that answers 426
(`transports/http/websockets.py` makes one, and makes acceptors of `transports/websocket`).

The successor is an `asyncio.Protocol` with two methods more (`Successor`). The connection stays
counted in the edge's limits until the successor calls `released`, which it does when it is lost.
When the server stops, its `shutdown` is called, and the server waits until it has been released.

Paths are compared with repeated and trailing slashes left out and without percent-decoding. The
query is given as it came (`UpgradeRequest.query_string`). `UpgradeRequest.peer` is the client as
trusted proxies name it. It must not know frames. Read on in `lifetime.py`, which hands over.
"""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from thingstead.transports.http.protocol.answers import status_line

# RFC 6455, 1.3: what proves that the server understood the request.
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES: Final = 16
_VERSION: Final = b"13"


class Peer(NamedTuple):
    """Who sent a request: of a trusted proxy's request the proxy's client.

    `address`: None on a Unix socket. `scheme`: `http` or `https`, as the client sent it.
    """

    address: str | None
    scheme: str
    is_from_trusted_proxy: bool = False


class PeerFinder(Protocol):
    """Knows which proxies are believed."""

    def peer_of(self, socket_peer: Peer, headers: list[tuple[bytes, bytes]]) -> Peer:
        """Gives who sent a request that came over a connection from `socket_peer`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeRequest:
    """A request for a WebSocket; `headers` with names in lower case, in their order."""

    path: str
    query_string: bytes
    headers: list[tuple[bytes, bytes]]
    peer: Peer

    def header(self, name: bytes) -> bytes | None:
        """Gives the header's value; `name` in lower case; of several the first."""
        return next((value for known, value in self.headers if known == name), None)

    def values(self, name: bytes) -> list[bytes]:
        """Gives every value of the header; `name` in lower case."""
        return [value for known, value in self.headers if known == name]

    @property
    def subprotocols(self) -> list[str]:
        """The subprotocols that the client offers, the one it likes best first."""
        lists = b",".join(self.values(b"sec-websocket-protocol")).decode("latin-1")
        return [name for text in lists.split(",") if (name := text.strip())]


class Successor(Protocol):
    """What an upgraded connection goes on with; an `asyncio.Protocol` in all else."""

    def take_over(self, transport: asyncio.Transport, released: Callable[[], None]) -> None:
        """Begins; called once, after the 101 answer was written, before any data.

        `released` must be called once, when the connection is lost.
        """

    def data_received(self, data: bytes) -> None:
        """Takes what the socket gave, as `asyncio.Protocol.data_received`."""

    def pause_writing(self) -> None:
        """Learns that the client does not read, as `asyncio.Protocol.pause_writing`."""

    def shutdown(self) -> None:
        """Ends soon, because the server stops; idempotent."""


class Accepted(NamedTuple):
    """The upgrade takes place; `subprotocol` must be one that was offered, or None."""

    successor: Successor
    subprotocol: str | None = None


class Refused(NamedTuple):
    """The upgrade does not take place; `header_lines` are complete, each with its CRLF."""

    status: int
    message: str
    header_lines: bytes = b""


class UpgradeAcceptor(Protocol):
    """Decides on the requests for one path; never waits."""

    def accept(self, request: UpgradeRequest) -> Accepted | Refused:
        """Gives the successor, or why there is none."""


Upgrades = Mapping[str, UpgradeAcceptor]

_OTHER_VERSION = Refused(
    426,
    "Upgrade Required: the version of WebSocket must be 13",
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
)
_NOT_HERE = Refused(404, "Not Found: no WebSocket is served at this address")
_NOT_GET = Refused(405, "Method Not Allowed: a WebSocket is opened by GET", b"Allow: GET\r\n")
_OLD_HTTP = Refused(400, "Bad Request: a WebSocket is opened by HTTP/1.1")
_NO_KEY = Refused(400, "Bad Request: Sec-WebSocket-Key must be 16 bytes in base64, once")


def decision_on(
    upgrades: Upgrades, request: UpgradeRequest, *, method: str, http_version: str
) -> Accepted | Refused:
    """Gives what becomes of a request for a WebSocket."""
    acceptor = upgrades.get(_plain(request.path))
    if acceptor is None:
        return _NOT_HERE
    if method != "GET":
        return _NOT_GET
    if http_version != "1.1":
        return _OLD_HTTP
    if request.values(b"sec-websocket-version") != [_VERSION]:
        return _OTHER_VERSION
    keys = request.values(b"sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        return _NO_KEY
    return acceptor.accept(request)


def switching_answer(request: UpgradeRequest, subprotocol: str | None, date_line: bytes) -> bytes:
    """Gives the 101 answer to a request whose handshake is complete."""
    key = request.header(b"sec-websocket-key") or b""
    digest = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
    chosen = b""
    if subprotocol is not None:
        chosen = b"Sec-WebSocket-Protocol: %b\r\n" % subprotocol.encode("ascii")
    return (
        b"%bUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n%b%b\r\n"
        % (status_line(101), base64.b64encode(digest), chosen, date_line)
    )


def _plain(path: str) -> str:
    return "/" + "/".join(filter(None, path.split("/")))


def _is_key(value: bytes) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False
