"""Socket.IO's connections: polling and its refusals, WebSockets, and the change between them."""

import asyncio
import json
import socket
import struct
from contextlib import AsyncExitStack
from dataclasses import replace
from urllib.parse import quote

import pytest
import websockets

from support.in_process import GENEROUS, served
from support.socketio import (
    App,
    Polling,
    all_left,
    begun,
    in_namespace,
    joined,
    joined_namespace,
    opened,
    split,
    websocket,
)
from support.wire import ask, connect, request, values

pytestmark = pytest.mark.asyncio(loop_scope="module")

GENERATIONS = pytest.mark.parametrize("eio", [3, 4])
TRANSPORTS = pytest.mark.parametrize("transport", ["polling", "websocket"])


async def write(server, token, *members):
    got = await ask(server.address, "POST", f"/v2/things/{token}", values(*members))
    assert got.status == 201, got.body


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", 5),
        ("EIO=2&transport=polling", 5),
        ("EIO=4", 0),
        ("EIO=4&transport=websocket", 0),
        ("EIO=4&transport=polling&sid=unknown", 1),
        ("EIO=3&transport=polling&sid=unknown", 1),
    ],
)
async def test_what_is_no_poll_is_refused(wire, query, code):
    got = await wire.ask("GET", f"/socket.io/?{query}")

    assert got.status == 400
    assert got.json["code"] == code
    assert got.get("Access-Control-Allow-Origin") == "*"


async def test_a_head_request_opens_nothing(server, wire):
    got = await wire.ask("HEAD", "/socket.io/?EIO=4&transport=polling")

    assert got.status == 400


async def test_the_id_of_one_generation_is_unknown_to_the_other(server, wire):
    async with opened(server.address, 3, "polling") as app:
        target = f"/socket.io/?EIO=4&transport=polling&sid={app.carrier.sid}"

        got = await wire.ask("GET", target)

    assert (got.status, got.json) == (400, {"code": 1, "message": "Session ID unknown"})


async def test_a_connection_is_opened_by_get_only(wire):
    got = await wire.ask("POST", "/socket.io/?EIO=4&transport=polling", b"40")

    assert (got.status, got.json["code"]) == (400, 2)


@GENERATIONS
async def test_a_malformed_body_ends_the_connection(server, eio):
    async with opened(server.address, eio, "polling") as app:
        got = await app.carrier.post_raw(b"x")
        again = await app.carrier.get()

    assert (got.status, got.json) == (400, {"code": 3, "message": "Bad request"})
    assert (again.status, again.json["code"]) == (400, 1)


@GENERATIONS
async def test_a_body_has_at_most_64_kib(server, eio):
    padding = 65_536 - len(joined(eio, ["40/v2," + "x" * 65_000])) + 65_000
    async with opened(server.address, eio, "polling") as app:
        most = joined(eio, ["40/v2," + "x" * padding])
        assert len(most) == 65_536
        assert (await app.carrier.post_raw(most)).status == 200

    async with opened(server.address, eio, "polling") as app:
        got = await app.carrier.post_raw(most + b"x")

    assert got.status == 413


async def test_the_first_clients_frame_their_bodies(server):
    async with opened(server.address, 3, "polling") as app:
        body = b"\x00\x05\xff40/v2"
        got = await app.carrier.post_raw(body, **{"Content-Type": "application/octet-stream"})

        assert (got.status, got.body) == (200, b"ok")
        assert await app.next() == "40/v2,"


@GENERATIONS
async def test_a_client_without_xmlhttprequest_polls_by_scripts(server, wire, eio):
    target = f"/socket.io/?EIO={eio}&transport=polling&j=3"
    got = await wire.ask("GET", target)
    assert got.get("Content-Type") == "text/javascript; charset=UTF-8"
    assert got.body.startswith(b'___eio[3]("')
    assert got.body.endswith(b'");')
    payload = json.loads(got.body.removeprefix(b"___eio[3](").removesuffix(b");"))
    sid = json.loads(split(eio, payload.encode())[0][1:])["sid"]

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = b"d=" + (b"6%3A40%2Fv2%2C" if eio == 3 else b"40%2Fv2%2C")
    posted = await wire.ask("POST", f"{target}&sid={sid}", body, form)
    polled = await wire.ask("GET", f"{target}&sid={sid}")

    assert (posted.status, posted.body) == (200, b"ok")
    assert b"40/v2," in polled.body


async def test_a_form_carries_escaped_line_ends(server, wire):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    # As engine.io-client writes them, so that no browser changes them.
    sent = r'["subscribe",{"resource":"a\\nb"}]'
    async with in_namespace(server.address, 4, "polling") as app:
        body = b"d=" + quote("42/v2," + sent).encode()
        got = await wire.ask("POST", app.carrier.target("&j=0"), body, form)
        _, document = await app.event()

    assert (got.status, got.body) == (200, b"ok")
    assert document["resource"] == "a\nb"


async def test_a_script_has_a_number(wire):
    got = await wire.ask("GET", "/socket.io/?EIO=3&transport=polling&j=alert(1)")

    assert got.status == 400


