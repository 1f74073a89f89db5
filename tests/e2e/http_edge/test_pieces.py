"""Random requests cut at random places, and random damage; the seeds are fixed."""

import contextlib
import logging
import random

import pytest

from e2e.http_edge.rig import Echo, quick_edge, serve, until
from e2e.http_edge.test_smuggling import CORPUS

KINDS = [
    (b"POST /v2/things/T HTTP/1.1\r\nContent-Length: %d\r\n\r\n", True),
    (b"POST /v2/things/T HTTP/1.1\nContent-Length: %d\n\n", True),
    (b"\r\nPOST /v2/things/T HTTP/1.1\r\nA: b\ncontent-length:%d\n\r\n", True),
    (b"GET /a HTTP/1.1\r\n\r\n", False),
    (b"GET /a HTTP/1.1\nHost: b\n\n\n", False),
]
BODIES = [b"", b"{}", b"\r\n\r\n", b"\n\nGET /evil HTTP/1.1\n\n", b"x" * 70_000]


def cut(random_source: random.Random, data: bytes) -> list[bytes]:
    places = sorted(random_source.sample(range(len(data)), min(8, len(data))))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@pytest.mark.parametrize("seed", range(30))
async def test_requests_are_the_same_wherever_tcp_cuts_them(seed):
    source, app = random.Random(seed), Echo()
    sent, expected = b"", []
    for _ in range(12):
        (head, has_body), body = source.choice(KINDS), source.choice(BODIES)
        sent += (head % len(body) + body) if has_body else head
        expected.append(("POST", "/v2/things/T", body) if has_body else ("GET", "/a", b""))
    async with serve(app) as rig:
        client = await rig.connect()

        await client.send(*cut(source, sent))
        answers = [await client.read() for _ in expected]

        assert [answer.status for answer in answers] == [200] * len(expected)
        assert app.seen == expected


@pytest.mark.parametrize("seed", range(10))
async def test_damaged_requests_never_break_the_server(seed, caplog):
    source = random.Random(seed)
    samples = [*CORPUS.values(), *(head % 2 + b"{}" if has else head for head, has in KINDS)]
    short = dict.fromkeys(("head_seconds", "body_seconds", "keep_alive_seconds"), 0.02)
    edge = quick_edge(linger_seconds=0.02, **short)
    async with serve(Echo(), edge) as rig:
        with caplog.at_level(logging.WARNING):
            for sample in samples:
                damaged = bytearray(sample * 2)
                for _ in range(source.randint(1, 4)):
                    damaged[source.randrange(len(damaged))] = source.randrange(256)
                client = await rig.connect()
                # The server may be done with it before the last piece is sent.
                with contextlib.suppress(ConnectionError):
                    await client.send(*cut(source, bytes(damaged)))
        await until(lambda: not rig.connections)

        assert caplog.records == []
        assert edge.counts.total == 0
        assert edge.counts.refusals[500] == 0


async def test_a_mistake_of_ours_while_parsing_is_a_500_and_is_logged(caplog):
    async with serve(Echo()) as rig:
        client = await rig.connect()
        await until(lambda: rig.connections)
        (connection,) = rig.connections
        connection._begin_body = lambda: 1 / 0

        got = await client.ask(b"GET /secret-token HTTP/1.1\r\n\r\n")

        assert got.status == 500
        assert await client.rest() == b""
        (record,) = (one for one in caplog.records if one.exc_info)
        assert "secret-token" not in record.getMessage()
