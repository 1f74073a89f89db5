"""The way from HTTP to a WebSocket: who may, who gets the socket, and what stays counted."""

import asyncio
import base64
import hashlib

import pytest

from e2e.http_edge.rig import Echo, quick_edge, serve, until
from e2e.http_edge.test_endings import tls  # noqa: F401  # A fixture.
from thingstead.transports.http.forwarding import TrustedPeers
from thingstead.transports.http.protocol import Accepted, Refused

KEY = base64.b64encode(bytes(range(16)))
POST = b"POST /v2/things/T HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"


class Upper(asyncio.Protocol):
    """Stands where a WebSocket would: upper-cases what it gets."""

    def take_over(self, transport, released) -> None:
        self.transport = transport
        self.released = released
        self.is_paused = False

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())

    def connection_lost(self, exc) -> None:
        self.released()

    def shutdown(self) -> None:
        self.transport.close()


class Acceptor:
    def __init__(self, *, subprotocol=None, refusal=None) -> None:
        self.subprotocol = subprotocol
        self.refusal = refusal
        self.requests = []

    def accept(self, request):
        self.requests.append(request)
        return self.refusal or Accepted(Upper(), self.subprotocol)


def upgrade(target=b"/w", *, first=b"GET", version=b"HTTP/1.1", end=b"\r\n", **changes) -> bytes:
    fields = {
        b"Host": b"x",
        b"Connection": b"keep-alive, Upgrade",
        b"Upgrade": b"websocket",
        b"Sec-WebSocket-Version": b"13",
        b"Sec-WebSocket-Key": KEY,
    }
    for name, value in changes.items():
        fields[name.replace("_", "-").encode()] = value
    lines = [b"%b %b %b" % (first, target, version)]
    for name, value in fields.items():
        values = value if isinstance(value, list) else [value]
        lines += [b"%b: %b" % (name, one) for one in values if one is not None]
    return end.join([*lines, b"", b""])


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
async def test_the_successor_gets_the_socket_and_what_came_with_the_request(end):
    edge = quick_edge(upgrades={"/w": Acceptor()}, keep_alive_seconds=0.01, head_seconds=0.01)
    async with serve(Echo(), edge) as rig:
        client = await rig.connect()

        await client.send(upgrade(end=end) + b"frame")
        head = await client.read_head()
        async with asyncio.timeout(10):
            early = await client.reader.readexactly(5)
        await client.send(b"more")
        async with asyncio.timeout(10):
            late = await client.reader.readexactly(4)

        assert head.status == 101
        assert head.reason == "Switching Protocols"
        assert head.get("Upgrade") == ["websocket"]
        assert head.get("Connection") == ["Upgrade"]
        proof = hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        assert head.get("Sec-WebSocket-Accept") == [base64.b64encode(proof).decode()]
        assert head.get("Sec-WebSocket-Protocol") == []
        assert (early, late) == (b"FRAME", b"MORE")


async def test_an_upgraded_connection_stays_counted_until_it_is_lost():
    edge = quick_edge(upgrades={"/w": Acceptor()})
    async with serve(Echo(), edge) as rig:
        client = await rig.connect()

        await client.send(upgrade())
        await client.read_head()
        counted = (edge.counts.total, edge.counts.for_address("127.0.0.1"), len(rig.connections))
        client.abort()
        await until(lambda: not rig.connections)

        assert counted == (1, 1, 1)
        assert (edge.counts.total, edge.counts.addresses) == (0, 0)


async def test_an_upgrade_after_other_requests_on_the_connection_succeeds():
    async with serve(Echo(), quick_edge(upgrades={"/w": Acceptor()})) as rig:
        client = await rig.connect()

        await client.send(POST + upgrade() + b"x")
        first = await client.read()
        second = await client.read_head()
        async with asyncio.timeout(10):
            rest = await client.reader.readexactly(1)

        assert (first.status, second.status, rest) == (200, 101, b"X")


async def test_it_works_over_tls(tls):  # noqa: F811  # The fixture.
    acceptor = Acceptor()
    async with serve(Echo(), quick_edge(upgrades={"/w": acceptor}), **tls) as rig:
        client = await rig.connect()

        await client.send(upgrade())
        head = await client.read_head()
        await client.send(b"frame")
        async with asyncio.timeout(10):
            rest = await client.reader.readexactly(5)

        assert (head.status, rest) == (101, b"FRAME")
        assert acceptor.requests[0].peer.scheme == "https"