async def test_polls_of_any_origin_are_allowed(server, wire):
    origin = {"Origin": "https://app.example"}

    new = await wire.ask("GET", "/socket.io/?EIO=4&transport=polling", headers=origin)
    old = await wire.ask("GET", "/socket.io/?EIO=3&transport=polling", headers=origin)
    asked = await wire.ask("OPTIONS", "/socket.io/?EIO=3&transport=polling", headers=origin)

    assert new.get("Access-Control-Allow-Origin") == "*"
    assert new.get("Access-Control-Allow-Credentials") is None
    # Browsers send these with credentials, and refuse `*` then.
    for got in (old, asked):
        assert got.status == 200
        assert got.get("Access-Control-Allow-Origin") == "https://app.example"
        assert got.get("Access-Control-Allow-Credentials") == "true"
        assert got.get("Vary") == "Origin"
    assert asked.get("Access-Control-Allow-Headers") == "Content-Type"


@GENERATIONS
async def test_a_client_that_leaves_a_poll_has_left(server, thing, eio):
    async with opened(server.address, eio, "polling") as app:
        await joined_namespace(app, eio)
        await app.ask("subscribe", {"resource": f"/things/{thing.token}"})
        async with connect(server.address) as leaving:
            await leaving.send(request("GET", app.carrier.target()))
            # A reset: by its end alone a client may still wait for an answer.
            linger = struct.pack("ii", 1, 0)
            leaving.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
        await all_left(server)

        got = await app.carrier.get()

    assert (got.status, got.json["code"]) == (400, 1)


# --- WebSockets ---


@GENERATIONS
async def test_a_polling_client_changes_to_a_websocket(server, thing, eio):
    topic = f"/things/{thing.token}"
    async with in_namespace(server.address, eio, "polling") as app:
        await app.ask("subscribe", {"resource": topic})
        async with websocket(server.address, eio, f"&sid={app.carrier.sid}") as upgraded:
            polling = asyncio.create_task(app.carrier.receive())
            await upgraded.send("2probe")
            assert await upgraded.recv() == "3probe"
            assert await polling == ["6"]
            await upgraded.send("5")
            await write(server, thing.token, ("a", 1))

            packet = await upgraded.recv()
            refused = await app.carrier.get()

    assert packet.startswith("42/v2,")
    assert refused.status == 400


@pytest.mark.parametrize(
    "query",
    ["EIO=5&transport=websocket", "EIO=4&transport=polling", "EIO=4&transport=websocket&sid=x"],
)
async def test_a_websocket_that_cannot_be_is_refused(server, query):
    url = f"ws://{server.address.host}:{server.address.port}/socket.io/?{query}"
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(url):
            pass

    assert refused.value.response.status_code == 400


@GENERATIONS
async def test_binary_messages_are_refused(server, eio):
    async with in_namespace(server.address, eio) as app:
        await app.carrier.socket.send(b"\x04binary")

        with pytest.raises(websockets.ConnectionClosed) as closed:
            await app.carrier.receive()

    assert closed.value.rcvd.code == 1003


async def test_a_malformed_packet_closes_the_websocket(server):
    async with opened(server.address, 4) as app:
        await app.carrier.send("9")

        assert await app.next() == "1"
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await app.carrier.receive()

    assert closed.value.rcvd.code == 1008


@GENERATIONS
@TRANSPORTS
async def test_who_closes_has_left(server, thing, eio, transport):
    async with in_namespace(server.address, eio, transport) as app:
        await app.ask("subscribe", {"resource": f"/things/{thing.token}"})
        await app.carrier.send("1")

        await all_left(server)


# --- The server's side ---


async def test_a_topic_whose_reader_is_too_slow_ends_with_the_reason(tmp_path):
    limits = replace(GENEROUS, stream_queue_events=2)
    async with served(tmp_path / "folder", limits=limits) as server:
        thing = await server.new_thing()
        async with in_namespace(server.address, 4, "polling") as app:
            await app.ask("subscribe", {"resource": f"/things/{thing.token}"})
            for number in range(140):
                await write(server, thing.token, ("n", number))

            heard = []
            while (event := await app.event())[0] != "unsubscribe":
                heard.append(event[1][0]["value"])

    # As many as wait for a poll, and no hole before the end.
    assert heard == list(range(len(heard)))
    assert len(heard) >= 64
    assert (event[1]["status"], event[1]["code"]) == ("error", 503)
    assert "slow" in event[1]["message"]


async def test_there_are_as_many_connections_as_streams_and_no_more(tmp_path):
    async with (
        served(tmp_path / "folder", limits=replace(GENEROUS, streams=2)) as server,
        opened(server.address, 3, "polling"),
        opened(server.address, 4),
    ):
        got = await ask(server.address, "GET", "/socket.io/?EIO=4&transport=polling")
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websocket(server.address, 3)

    assert (got.status, got.json["code"]) == (503, 4)
    assert got.get("Retry-After") == "60"
    assert refused.value.response.status_code == 503


@GENERATIONS
async def test_a_server_that_stops_closes_its_connections(tmp_path, eio):
    async with AsyncExitStack() as clients:
        async with served(tmp_path / "folder") as server:
            on_socket = await clients.enter_async_context(opened(server.address, eio))
            sending = await clients.enter_async_context(connect(server.address))
            waiting = await clients.enter_async_context(connect(server.address))
            app = App(Polling(server.address, eio, sending, waiting))
            app.carrier.sid = (await begun(app, eio))["sid"]
            await waiting.send(request("GET", app.carrier.target()))
            # By the time that this is answered the poll has arrived.
            await app.carrier.send("6")

        got = await waiting.read()
        assert await on_socket.next() == "1"
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await on_socket.carrier.receive()

    assert split(eio, got.body) == ["1"]
    assert closed.value.rcvd.code == 1001
