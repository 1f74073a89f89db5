"""How the live WebSocket ends with the server, and what it does to those who misuse it."""

import asyncio
import struct
import zlib
from dataclasses import replace

from websockets.frames import Opcode

from support.in_process import GENEROUS, served
from support.live_socket import authenticated, live_socket
from support.wire import ask, values
from unit.transports.websocket.rig import frame

PATIENCE_SECONDS = 20


async def test_a_stopping_server_closes_every_socket_with_1001(tmp_path):
    are_open = [asyncio.Event() for _ in range(3)]

    async def listen(server, thing, is_open, *, subscribes):
        async with authenticated(server.address, thing.token) as client:
            if subscribes:
                await client.subscribe()
            is_open.set()
            return await client.end()

    async def say_nothing(server, is_open):
        async with live_socket(server.address) as client:
            is_open.set()
            return await client.end()

    async with served(tmp_path) as server:
        thing = await server.new_thing()
        tasks = [
            asyncio.create_task(listen(server, thing, are_open[0], subscribes=True)),
            asyncio.create_task(listen(server, thing, are_open[1], subscribes=False)),
            asyncio.create_task(say_nothing(server, are_open[2])),
        ]
        for is_open in are_open:
            await is_open.wait()
    async with asyncio.timeout(PATIENCE_SECONDS):
        ends = await asyncio.gather(*tasks)

    assert ends == [(1001, "the server is stopping")] * 3


async def test_a_socket_that_does_not_answer_the_close_does_not_hold_the_server_up(
    tmp_path, caplog
):
    async with served(tmp_path) as server:
        reader, writer = await _raw(server)
    async with asyncio.timeout(PATIENCE_SECONDS):
        said = await reader.read()
    writer.close()

    assert said == struct.pack("!BBH", 0x88, 24, 1001) + b"the server is stopping"
    assert "graceful shutdown exceeded" not in caplog.text


async def _raw(server):
    reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
    writer.write(
        b"GET /v2/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def test_a_deflate_bomb_is_not_inflated(tmp_path):
    bomb = zlib.compressobj(wbits=-15)
    squeezed = bomb.compress(bytes(32 * 1024 * 1024)) + bomb.flush()
    async with served(tmp_path) as server:
        reader, writer = await _raw(server)

        writer.write(frame(Opcode.TEXT, squeezed, rsv1=True))
        answer = await reader.read()
        writer.close()

    assert len(squeezed) > 30_000
    assert struct.unpack("!BBH", answer[:4])[2] == 1002


async def test_a_subscription_beyond_a_users_streams_is_refused_by_its_id(tmp_path):
    async with served(tmp_path, limits=replace(GENEROUS, streams_per_thing=1)) as server:
        thing = await server.new_thing()
        async with authenticated(server.address, thing.token) as client:
            await client.subscribe(id="one")
            refused = await client.ask("subscribe", id="two")
            await ask(server.address, "POST", f"/v2/things/{thing.token}", values(("a", 1)))
            heard = await client.hear()

    assert (refused["type"], refused["id"], refused["code"]) == ("error", "two", 429)
    assert heard["id"] == "one"


async def test_sockets_count_as_connections_of_their_address(tmp_path):
    async with served(tmp_path, limits=replace(GENEROUS, connections_per_address=2)) as server:
        thing = await server.new_thing()
        async with (
            authenticated(server.address, thing.token),
            authenticated(server.address, thing.token),
        ):
            got = await ask(server.address, "GET", "/health/live")

    assert got.status == 503


async def test_a_proxys_client_counts_when_the_proxy_is_trusted(tmp_path):
    limits = replace(GENEROUS, bad_tokens_per_minute=1)
    async with served(tmp_path, limits=limits, trusted_proxy=("127.0.0.1",)) as server:
        codes = []
        for client_address in ("203.0.113.1", "203.0.113.1", "203.0.113.2"):
            headers = {"X-Forwarded-For": client_address}
            async with live_socket(server.address, additional_headers=headers) as client:
                codes.append((await client.ask("authenticate", token="x" * 43))["code"])

    assert codes == [401, 429, 401]


async def test_flooding_ends_the_socket_with_1008(tmp_path):
    async with served(tmp_path) as server:
        thing = await server.new_thing()
        async with authenticated(server.address, thing.token) as client:
            for _ in range(200):
                await client.say("ping")
            ended = await client.end()

    assert ended == (1008, "at most 20 messages/s, 40 at once")
