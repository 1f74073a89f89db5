"""Live streams of a running server (`thethings-v2.md` 3.7; `rulings.md`, Wire)."""

import asyncio
import signal
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from support.process import server_process
from support.wire import PATIENCE_SECONDS, ask, connect, request, subscribed, values


@pytest.fixture(scope="module")
def new_thing(server):
    """Make a thing of the running server: its id and token."""
    [product] = server.command("product", "list")

    def make():
        made = server.command("thing", "create", "--product", str(product["id"]))
        return made["id"], made["token"]

    return make


@pytest.fixture(scope="module")
def codes(server):
    [product] = server.command("product", "list")
    return server.command("codes", "create", "--product", str(product["id"]), "--count", "60")


@pytest.fixture
async def token(server, codes):
    made = await ask(server.address, "POST", "/v2/things", {"activationCode": codes.pop()})
    return made.json["thingToken"]


async def write(server, token, *members, query="", **common):
    got = await ask(
        server.address, "POST", f"/v2/things/{token}{query}", values(*members, **common)
    )
    assert got.status == 201, got.body


def pairs(items):
    return [(item["key"], item["value"]) for item in items]


async def test_a_subscriber_hears_its_own_tokens_writes(server, token):
    async with subscribed(server.address, token) as stream:
        await stream.send()
        await write(server, token, ("b", 0.5), ("a", "x"), datetime="2026-01-31T08:00:00Z")

        document = await stream.read_chunk()

    assert document == (
        b'[{"datetime":"2026-01-31T08:00:00.000Z","key":"b","value":0.5},'
        b'{"datetime":"2026-01-31T08:00:00.000Z","key":"a","value":"x"}]'
    )


async def test_what_is_written_after_the_confirmation_is_never_missed(server, token):
    async with connect(server.address) as writer:
        await writer.ask("POST", f"/v2/things/{token}", values(("n", -1)))
        for number in range(50):
            async with subscribed(server.address, token) as stream:
                await writer.ask("POST", f"/v2/things/{token}", values(("n", number)))

                assert pairs(await stream.next_values()) == [("n", number)]


async def test_a_stream_of_one_thing_hears_nothing_of_another(server, codes, token):
    made = await ask(server.address, "POST", "/v2/things", {"activationCode": codes.pop()})
    other = made.json["thingToken"]
    async with subscribed(server.address, token) as stream:
        await write(server, other, ("secret", 1))
        await write(server, token, ("mine", 1))

        assert pairs(await stream.next_values()) == [("mine", 1)]


@pytest.mark.parametrize(
    "text", ["1000", "0", "-5", "-99999999999999999", "1", "999", ""], ids=lambda t: t or "empty"
)
async def test_a_keep_alive_below_a_second_counts_as_a_second(server, token, text):
    # An empty one is the default of a minute, so only a write shows that it is alive.
    async with subscribed(server.address, token, f"?keepAlive={text}") as stream:
        if text:
            assert await stream.read_chunk() == b"{}"
            assert await stream.read_chunk() == b"{}"
        await write(server, token, ("a", 1))

        assert pairs(await stream.next_values()) == [("a", 1)]


@pytest.mark.parametrize("text", ["3600000", "3600001", "2147483648", "9" * 18])
async def test_a_huge_keep_alive_is_clamped_and_the_stream_works(server, token, text):
    async with subscribed(server.address, token, f"?keepAlive={text}") as stream:
        await write(server, token, ("a", 1))

        assert pairs(await stream.next_values()) == [("a", 1)]


@pytest.mark.parametrize("text", ["x", "1e3", "1.5", "--1", "1000ms", "9" * 19, "%D9%A3", "NaN"])
async def test_a_keep_alive_that_is_no_number_is_refused(server, token, text):
    got = await ask(server.address, "GET", f"/v2/things/{token}?keepAlive={text}")

    assert got.status == 400
    assert got.message.startswith("Invalid query: keepAlive")


async def test_a_stream_of_an_unknown_token_is_refused_as_a_whole_answer(server):
    got = await ask(server.address, "GET", f"/v2/things/{'x' * 43}?keepAlive=1000")

    assert (got.status, got.get("Transfer-Encoding")) == (404, None)
    assert got.json == {"status": "error", "code": 404, "message": "Thing not found"}


