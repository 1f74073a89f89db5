"""TLS and shutting down."""

import asyncio
import ssl

import pytest
import trustme

from e2e.http_edge.rig import Echo, answer, quick_edge, read_body, serve, until

GET = b"GET /a HTTP/1.1\r\n\r\n"


@pytest.fixture
def tls(tmp_path):
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "both.pem")
    )
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return {"ssl_certfile": str(tmp_path / "both.pem"), "client_tls": client}


async def test_tls_serves_the_same_answers(tls):
    async with serve(Echo(), **tls) as rig:
        client = await rig.connect()

        got = await client.ask(b"POST /a HTTP/1.1\nContent-Length: 2\n\n{}")

        assert got.json["body"] == "{}"


async def test_tls_clients_can_read_a_refusal_too(tls):
    async with serve(Echo(), quick_edge(linger_seconds=0.05), **tls) as rig:
        client = await rig.connect()

        got = await client.ask(b"GET /" + b"x" * 1_000_000)

        assert got.status == 414
        assert await client.rest() == b""


async def test_shutdown_ends_a_busy_connection_after_its_answer():
    release = asyncio.Event()

    async def app(scope, receive, send):
        await read_body(receive)
        await release.wait()
        await answer(send)

    async with serve(app) as rig:
        client = await rig.connect()
        await client.send(GET)
        await until(lambda: rig.server.server_state.tasks)
        stopping = asyncio.create_task(rig.server.shutdown())
        await until(lambda: not rig.server.servers[0].is_serving())
        release.set()

        got = await client.read()

        assert got.status == 200
        assert got.get("Connection") == ["close"]
        async with asyncio.timeout(10):
            await stopping


async def test_an_app_that_outlasts_the_patience_at_shutdown_is_cancelled():
    async def app(scope, receive, send):
        await asyncio.Event().wait()

    async with serve(app, timeout_graceful_shutdown=0) as rig:
        client = await rig.connect()
        await client.send(GET)
        await until(lambda: rig.server.server_state.tasks)

        async with asyncio.timeout(10):
            await rig.server.shutdown()

        assert (await client.read()).status == 500


async def test_shutdown_closes_a_connection_that_lingers():
    async with serve(Echo(), quick_edge(linger_seconds=60)) as rig:
        client = await rig.connect()
        await client.ask(b"bad\r\n\r\n")

        async with asyncio.timeout(10):
            await rig.server.shutdown()

        assert await client.rest() == b""


async def test_a_partial_class_works_as_well():
    from functools import partial

    from thingstead.transports.http.protocol import ThingsteadProtocol

    async with serve(Echo(), http=partial(ThingsteadProtocol, edge=quick_edge())) as rig:
        client = await rig.connect()

        assert (await client.ask(GET)).status == 200
