"""A thing's live stream as Server-Sent Events: its form, and going on where one left off."""

import asyncio
import json

import pytest

from support.event_stream import ACCEPT, event_stream
from support.in_process import served
from support.wire import ask, connect, request, subscribed, values
from thingstead.features.live.cursors import CursorKind, sequence_of
from thingstead.limit_settings import LimitSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def write(address, thing, *members, query="", **common):
    got = await ask(address, "POST", f"{thing}{query}", values(*members, **common))
    assert got.status == 201, got.body


@pytest.fixture
def put(server, thing):
    async def put_values(*members, query="", **common):
        await write(server.address, thing, *members, query=query, **common)

    return put_values


async def test_the_head_says_what_it_is_and_keeps_proxies_from_gathering(server, thing):
    async with connect(server.address) as wire:
        await wire.send(request("GET", thing, headers=ACCEPT))

        head = await wire.read_head()

    assert (head.status, head.get("Transfer-Encoding")) == (200, "chunked")
    assert head.get("Content-Type") == "text/event-stream"
    assert head.get("Cache-Control") == "no-store"
    assert head.get("X-Accel-Buffering") == "no"
    assert head.get("Access-Control-Allow-Origin") == "*"


async def test_the_first_piece_and_an_event_look_exactly_so(server, thing, put):
    async with connect(server.address) as wire:
        await wire.send(request("GET", thing, headers=ACCEPT))
        await wire.read_head()
        opening = (await wire.read_chunk()).decode()
        await put(("b", 0.5), ("a", "x\ny"), datetime="2026-01-31T08:00:00Z")
        event = (await wire.read_chunk()).decode()

    retry, confirmation, rest = opening.split("\n\n")
    assert (retry, rest) == ("retry: 3000", "")
    cursor, *lines = confirmation.split("\n")
    assert cursor.startswith("id: v")
    assert lines == ["event: subscribed", 'data: {"status":"success","message":"subscribed"}']
    cursor, *lines = event.split("\n")
    assert cursor.startswith("id: v")
    assert lines == [
        "event: values",
        (
            'data: [{"datetime":"2026-01-31T08:00:00.000Z","key":"b","value":0.5},'
            '{"datetime":"2026-01-31T08:00:00.000Z","key":"a","value":"x\\ny"}]'
        ),
        "",
        "",
    ]


async def test_the_data_is_the_document_of_the_v2_stream(server, token, thing, put):
    async with (
        event_stream(server.address, thing) as events,
        subscribed(server.address, token) as stream,
    ):
        await put(("a", [1, {"b": None}]), ("$settings.name", "N"))

        assert (await events.next()).data.encode() == await stream.read_chunk()


@pytest.mark.parametrize(
    "accept",
    [
        "text/event-stream",
        "TEXT/Event-Stream",
        "text/html, text/event-stream;q=0.1",
        "text/event-stream; charset=utf-8, */*",
        "text/event-stream;q=1.0",
        "text/event-stream;q=0.001",
    ],
)
async def test_accept_may_name_it_among_others(server, thing, accept):
    async with event_stream(server.address, thing, {"Accept": accept}):
        pass


@pytest.mark.parametrize(
    "accept", ["*/*", "text/*", "application/json", "text/event-stream;q=0", "text/event-streams"]
)
async def test_who_does_not_name_it_gets_bare_documents(server, thing, accept):
    async with connect(server.address) as wire:
        await wire.send(request("GET", thing, headers={"Accept": accept}))

        assert (await wire.read_head()).get("Content-Type") == "application/json"


async def test_a_silent_stream_shows_life_by_comments(server, thing, put):
    async with event_stream(server.address, f"{thing}?keepAlive=1000") as events:
        await events.sign_of_life()
        await events.sign_of_life()
        await put(("a", 1))

        assert await events.values() == [("a", 1)]