@pytest.mark.parametrize("text", ["false", "0", "FALSE"])
async def test_a_write_without_broadcast_is_stored_and_not_delivered(server, token, text):
    async with subscribed(server.address, token) as stream:
        await write(server, token, ("quiet", 1), query=f"?broadcast={text}")
        await write(server, token, ("loud", 1), query="?broadcast=true")

        assert pairs(await stream.next_values()) == [("loud", 1)]
    assert (await ask(server.address, "GET", f"/v2/things/{token}/resources/quiet")).status == 200


async def test_magic_writes_are_delivered_in_the_order_sent(server, token):
    async with subscribed(server.address, token) as stream:
        await write(server, token, ("a", 1), ("$settings.name", "N"), ("b", 2), ("$geo", [2, 41]))

        document = await stream.next_values()

    assert [item["key"] for item in document] == ["a", "$settings.name", "b", "$geo"]
    assert document[1] == {"key": "$settings.name", "value": "N"}


async def test_a_new_description_is_delivered(server, token):
    async with subscribed(server.address, token) as stream:
        await ask(server.address, "PUT", f"/v2/things/{token}/resources/description", {"name": "x"})

        assert await stream.next_values() == [{"key": "description", "value": {"name": "x"}}]


async def test_exact_repeats_are_not_delivered(server, token):
    at = {"datetime": "2026-01-31T08:00:00Z"}
    await write(server, token, ("a", 1), **at)
    async with subscribed(server.address, token) as stream:
        await write(server, token, ("a", 1), **at)
        await write(server, token, ("a", 1), ("new", 2), **at)

        assert pairs(await stream.next_values()) == [("new", 2)]


async def test_refused_writes_are_not_delivered(server, token):
    async with subscribed(server.address, token) as stream:
        await ask(server.address, "POST", f"/v2/things/{token}", values(("a", 1), ("b c", 1)))
        await write(server, token, ("good", 1))

        assert pairs(await stream.next_values()) == [("good", 1)]


async def test_concurrent_writers_are_heard_in_the_order_in_which_they_are_stored(server, token):
    writers, each = 8, 25
    moment = "2026-01-31T08:00:00Z"

    async def write_many(number):
        async with connect(server.address) as wire:
            for count in range(each):
                body = values(("o", number * 1_000 + count), datetime=moment)
                got = await wire.ask("POST", f"/v2/things/{token}", body)
                assert got.status == 201

    async with subscribed(server.address, token) as one, subscribed(server.address, token) as two:
        async with asyncio.TaskGroup() as group:
            for number in range(writers):
                group.create_task(write_many(number))
        heard = [(await one.next_values())[0]["value"] for _ in range(writers * each)]
        also = [(await two.next_values())[0]["value"] for _ in range(writers * each)]

    # Of equal times the latest stored comes first, so a read shows the order of the commits.
    newest = await ask(server.address, "GET", f"/v2/things/{token}/resources/o?limit=100")
    assert heard == also
    assert [item["value"] for item in newest.json] == heard[::-1][:100]
    for number in range(writers):
        mine = [value for value in heard if value // 1_000 == number]
        assert mine == sorted(mine)


async def test_a_thing_has_100_streams_and_the_next_one_is_refused(server, token):
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(subscribed(server.address, token)) for _ in range(100)
        ]
        refused = await ask(server.address, "GET", f"/v2/things/{token}")
        await write(server, token, ("a", 1))
        heard = [pairs(await stream.next_values()) for stream in streams]

    assert refused.status == 429
    assert refused.message.startswith("Too many streams: at most 100")
    assert int(refused.get("Retry-After")) >= 1
    assert heard == [[("a", 1)]] * 100


@asynccontextmanager
async def server_of(tmp_path, **limits):
    env = {f"THINGSTEAD_LIMITS_{name.upper()}": str(value) for name, value in limits.items()}
    with server_process(tmp_path / "folder", env=env) as running:
        yield running


async def test_a_client_that_leaves_frees_its_stream(tmp_path):
    async with server_of(tmp_path, streams_per_thing=1) as server:
        for _ in range(3):
            async with subscribed(server.address, server.token):
                full = await ask(server.address, "GET", f"/v2/things/{server.token}")
                assert full.status == 429
            await free_again(server)


