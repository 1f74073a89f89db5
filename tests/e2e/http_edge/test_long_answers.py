"""Answers of known length on the wire: their length, what follows them, and clients that crawl."""

import asyncio
import logging
import socket
import ssl
from contextlib import asynccontextmanager

import pytest
import trustme

from e2e.http_edge.rig import answer, quick_edge, read_body, serve, turns, until
from thingstead.kernel.errors import StoreUnavailableError
from thingstead.transports.http.long_answers import LongAnswer, LongSender
from thingstead.transports.http.ranges import Span

SIZE = 3_000_001
# More than the buffers of the system take.
LARGE = 40_000_001
PATTERN = bytes(range(251))
GET = b"GET /a HTTP/1.1\r\n\r\n"
OTHER = b"GET /other HTTP/1.1\r\n\r\n"


class Image:
    """An app that answers with many bytes."""

    def __init__(self, size=SIZE, breaks_at=None):
        self.content = (PATTERN * (size // len(PATTERN) + 1))[:size]
        self.breaks_at = breaks_at
        self.furthest = 0
        self.told = []
        self.ended = asyncio.Event()
        self._sender = LongSender()

    async def __call__(self, scope, receive, send):
        await read_body(receive)
        if scope["path"] == "/other":
            await answer(send, b"other")
            return
        size = len(self.content)
        parts = () if scope["method"] == "HEAD" else (Span(0, size),)
        await self._sender.send(
            send, LongAnswer(200, size, ((b"X", b"y"),), parts, size - 1, self.open)
        )

    @property
    def blob(self):
        return self

    @asynccontextmanager
    async def open(self):
        try:
            yield self
        finally:
            self.ended.set()

    def read_now(self, start, size):
        self.furthest = max(self.furthest, start + size)
        return self.content[start : start + size]

    async def read(self, start, size):
        raise StoreUnavailableError

    async def begun(self):
        self.told.append("begun")

    async def finished(self):
        self.told.append("finished")


async def crawler(rig, request=GET):
    """A client that does not read."""
    client = await rig.connect()
    client.writer.transport.pause_reading()
    await client.send(request)
    return client


async def test_it_has_its_exact_length_and_the_connection_serves_on():
    image = Image()
    async with serve(image) as rig:
        client = await rig.connect()
        got = await client.ask(GET)
        other = await client.ask(OTHER)

    assert got.body == image.content
    assert got.get("Content-Length") == [str(SIZE)]
    assert (got.get("Transfer-Encoding"), got.get("Connection")) == ([], [])
    assert other.body == b"other"
    assert image.told == ["begun", "finished"]


async def test_requests_that_follow_at_once_are_answered_in_their_order():
    image = Image()
    async with serve(image) as rig:
        client = await rig.connect()
        await client.send(GET + GET + OTHER)
        read = [(await client.read()).body for _ in range(3)]

    assert read == [image.content, image.content, b"other"]


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_head_has_the_length_and_no_body(version):
    image = Image()
    async with serve(image) as rig:
        client = await rig.connect()
        await client.send(b"HEAD /a HTTP/%b\r\nConnection: keep-alive\r\n\r\n" % version)
        got = await client.read(has_body=False)
        other = await client.ask(OTHER)

    assert (got.get("Content-Length"), other.body) == ([str(SIZE)], b"other")
    assert image.told == []


async def test_client_of_http_1_0_gets_the_length_and_the_close():
    image = Image()
    async with serve(image) as rig:
        client = await rig.connect()
        await client.send(b"GET /a HTTP/1.0\r\n\r\n")
        got = await client.read_head()
        body = await client.rest()

    assert got.get("Content-Length") == [str(SIZE)]
    assert (got.get("Transfer-Encoding"), got.get("Connection")) == ([], ["close"])
    assert body == image.content


async def test_client_of_http_1_0_that_wants_to_stay_may():
    image = Image()
    async with serve(image) as rig:
        client = await rig.connect()
        got = await client.ask(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        other = await client.ask(OTHER)

    assert (got.body == image.content, other.body) == (True, b"other")


async def test_client_that_closes_its_sending_side_still_gets_all():
    image = Image(LARGE)
    async with serve(image) as rig:
        client = await crawler(rig)
        await until(lambda: image.told)
        client.writer.write_eof()
        client.writer.transport.resume_reading()
        got = await client.read()
        rest = await client.rest()

    assert (got.body == image.content, rest) == (True, b"")
    assert image.told == ["begun", "finished"]


async def test_it_passes_through_tls(tmp_path):
    authority = trustme.CA()
    certificate = tmp_path / "both.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    image = Image()
    async with serve(image, ssl_certfile=str(certificate), client_tls=tls) as rig:
        client = await rig.connect()
        got = await client.ask(GET)
        other = await client.ask(OTHER)

    assert (got.body == image.content, other.body) == (True, b"other")


async def test_little_is_held_for_a_client_that_does_not_read():
    image = Image(LARGE)
    async with serve(image) as rig:
        client = await crawler(rig)
        await until(lambda: image.furthest > 100_000)
        held = []
        for _ in range(200):
            held += [one.transport.get_write_buffer_size() for one in rig.connections]
            await asyncio.sleep(0)
        client.abort()
        await until(image.ended.is_set)

    assert held
    assert max(held) <= 128 * 1024
    assert image.told == ["begun"]


@pytest.mark.skipif(
    not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the system has no such option"
)
async def test_the_system_holds_little_for_a_client_that_does_not_read():
    image = Image(LARGE)
    async with serve(image) as rig:
        with socket.socket() as client:
            # What its own side holds is not the server's.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024)
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", rig.port))
            client.send(GET)
            await until(lambda: any(one.flow.write_paused for one in rig.connections))
            await turns(200)
        await until(image.ended.is_set)

    # The kernel took up to four megabytes of it otherwise.
    assert image.furthest <= 512 * 1024


async def test_client_that_leaves_before_the_last_piece_is_no_error_of_the_server(caplog):
    class Left(Image):
        def read_now(self, start, size):
            if start + size == SIZE:
                for one in rig.connections:
                    one.transport.abort()
            return super().read_now(start, size)

    image = Left()
    async with serve(image) as rig:
        client = await rig.connect()
        await client.send(GET)
        await client.read_head()
        await client.rest()
        await until(image.ended.is_set)

    assert image.told == ["begun"]
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_source_that_breaks_cuts_the_answer(caplog):
    class Breaking(Image):
        def read_now(self, start, size):
            return None if start + size > SIZE // 2 else super().read_now(start, size)

    image = Breaking()
    async with serve(image) as rig:
        client = await rig.connect()
        await client.send(GET)
        await client.read_head()
        body = await client.rest()

    assert 0 < len(body) < SIZE
    assert image.content.startswith(body)
    assert "cut off: store-unavailable" in caplog.text
    assert image.told == ["begun"]


async def test_client_that_reads_too_slowly_is_cut_off_and_logged(caplog):
    image = Image(LARGE)
    edge = quick_edge(pace_seconds=0.05, write_stall_seconds=1_000_000.0)
    async with serve(image, edge) as rig:
        with caplog.at_level(logging.WARNING):
            await crawler(rig)
            await until(image.ended.is_set)
            await until(lambda: not rig.connections)

    assert "reads less than 1024 bytes/s" in caplog.text
    assert image.told == ["begun"]


async def test_client_that_reads_fast_enough_is_left_alone_however_long_it_stops():
    image = Image(LARGE)
    # A stall of any length would end another answer; here what was taken on average counts.
    edge = quick_edge(pace_seconds=0.05, pace_bytes_per_second=0, write_stall_seconds=0.0)
    async with serve(image, edge) as rig:
        client = await crawler(rig)
        await until(lambda: any(one.flow.write_paused for one in rig.connections))
        (connection,) = rig.connections
        looks = set()
        await until(lambda: looks.add(connection.stall_deadline) or len(looks) > 3)

        client.writer.transport.resume_reading()
        got = await client.read()
        await until(lambda: image.told == ["begun", "finished"])

    assert got.body == image.content


@pytest.mark.parametrize("leave", ["half_close_first", "reset"])
async def test_client_that_leaves_what_the_system_holds_for_it_has_not_got_it(leave):
    # All of it fits into the buffers of the system.
    image = Image(200_000)
    async with serve(image) as rig:
        client = await crawler(rig)
        await until(lambda: image.furthest == 200_000)
        if leave == "half_close_first":
            client.writer.write_eof()
            await until(lambda: all(one._has_ended for one in rig.connections))

        client.abort()
        await until(image.ended.is_set)
        await until(lambda: not rig.connections)

    assert image.told == ["begun"]
