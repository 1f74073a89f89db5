"""Each limit at n and at n + 1; the error names the limit and its number."""

import asyncio
import contextlib

import pytest

from e2e.http_edge.rig import Echo, quick_edge, serve, until

LAST = b"GET /last HTTP/1.1\r\n\r\n"


def head_of(size: int, end: bytes = b"\r\n") -> bytes:
    start = b"GET /a HTTP/1.1" + end + b"A: "
    tail = end + end
    return start + b"x" * (size - len(start) - len(tail)) + tail


def target_of(size: int) -> bytes:
    return b"GET /%b HTTP/1.1\r\n\r\n" % (b"x" * (size - 1))


def headers_of(count: int) -> bytes:
    return b"GET /a HTTP/1.1\r\n" + b"A: b\r\n" * count + b"\r\n"


def body_of(size: int) -> bytes:
    return b"POST /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size


def chunks_of(size: int) -> bytes:
    head = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    first = size - 1000
    return head + b"%x\r\n%b\r\n3e8\r\n%b\r\n0\r\n\r\n" % (first, b"x" * first, b"x" * 1000)


MIB = 1024 * 1024
LIMITS = [
    (head_of, 16384, 431, "Request Header Fields Too Large: a head may have at most 16384 bytes"),
    (headers_of, 64, 431, "Request Header Fields Too Large: a request may have at most 64 headers"),
    (target_of, 4096, 414, "URI Too Long: a target may have at most 4096 bytes"),
    (body_of, MIB, 413, "Content Too Large: a body may have at most 1048576 bytes"),
    (chunks_of, MIB, 413, "Content Too Large: a body may have at most 1048576 bytes"),
]


@pytest.mark.parametrize(("make", "limit", "status", "message"), LIMITS)
async def test_a_request_at_the_limit_is_served(make, limit, status, message):
    async with serve(Echo()) as rig:
        client = await rig.connect()

        got = await client.ask(make(limit))

        assert got.status == 200
        assert (await client.ask(LAST)).status == 200


@pytest.mark.parametrize(("make", "limit", "status", "message"), LIMITS)
async def test_a_request_beyond_the_limit_is_refused(make, limit, status, message):
    app = Echo()
    async with serve(app) as rig:
        client = await rig.connect()

        got = await client.ask(make(limit + 1) + LAST)

        assert got.status == status
        assert got.reason == message.partition(":")[0]
        assert got.body == b'{"status":"error","code":%d,"message":"%b"}' % (
            status,
            message.encode(),
        )
        assert [name for name, _ in got.headers] == [
            "Content-Type",
            "Content-Length",
            "Date",
            "Connection",
        ]
        assert got.get("Content-Type") == ["application/json"]
        assert got.get("Connection") == ["close"]
        assert await client.rest() == b""
        assert all(path == "/a" for _, path, _ in app.seen)


async def test_chunks_after_the_one_that_was_too_much_are_ignored():
    async with serve(Echo(), quick_edge(max_body_bytes=3)) as rig:
        client = await rig.connect()

        got = await client.ask(
            b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"4\r\nabcd\r\n1\r\ne\r\n0\r\n\r\n" + LAST
        )

        assert got.status == 413
        assert await client.rest() == b""


async def test_a_bare_lf_head_has_the_same_limit():
    async with serve(Echo()) as rig:
        fitting, too_long = await rig.connect(), await rig.connect()

        assert (await fitting.ask(head_of(16384, b"\n"))).status == 200
        assert (await too_long.ask(head_of(16385, b"\n"))).status == 431


async def test_a_head_that_never_ends_is_refused_at_the_limit():
    async with serve(Echo()) as rig:
        below, at = await rig.connect(), await rig.connect()

        await below.send(head_of(16384)[:16383])
        got = await at.ask(head_of(16390)[:16384])

        assert got.status == 431
        assert (await below.ask(head_of(16384)[16383:])).status == 200


async def test_an_endless_target_is_refused_as_a_target():
    async with serve(Echo()) as rig:
        client = await rig.connect()

        got = await client.ask(b"GET /" + b"x" * 20_000)

        assert got.status == 414


async def test_a_client_in_the_middle_of_sending_can_read_the_refusal():
    async with serve(Echo()) as rig:
        client = await rig.connect()

        # More than both socket buffers hold, so the client is still sending when refused.
        client.writer.write(b"GET /a HTTP/1.1\r\nA: " + b"x" * 6 * MIB)
        await client.writer.drain()
        got = await client.read()

        assert got.status == 431
        assert await client.rest() == b""


async def test_an_announced_body_is_refused_before_it_is_sent():
    async with serve(Echo()) as rig:
        client = await rig.connect()

        got = await client.ask(
            b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n"
        )

        assert got.status == 413


async def test_what_is_thrown_away_after_a_refusal_is_bounded():
    edge = quick_edge(linger_bytes=100_000, linger_seconds=60)
    async with serve(Echo(), edge) as rig:
        client = await rig.connect()
        await client.send(target_of(5000))

        with contextlib.suppress(ConnectionError):
            while rig.connections:
                await client.send(b"x" * 50_000)

        assert not rig.connections


async def test_a_refusal_in_a_body_is_news_for_the_app():
    received = []

    async def app(scope, receive, send):
        while not received or received[-1]["type"] != "http.disconnect":
            received.append(await receive())

    async with serve(app) as rig:
        client = await rig.connect()

        got = await client.ask(
            b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", b"bad\n"
        )

        assert got.status == 400
        await until(lambda: received and received[-1]["type"] == "http.disconnect")


@pytest.mark.parametrize("which", ["max_connections", "max_connections_per_address"])
async def test_connections_beyond_the_limit_get_503(which):
    edge = quick_edge(**{which: 2})
    async with serve(Echo(), edge) as rig:
        first, second = await rig.connect(), await rig.connect()
        await asyncio.gather(first.ask(LAST), second.ask(LAST))

        third = await rig.connect()
        got = await third.ask(LAST)

        assert got.status == 503
        assert got.get("Retry-After") == ["1"]
        assert got.json["message"].startswith("Service Unavailable: at most 2 connections")
        assert await third.rest() == b""
        assert (await first.ask(LAST)).status == 200

        second.abort()
        await until(lambda: edge.counts.total == 1)
        fourth = await rig.connect()
        assert (await fourth.ask(LAST)).status == 200
    assert (edge.counts.total, edge.counts.addresses, edge.counts.refused_open) == (0, 0, 0)


async def test_polite_refusals_are_bounded():
    edge = quick_edge(max_connections=0, max_refused_connections=1, linger_seconds=60)
    async with serve(Echo(), edge) as rig:
        first = await rig.connect()
        assert (await first.read()).status == 503

        second = await rig.connect()

        # A reset is the answer that costs least.
        with contextlib.suppress(ConnectionError):
            assert await second.rest() == b""
        assert edge.counts.refused_open == 1
