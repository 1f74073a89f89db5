"""The small HTTP client against a server that answers as it is told."""

import asyncio
import ssl

import pytest
import trustme

from thingstead.simulation.http_client import HTTPClient, NoAnswerError, Origin


def test_an_origin_is_read_from_a_url():
    assert Origin.of("http://localhost:8000") == Origin(
        "localhost", 8000, is_tls=False, authority="localhost:8000", path=""
    )
    assert Origin.of("https://things.example/iot/") == Origin(
        "things.example", 443, is_tls=True, authority="things.example", path="/iot"
    )
    assert Origin.of("http://[::1]:80").host == "::1"


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://a",
        "http://",
        "http://a?b",
        "http://u:p@a",
        "http://a:99999",
        "http://a/b c",
        "http://ä",
    ],
)
def test_other_urls_are_refused(url):
    with pytest.raises(ValueError, match=r"expected|out of range"):
        Origin.of(url)


async def test_requests_one_after_the_other_share_a_connection(server, client):
    answers = [await client.post("/a", b"{}") for _ in range(3)]

    assert [answer.status for answer in answers] == [201, 201, 201]
    assert answers[0].body == b'{"status":"created"}'
    assert server.paths == ["/a", "/a", "/a"]
    assert server.connections == 1


async def test_no_more_connections_are_opened_than_allowed(server):
    client = HTTPClient(Origin.of(server.url), connections=2)

    await asyncio.gather(*(client.post("/", b"{}") for _ in range(10)))
    client.close()

    assert len(server.paths) == 10
    assert server.connections <= 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_a_connection_that_is_not_kept_is_not_used_again(server, client, answer):
    server.script = [answer]

    first = await client.post("/", b"{}")
    await client.post("/", b"{}")

    assert first.body == b"ok"
    assert server.connections == 2


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced(server, client):
    server.script = [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", None]
    await client.post("/", b"{}")
    with pytest.raises(NoAnswerError, match="the connection was closed") as caught:
        await client.post("/", b"{}")

    answer = await client.post("/", b"{}")

    assert caught.value.was_sent
    assert answer.status == 201


async def test_chunked_interim_and_empty_answers_are_understood(server, client):
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n"
    server.script = [interim + head + chunks, b"HTTP/1.1 204 No Content\r\n\r\n"]

    assert (await client.post("/", b"{}")).body == b"abcde"
    assert (await client.post("/", b"{}")).body == b""
    assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", "too large"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", "head is too large"),
    ],
)
async def test_answers_that_are_no_use_are_told(server, client, answer, reason):
    server.script = [answer]

    with pytest.raises(NoAnswerError, match=reason):
        await client.post("/", b"{}")


async def test_a_server_that_says_nothing_is_given_up(server):
    server.script = [b"HTTP/1.1 200"]
    client = HTTPClient(Origin.of(server.url), timeout_s=0.01)

    with pytest.raises(NoAnswerError, match="no answer in time") as caught:
        await client.post("/", b"{}")

    assert caught.value.was_sent


async def test_a_server_that_is_not_there_is_told_without_having_sent(server):
    url = server.url
    await server.stop()

    with pytest.raises(NoAnswerError, match="connection refused") as caught:
        await HTTPClient(Origin.of(url)).check()

    assert not caught.value.was_sent


async def test_a_certificate_that_is_not_trusted_is_told():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(tls)
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]

    with pytest.raises(NoAnswerError, match="certificate is not trusted"):
        await HTTPClient(Origin.of(f"https://localhost:{port}")).check()
    server.close()