async def test_the_acceptor_sees_target_headers_and_peer():
    acceptor = Acceptor(subprotocol="mqtt")
    async with serve(Echo(), quick_edge(upgrades={"/socket.io": acceptor})) as rig:
        client = await rig.connect()

        await client.send(
            upgrade(
                b"/socket.io/?EIO=4&sid=a%20b",
                Sec_WebSocket_Protocol=[b"mqttv3.1, mqtt", b"x"],
                Authorization=b"Bearer T",
            )
        )
        head = await client.read_head()

        request = acceptor.requests[0]
        assert head.get("Sec-WebSocket-Protocol") == ["mqtt"]
        assert request.path == "/socket.io/"
        assert request.query_string == b"EIO=4&sid=a%20b"
        assert request.subprotocols == ["mqttv3.1", "mqtt", "x"]
        assert request.header(b"authorization") == b"Bearer T"
        assert request.header(b"cookie") is None
        assert request.peer == ("127.0.0.1", "http", False)


@pytest.mark.parametrize(
    ("trusted", "peer"),
    [
        (("127.0.0.1",), ("203.0.113.7", "https", True)),
        (("192.0.2.1",), ("127.0.0.1", "http", False)),
    ],
)
async def test_forwarded_addresses_count_when_a_trusted_proxy_says_them(trusted, peer):
    acceptor = Acceptor()
    edge = quick_edge(upgrades={"/w": acceptor}, peers=TrustedPeers(trusted))
    async with serve(Echo(), edge) as rig:
        client = await rig.connect()

        await client.send(
            upgrade(
                X_Forwarded_For=b"198.51.100.1, 203.0.113.7",
                X_Forwarded_Proto=b"wss",
            )
        )
        await client.read_head()

        assert acceptor.requests[0].peer == peer


REFUSED = [
    ("another path", {"target": b"/other"}, 404, []),
    ("an encoded path", {"target": b"/%77"}, 404, []),
    ("another method", {"first": b"POST"}, 405, [("Allow", "GET")]),
    ("HTTP/1.0", {"version": b"HTTP/1.0"}, 400, []),
    ("no key", {"Sec_WebSocket_Key": None}, 400, []),
    ("two keys", {"Sec_WebSocket_Key": [KEY, KEY]}, 400, []),
    ("a key of 15 bytes", {"Sec_WebSocket_Key": base64.b64encode(bytes(15))}, 400, []),
    ("a key of 17 bytes", {"Sec_WebSocket_Key": base64.b64encode(bytes(17))}, 400, []),
    ("a key that is no base64", {"Sec_WebSocket_Key": b"*" * 24}, 400, []),
    ("no version", {"Sec_WebSocket_Version": None}, 426, [("Sec-WebSocket-Version", "13")]),
    ("version 8", {"Sec_WebSocket_Version": b"8"}, 426, [("Sec-WebSocket-Version", "13")]),
]


@pytest.mark.parametrize(
    ("changes", "status", "headers"),
    [row[1:] for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
async def test_what_is_no_handshake_gets_an_error_that_says_why(changes, status, headers):
    acceptor = Acceptor()
    edge = quick_edge(upgrades={"/w": acceptor})
    async with serve(Echo(), edge) as rig:
        client = await rig.connect()

        got = await client.ask(upgrade(**changes))

        assert got.status == status
        assert got.json["status"] == "error"
        assert got.json["code"] == status
        assert got.get("Connection") == ["close"]
        assert set(headers) <= set(got.headers)
        assert acceptor.requests == []
        assert edge.counts.refusals[status] == 1


async def test_the_acceptors_refusal_is_answered():
    acceptor = Acceptor(refusal=Refused(401, "Unauthorized: who?", b"X-Why: because\r\n"))
    async with serve(Echo(), quick_edge(upgrades={"/w": acceptor})) as rig:
        client = await rig.connect()

        got = await client.ask(upgrade())

        assert got.status == 401
        assert got.json == {"status": "error", "code": 401, "message": "Unauthorized: who?"}
        assert got.get("X-Why") == ["because"]


async def test_requests_that_ask_for_no_websocket_are_http_on_these_paths_too():
    async with serve(Echo(), quick_edge(upgrades={"/w": Acceptor()})) as rig:
        client = await rig.connect()

        plain = await client.ask(b"GET /w HTTP/1.1\r\n\r\n")
        no_connection = await client.ask(upgrade(Connection=b"keep-alive"))
        other_protocol = await client.ask(upgrade(Upgrade=b"h2c"))
        with_body = await client.ask(
            b"POST /w HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Content-Length: 2\r\n\r\n{}"
        )

        assert {plain.status, no_connection.status, other_protocol.status} == {200}
        assert with_body.json["body"] == "{}"


async def test_at_shutdown_the_successor_is_told_and_waited_for():
    edge = quick_edge(upgrades={"/w": Acceptor()})
    async with serve(Echo(), edge) as rig:
        client = await rig.connect()
        await client.send(upgrade())
        await client.read_head()

        await rig.server.shutdown()

        assert await client.rest() == b""
        assert edge.counts.total == 0