async def test_a_client_of_http_1_0_gets_bare_events(server, token, thing):
    async with connect(server.address) as wire:
        await wire.send(
            f"GET /v2/things/{token} HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n".encode()
        )
        head = await wire.read_head()
        await write(server.address, thing, ("a", 1))
        text = await wire.reader.readuntil(b'"value":1}]\n\n')

    assert head.get("Transfer-Encoding") is None
    assert text.startswith(b"retry: 3000\n\nid: v")


async def test_many_writes_at_once_come_in_order_and_once(server, thing, put):
    async with event_stream(server.address, thing) as events:
        await asyncio.gather(*(put(("n", number)) for number in range(50)))

        heard = [await events.next() for _ in range(50)]

    cursors = [sequence_of(CursorKind.VALUES, event.id) for event in heard]
    assert cursors == sorted(set(cursors))
    assert sorted(event.json[0]["value"] for event in heard) == list(range(50))


async def test_a_resumed_stream_gives_what_was_missed_and_goes_on(server, thing, put):
    async with event_stream(server.address, thing) as events:
        await put(("n", 0))
        await events.next()
        left_at = events.last_id
    for number in range(1, 6):
        await put(("n", number), ("m", str(number)))
    await put(("quiet", 1), query="?broadcast=false")

    async with event_stream(server.address, thing, since=left_at) as events:
        missed = [await events.values() for _ in range(5)]
        await put(("n", 6))

        assert missed == [[("n", number), ("m", str(number))] for number in range(1, 6)]
        assert await events.values() == [("n", 6)]


async def test_what_is_told_again_is_what_was_told(server, thing, put):
    async with event_stream(server.address, thing) as events:
        begun_at = events.last_id
        await put(("b", 0.5), ("a", "x"), ("$settings.name", "N"), geo={"lat": 41, "long": 2})
        told = await events.next()

    async with event_stream(server.address, thing, since=begun_at) as events:
        again = await events.next()

    # Numbers are equal, though 41 may be told as 41.0: so it is kept.
    assert (again.type, again.id, again.json) == (told.type, told.id, told.json)


async def test_since_stands_in_the_query_for_clients_that_send_no_header(server, thing, put):
    async with event_stream(server.address, thing) as events:
        begun_at = events.last_id
    await put(("a", 1))
    await put(("a", 2))

    async with event_stream(server.address, f"{thing}?since={begun_at}") as events:
        first = await events.next()
    async with event_stream(server.address, f"{thing}?since={begun_at}", since=first.id) as events:
        assert await events.values() == [("a", 2)]


async def test_nothing_is_missed_or_doubled_while_others_write(server, thing, put):
    async with event_stream(server.address, thing) as events:
        since = events.last_id
    count = 150

    async def write_all():
        for number in range(count):
            await put(("n", number))

    writing = asyncio.create_task(write_all())
    heard = []
    while len(heard) < count:
        # Comes and goes all the time, as a browser on a bad line.
        async with event_stream(server.address, thing, since=since) as events:
            for _ in range(min(7, count - len(heard))):
                event = await events.next()
                assert event.type == "values"
                heard.append(event.json[0]["value"])
            since = events.last_id
    await writing

    assert heard == list(range(count))


@pytest.mark.parametrize("cursor", ["x", "c1", "v", "v-1", "vg", "v" + "1" * 16, "%00", "v1%0a"])
async def test_a_cursor_that_is_none_is_refused(server, thing, cursor):
    got = await ask(server.address, "GET", f"{thing}?since={cursor}", headers=ACCEPT)

    assert (got.status, got.message.partition(":")[0]) == (400, "Invalid cursor")


async def test_a_cursor_of_another_history_is_a_gap_and_the_stream_goes_on(server, thing, put):
    async with event_stream(server.address, thing, since="v" + "f" * 15) as events:
        gap = await events.next()
        await put(("a", 1))

        assert gap.type == "gap"
        assert json.loads(gap.data)["message"]
        assert await events.values() == [("a", 1)]
    # The gap's own cursor is one to go on from.
    async with event_stream(server.address, thing, since=gap.id) as events:
        assert await events.values() == [("a", 1)]


