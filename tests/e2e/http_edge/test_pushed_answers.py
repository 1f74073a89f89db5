"""Answers written from callbacks: framing, back-pressure, and who learns of the end."""

import asyncio
import ssl

import pytest
import trustme

from e2e.http_edge.rig import answer, quick_edge, read_body, serve, until
from thingstead.transports.http.protocol.push import EXTENSION, Push, PushStart, chunk

GET = b"GET /a HTTP/1.1\r\n\r\n"
OTHER = b"GET /other HTTP/1.1\r\n\r\n"


class Pusher:
    """An app that begins an answer and leaves the rest of it to the test."""

    def __init__(self):
        self.push: Push | None = None
        self.scope = None
        self.told = []
        self.over = asyncio.Event()

    async def __call__(self, scope, receive, send):
        if scope["path"] == "/other":
            await read_body(receive)
            await answer(send, b"other")
            return
        self.scope = scope
        await send({"type": EXTENSION, "start": self.start()})
        await self.over.wait()

    def start(self):
        return PushStart(
            status=200,
            headers=((b"Content-Type", b"text/plain"),),
            first=b"first",
            on_writable=lambda: self.told.append("writable"),
            on_gone=lambda: self.told.append("gone"),
            on_begun=self.begin,
        )

    def begin(self, push):
        self.push = push

    def write(self, *pieces):
        for piece in pieces:
            self.push.write(chunk(piece) if self.push.is_chunked else piece)

    def finish(self):
        self.push.finish()
        self.over.set()


@pytest.fixture
async def pusher():
    made = Pusher()
    yield made
    made.over.set()


async def begun(rig, request=GET):
    client = await rig.connect()
    await client.send(request)
    return client, await client.read_head()


async def test_the_scope_names_what_the_connection_understands(pusher):
    async with serve(pusher) as rig:
        await begun(rig)

        assert EXTENSION in pusher.scope["extensions"]


async def test_pieces_arrive_each_in_a_chunk_and_the_connection_serves_on(pusher):
    async with serve(pusher) as rig:
        client, head = await begun(rig)
        pusher.write(b"one", b"two")
        read = [await client.read_chunk() for _ in range(3)]
        pusher.finish()

        assert head.get("Transfer-Encoding") == ["chunked"]
        assert read == [b"first", b"one", b"two"]
        assert await client.read_chunk() == b""
        assert (await client.ask(OTHER)).body == b"other"
    assert pusher.told == []


async def test_a_client_of_http_1_0_gets_bare_pieces_until_the_close(pusher):
    async with serve(pusher) as rig:
        client, head = await begun(rig, b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        pusher.write(b"one")
        pusher.finish()

        assert head.get("Transfer-Encoding") == []
        assert head.get("Connection") == ["close"]
        assert await client.rest() == b"firstone"


async def test_pieces_pass_through_tls(pusher, tmp_path):
    authority = trustme.CA()
    certificate = tmp_path / "both.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    async with serve(pusher, ssl_certfile=str(certificate), client_tls=tls) as rig:
        client, _ = await begun(rig)
        pusher.write(*(b"%d" % number for number in range(100)))
        read = [await client.read_chunk() for _ in range(101)]
        pusher.finish()

        assert read == [b"first", *(b"%d" % number for number in range(100))]
        assert await client.read_chunk() == b""


@pytest.mark.parametrize("leave", ["half_close", "abort"])
async def test_who_pushes_learns_once_that_the_client_left(pusher, leave):
    async with serve(pusher) as rig:
        client, _ = await begun(rig)
        if leave == "abort":
            client.abort()
        else:
            client.writer.write_eof()

        await until(lambda: pusher.told)
        pusher.write(b"to nobody")
        pusher.finish()
        await until(lambda: not rig.connections)

    assert pusher.told == ["gone"]


async def test_nobody_is_told_of_a_client_that_leaves_after_the_end(pusher):
    async with serve(pusher) as rig:
        client, _ = await begun(rig)
        pusher.finish()
        await client.read_chunk()
        await client.read_chunk()
        client.abort()
        await until(lambda: not rig.connections)

    assert pusher.told == []


async def test_a_client_that_does_not_read_makes_it_unwritable_and_one_that_reads_on_writable(
    pusher,
):
    piece = b"x" * 100_000
    count = 0
    async with serve(pusher) as rig:
        client, _ = await begun(rig)
        client.writer.transport.pause_reading()
        while pusher.push.is_writable:
            pusher.write(piece)
            count += 1
            await asyncio.sleep(0)
        assert pusher.told == []

        client.writer.transport.resume_reading()
        read = [await client.read_chunk() for _ in range(count + 1)]
        await until(lambda: pusher.told)

        assert pusher.push.is_writable
        assert read == [b"first"] + [piece] * count
    assert pusher.told == ["writable", "gone"]


async def test_a_client_that_never_reads_on_is_gone_after_a_while(pusher):
    async with serve(pusher, quick_edge(write_stall_seconds=0.05)) as rig:
        client, _ = await begun(rig)
        client.writer.transport.pause_reading()
        while pusher.push.is_writable:
            pusher.write(b"x" * 100_000)
            await asyncio.sleep(0)

        await until(lambda: "gone" in pusher.told)


async def test_a_cut_answer_cannot_be_taken_for_a_whole_one(pusher):
    async with serve(pusher) as rig:
        client, _ = await begun(rig)
        await client.read_chunk()
        pusher.write(b"one")

        pusher.push.cut()

        assert await client.rest() == b"3\r\none\r\n"
        pusher.push.cut()
    assert pusher.told == []


async def test_an_app_that_returns_without_an_end_has_its_answer_cut(pusher):
    async with serve(pusher) as rig:
        client, _ = await begun(rig)
        pusher.over.set()

        assert await client.rest() == b"5\r\nfirst\r\n"


async def test_the_body_of_the_request_is_dropped_and_the_next_request_is_served(pusher):
    body = b"x" * 300_000
    async with serve(pusher) as rig:
        client = await rig.connect()
        await client.send(b"GET /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body))
        await client.read_head()
        await client.read_chunk()
        await client.send(body, OTHER)
        pusher.finish()

        assert await client.read_chunk() == b""
        assert (await client.read()).body == b"other"


async def test_a_client_that_sends_on_and_leaves_is_noticed(pusher):
    async with serve(pusher) as rig:
        client, _ = await begun(rig)
        await client.send(b"x" * 1_000)
        client.abort()

        await until(lambda: pusher.told == ["gone"])


async def test_a_push_after_the_start_of_an_answer_is_a_fault_of_the_app():
    pusher = Pusher()

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": EXTENSION, "start": pusher.start()})

    async with serve(app) as rig:
        client = await rig.connect()

        assert (await client.ask(GET)).status == 500
    assert pusher.push is None


async def test_a_client_that_left_before_the_start_gets_none():
    pusher = Pusher()
    release, ended = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        await release.wait()
        await send({"type": EXTENSION, "start": pusher.start()})
        ended.set()

    async with serve(app) as rig:
        client = await rig.connect()
        await client.send(GET)
        await until(lambda: rig.server.server_state.tasks)
        client.abort()
        await until(lambda: not rig.connections)
        release.set()
        async with asyncio.timeout(10):
            await ended.wait()

    assert (pusher.push, pusher.told) == (None, [])
