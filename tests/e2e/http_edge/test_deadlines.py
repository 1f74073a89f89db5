"""Who does not send, or does not read, in time loses the connection; streams do not."""

import asyncio
import socket

import pytest

from e2e.http_edge.rig import Echo, answer, quick_edge, read_body, serve, until

GET = b"GET /a HTTP/1.1\r\n\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("start", [b"G", b"GET /a HTTP/1.1\r\nA: b\r\n", b"\r\nGET"])
async def test_a_head_that_does_not_end_gets_408(start):
    async with serve(Echo(), quick_edge(head_seconds=0.02)) as rig:
        client = await rig.connect()

        got = await client.ask(start)

        assert got.status == 408
        assert got.reason == "Request Timeout"
        assert got.json["message"] == "Request Timeout: the head must arrive within 0.02 s"
        assert await client.rest() == b""


async def test_a_second_head_has_the_same_deadline():
    async with serve(Echo(), quick_edge(head_seconds=0.02, keep_alive_seconds=60)) as rig:
        client = await rig.connect()
        await client.ask(GET)

        got = await client.ask(b"GET")

        assert got.status == 408


async def test_a_head_that_waited_behind_another_request_has_its_whole_time():
    release = asyncio.Event()

    async def app(scope, receive, send):
        await release.wait()
        await answer(send)

    async with serve(app, quick_edge(head_seconds=0.02)) as rig:
        client = await rig.connect()
        await client.send(GET + b"GET /b")
        await until(lambda: rig.server.server_state.tasks)
        release.set()

        assert (await client.read()).status == 200
        assert (await client.read()).status == 408


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
async def test_a_connection_that_sends_nothing_is_closed_silently(sent):
    async with serve(Echo(), quick_edge(head_seconds=0.02)) as rig:
        client = await rig.connect()

        await client.send(sent)

        assert await client.rest() == b""


async def test_an_idle_connection_is_closed_silently():
    async with serve(Echo(), quick_edge(keep_alive_seconds=0.02)) as rig:
        client = await rig.connect()

        await client.ask(GET)

        assert await client.rest() == b""


@pytest.mark.parametrize(
    "sent",
    [b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", CHUNKED, CHUNKED + b"2\r\nab\r\n"],
)
async def test_a_body_that_does_not_come_gets_408(sent):
    edge = quick_edge(body_seconds=0.02, body_bytes_per_second=1000)
    async with serve(Echo(), edge) as rig:
        client = await rig.connect()

        got = await client.ask(sent)

        assert got.status == 408
        assert "body must arrive within 0.02 s or at 1000 bytes/s" in got.json["message"]
        assert await client.rest() == b""


async def test_a_large_body_has_the_time_its_size_needs():
    edge = quick_edge(body_seconds=0.0, body_bytes_per_second=1)
    async with serve(Echo(), edge) as rig:
        announced, chunked = await rig.connect(), await rig.connect()

        await announced.send(b"POST /a HTTP/1.1\r\nContent-Length: 100\r\n\r\n" + b"x" * 99)
        await chunked.send(CHUNKED + b"64\r\n" + b"x" * 99)
        await asyncio.gather(*(late_sweeps(edge) for _ in range(3)))

        assert (await announced.ask(b"x")).status == 200
        assert (await chunked.ask(b"x\r\n0\r\n\r\n")).status == 200


async def late_sweeps(edge) -> None:
    """Returns after the sweeper has looked at all connections again."""
    swept = asyncio.Event()

    class Witness:
        deadline = 0.0
        stall_deadline = 0.0

        def deadline_passed(self, now: float) -> None:
            swept.set()

    witness = Witness()
    edge.sweeper.watch(witness, asyncio.get_running_loop())
    async with asyncio.timeout(10):
        await swept.wait()
    edge.sweeper.forget(witness)


async def test_an_app_that_does_not_read_is_not_the_clients_fault():
    release = asyncio.Event()

    async def app(scope, receive, send):
        await release.wait()
        await answer(send, b"%d" % len(await read_body(receive)))

    edge = quick_edge(body_seconds=0.001, body_bytes_per_second=10**9)
    async with serve(app, edge) as rig:
        client = await rig.connect()
        await client.send(b"POST /a HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 70_000)
        await until(lambda: any(one.flow.read_paused for one in rig.connections))
        await late_sweeps(edge)
        await late_sweeps(edge)

        assert edge.counts.refusals.total() == 0
        release.set()
        await client.send(b"x" * 930_000)


async def test_an_answer_has_no_deadline():
    release = asyncio.Event()

    async def app(scope, receive, send):
        await read_body(receive)
        await release.wait()
        await answer(send)

    edge = quick_edge(head_seconds=0.01, body_seconds=0.01, keep_alive_seconds=0.01)
    async with serve(app, edge) as rig:
        client = await rig.connect()
        await client.send(b"POST /a HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
        for _ in range(10):
            await late_sweeps(edge)
        release.set()

        assert (await client.read()).status == 200


async def test_a_slow_rest_of_a_body_after_its_answer_ends_silently():
    async def app(scope, receive, send):
        await answer(send)

    async with serve(app, quick_edge(body_seconds=0.02, body_bytes_per_second=10**6)) as rig:
        client = await rig.connect()

        got = await client.ask(b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")

        assert got.status == 200
        assert await client.rest() == b""


async def test_a_client_that_stops_reading_is_cut_off():
    ended = asyncio.Event()

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        watcher = asyncio.create_task(read_body(receive))
        await watcher
        watcher = asyncio.create_task(receive())
        while not watcher.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        ended.set()

    async with serve(app, quick_edge(write_stall_seconds=0.05)) as rig:
        client = await rig.connect()
        client.writer.transport.pause_reading()
        await client.send(GET)

        async with asyncio.timeout(10):
            await ended.wait()
        await until(lambda: not rig.connections)


async def test_a_closed_connection_with_unsent_bytes_does_not_stay():
    async def app(scope, receive, send):
        await answer(send, b"x" * 8_000_000, headers=[(b"Connection", b"close")])

    async with serve(app, quick_edge(write_stall_seconds=0.05)) as rig:
        client = await rig.connect()
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.writer.transport.pause_reading()
        await client.send(GET)

        await until(lambda: rig.connections)
        await until(lambda: not rig.connections)