async def test_an_unknown_token_is_refused_as_a_whole_answer(server):
    got = await ask(server.address, "GET", f"/v2/things/{'x' * 43}", headers=ACCEPT)

    assert (got.status, got.message) == (404, "Thing not found")


async def test_a_stream_of_one_thing_replays_nothing_of_another(server, thing, put):
    async with event_stream(server.address, thing) as events:
        begun_at = events.last_id
    await write(server.address, f"/v2/things/{await server.new_token()}", ("secret", 1))
    await put(("mine", 1))

    async with event_stream(server.address, thing, since=begun_at) as events:
        assert await events.values() == [("mine", 1)]


async def test_the_end_of_the_right_is_an_event_with_its_reason(server):
    made = await server.new_thing()
    async with event_stream(server.address, f"/v2/things/{made.token}") as events:
        await server.platform.things.delete(made.thing.id)

        [end] = await events.rest()

    assert end.type == "end"
    assert end.json["code"] == 404
    assert "the right to listen has ended" in end.json["message"]


async def test_a_preflight_allows_the_header_that_resumes(server, thing):
    got = await ask(server.address, "OPTIONS", thing)

    assert "Last-Event-ID" in got.get("Access-Control-Allow-Headers").split(", ")


async def test_a_stream_resumes_over_a_restart_of_the_server(tmp_path):
    folder = tmp_path / "folder"
    async with served(folder) as server:
        thing = f"/v2/things/{await server.new_token()}"
        async with event_stream(server.address, thing) as events:
            await write(server.address, thing, ("n", 0))
            await events.next()
            left_at = events.last_id
        await write(server.address, thing, ("n", 1))
    async with served(folder) as server:
        await write(server.address, thing, ("n", 2))
        async with event_stream(server.address, thing, since=left_at) as events:
            assert [await events.values() for _ in range(2)] == [[("n", 1)], [("n", 2)]]


async def test_a_server_that_stops_tells_when_to_come_back(tmp_path):
    async with served(tmp_path / "folder") as server:
        thing = f"/v2/things/{await server.new_token()}"
        async with event_stream(server.address, thing) as events:
            server.platform.live.stop()
            [end] = await events.rest()

            assert (end.type, end.json["code"]) == ("end", 503)
            assert "the server is stopping" in end.json["message"]
            assert events.retry_ms == 10_000


@pytest.mark.parametrize(("query", "is_conflated"), [("", False), ("?conflate=true", True)])
async def test_who_does_not_read_ends_or_gets_the_newest_values(tmp_path, query, is_conflated):
    limits = LimitSettings(stream_queue_events=8, writes_per_second=100_000, write_burst=100_000)
    async with served(tmp_path / "folder", limits=limits) as server:
        thing = f"/v2/things/{await server.new_token()}"
        async with event_stream(server.address, f"{thing}{query}") as events:
            transport = events.wire.writer.transport
            transport.pause_reading()
            [subscription] = [one for ones in server.platform.live._open.values() for one in ones]
            # Until nothing more fits into any buffer on the way.
            number = 0
            async with connect(server.address) as writer:
                while server.platform.live.counts.conflated < 20 and subscription.ended is None:
                    body = values(("n", number), ("t", "x" * 8_000))
                    assert (await writer.ask("POST", thing, body)).status == 201
                    number += 1
            transport.resume_reading()
            heard = [await events.next()]
            while heard[-1].type == "values" and heard[-1].json[0]["value"] < number - 1:
                heard.append(await events.next())

    numbers = [event.json[0]["value"] for event in heard if event.type == "values"]
    assert numbers == sorted(set(numbers))
    assert len(numbers) < number
    if is_conflated:
        assert numbers[-1] == number - 1
    else:
        assert heard[-1].type == "end"
        assert "too slowly" in heard[-1].json["message"]