async def free_again(server):
    """Wait until a stream is accepted, which happens as soon as the server sees the end."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with connect(server.address) as wire:
                await wire.send(request("GET", f"/v2/things/{server.token}"))
                if (await wire.read_head()).status == 200:
                    break
            await asyncio.sleep(0.01)
    # That stream was closed too; its place must be free before the caller goes on.
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with connect(server.address) as wire:
                await wire.send(request("GET", f"/v2/things/{server.token}"))
                head = await wire.read_head()
                if head.status == 200:
                    wire.half_close()
                    await wire.rest()
                    return
            await asyncio.sleep(0.01)


async def test_a_client_that_does_not_read_is_dropped_and_nobody_else_notices(tmp_path):
    limits = {"stream_queue_events": 8, "writes_per_second": 100_000, "write_burst": 100_000}
    async with server_of(tmp_path, **limits) as server:
        text = "x" * 8_000
        async with (
            subscribed(server.address, server.token) as good,
            slow(server) as bad,
            connect(server.address) as writer,
        ):
            # Enough that no socket buffer can hold it all.
            count = 3_000
            for number in range(count):
                body = values(("n", number), ("t", text))
                await writer.ask("POST", f"/v2/things/{server.token}", body)
                heard = await good.next_values()
                assert heard[0]["value"] == number
            last = await tail(bad)

        assert last < count - 1


@asynccontextmanager
async def slow(server):
    """A subscriber whose client reads nothing more after the confirmation."""
    async with subscribed(server.address, server.token) as stream:
        stream.writer.transport.pause_reading()
        yield stream


async def tail(stream):
    """Read what was still sent to the slow client until its end; return its last number."""
    stream.writer.transport.resume_reading()
    last = -1
    try:
        while True:
            document = await stream.next_document()
            if isinstance(document, dict) and document.get("status") == "error":
                assert document["code"] == 503
                assert "slowly" in document["message"]
            elif isinstance(document, list):
                last = document[0]["value"]
    except (asyncio.IncompleteReadError, ConnectionResetError, ValueError):
        # The chunk of length 0 is the end of the stream and no JSON document.
        return last


async def until_the_end(stream):
    """Read to the end of the stream; return its last document."""
    document = None
    while chunk := await stream.read_chunk():
        document = chunk
    return document


@pytest.mark.parametrize("how", ["rotated", "deleted"])
async def test_a_stream_ends_when_the_command_line_takes_the_token_away(server, new_thing, how):
    thing_id, token = new_thing()
    async with subscribed(server.address, token) as stream:
        words = ["rotate-token", "--overlap-hours", "0", "--", thing_id]
        if how == "deleted":
            words = ["delete", "--", thing_id]
        await asyncio.to_thread(server.command, "thing", *words)

        last = await until_the_end(stream)

    assert b'"status":"error"' in last
    refused = await ask(server.address, "GET", f"/v2/things/{token}")
    assert refused.status == 404


async def test_a_stream_goes_on_while_a_rotated_token_overlaps(server, new_thing):
    thing_id, token = new_thing()
    async with subscribed(server.address, token) as stream:
        made = await asyncio.to_thread(server.command, "thing", "rotate-token", "--", thing_id)
        await write(server, made["token"], ("a", 1))

        assert pairs(await stream.next_values()) == [("a", 1)]


async def test_a_thing_that_goes_ends_its_own_streams_only(server, new_thing, token):
    gone_id, gone = new_thing()
    other_id, _ = new_thing()
    async with AsyncExitStack() as stack:
        stays = await stack.enter_async_context(subscribed(server.address, token))
        # More of them than wrong tokens are allowed from one address.
        ending = [
            await stack.enter_async_context(subscribed(server.address, gone)) for _ in range(40)
        ]
        await asyncio.to_thread(server.command, "thing", "delete", "--", gone_id)
        for stream in ending:
            assert b"error" in await until_the_end(stream)
        # A second change has every stream checked again.
        await asyncio.to_thread(server.command, "thing", "delete", "--", other_id)
        await write(server, token, ("a", 1))

        assert pairs(await stays.next_values()) == [("a", 1)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_server_that_stops_says_goodbye_to_its_streams(tmp_path, number):
    async with server_of(tmp_path) as server:
        async with subscribed(server.address, server.token) as stream:
            server.process.send_signal(number)
            last = await until_the_end(stream)
            assert await stream.rest() == b""

        assert b'"status":"error"' in last
        assert b"the server is stopping" in last
        assert await asyncio.to_thread(server.process.wait, PATIENCE_SECONDS) == 0
