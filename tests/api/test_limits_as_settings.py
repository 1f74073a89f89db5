"""Every limit that can be set, at n and at n + 1, on a server that was started with it.

What a limit does is tested beside its code; here, that the setting reaches that code. Each
server has one small limit, so a limit that was wired to another's place does not hold. The
clock stands still and is moved by the tests. The last tests find limits without a test.
"""

import ast
import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from doubles.clock import ManualClock
from support.in_process import served
from support.wire import PATIENCE_SECONDS, ask, compact, connect, request, subscribed, values
from thingstead import server as composition
from thingstead.bootstrap import administration
from thingstead.features.live.model import End
from thingstead.features.live.subscription import SubscriptionEndedError
from thingstead.limit_settings import LimitSettings
from thingstead.settings import Settings

GOOD = compact(values(("k", 1)))
ROOT = Path(__file__).parents[2]
FILES = (
    Path(__file__),
    ROOT / "tests/api/test_limits_of_messaging.py",
    ROOT / "tests/api/mqtt/test_limits.py",
    ROOT / "tests/api/app/test_limits.py",
    ROOT / "tests/api/firmware/test_limits_as_settings.py",
    ROOT / "tests/api/app/test_limits_of_things.py",
)
# The fields that a limit may have without being set in these files: why, and where its test is.
EXCEPTIONS = {
    "kept_bytes": ("no answer shows it", "tests/unit/storage/test_newest_cache.py"),
    "drain_seconds": ("it needs a process that ends", "tests/e2e/test_server_process.py"),
}


@pytest.fixture(params=[True, False], ids=["lane", "plain"])
def has_lane(request):
    return request.param


@pytest.fixture
def clock(monkeypatch):
    """The clock of every platform that is opened: it starts at 2026-01-01T00:00:00.000Z."""
    standing = ManualClock(1_767_225_600_000)
    monkeypatch.setattr(administration, "SystemClock", lambda: standing)
    return standing


@pytest.fixture
def start(tmp_path, has_lane, clock):
    """Start a server with the limits given; `start.folder` is where it keeps its files."""

    def started(limits):
        return served(started.folder, has_lane=has_lane, limits=limits)

    started.folder = tmp_path / "folder"
    return started


async def known_thing(server):
    """The path of a new thing whose token was seen before, as the direct lane needs it."""
    token = await server.new_token()
    await server.platform.things.resolve(token, address=None)
    return f"/v2/things/{token}"


async def sent(server, data):
    """The answer to exactly these bytes on a connection of their own."""
    async with connect(server.address) as wire:
        await wire.send(data)
        return await wire.read()


async def statuses(server, count, method, target, body=None):
    """The statuses of so many equal requests, one after the other."""
    async with connect(server.address) as wire:
        return [(await wire.ask(method, target, body)).status for _ in range(count)]


def padded(value, size):
    """The value as JSON with blanks after it, so many bytes in all."""
    return compact(value).ljust(size)


def document_of(size):
    """An object whose compact JSON has so many bytes."""
    return {"a": "x" * (size - len(compact({"a": ""})))}


def keys(*names):
    return compact(values(*((name, 1) for name in names)))


def dated(instant):
    return compact(values(("k", 1), datetime=instant))


@dataclass(frozen=True)
class Case:
    """A write at a limit, the next larger one to the same thing, and its refusal."""

    limits: LimitSettings
    fitting: bytes
    beyond: bytes
    status: int
    reason: str


WRITES = {
    "body below that of activations": Case(
        LimitSettings(write_bytes=100, document_bytes=100),
        padded(values(("k", 1)), 100),
        padded(values(("k", 1)), 101),
        413,
        "at most 100 bytes",
    ),
    "body above that of activations": Case(
        LimitSettings(write_bytes=300, object_bytes=100, document_bytes=100),
        padded(values(("k", 1)), 300),
        padded(values(("k", 1)), 301),
        413,
        "at most 300 bytes",
    ),
    "settings": Case(
        LimitSettings(document_bytes=50),
        compact(values(("$settings", document_of(50)))),
        compact(values(("$settings", document_of(51)))),
        400,
        "than 50 bytes",
    ),
    "settings, grown by a path": Case(
        LimitSettings(document_bytes=50),
        compact(values(("$settings.a", document_of(50)["a"]))),
        compact(values(("$settings.a", document_of(51)["a"]))),
        400,
        "than 50 bytes",
    ),
    "values": Case(
        LimitSettings(values_per_write=3),
        keys("k", "k", "k"),
        keys("k", "k", "k", "k"),
        400,
        "values: more than 3 in one request",
    ),
    "one value": Case(
        LimitSettings(value_bytes=20),
        compact(values(("k", "x" * 18))),
        compact(values(("k", "x" * 19))),
        400,
        "larger than 20 bytes",
    ),
    "different keys": Case(
        LimitSettings(keys_per_thing=3),
        keys("a", "b", "c"),
        keys("d"),
        400,
        "a thing may have 3 different keys",
    ),
    "days ago": Case(
        LimitSettings(past_days=2),
        dated("2025-12-30T00:00:00.000Z"),
        dated("2025-12-29T23:59:59.999Z"),
        400,
        "more than 2 days ago",
    ),
    "hours ahead": Case(
        LimitSettings(future_hours=3),
        dated("2026-01-01T03:00:00.000Z"),
        dated("2026-01-01T03:00:00.001Z"),
        400,
        "more than 3 hours ahead",
    ),
}


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_at_a_limit_is_stored_and_one_beyond_it_is_refused(start, has_lane, name):
    case = WRITES[name]
    async with start(case.limits) as server:
        thing = await known_thing(server)

        fitting = await ask(server.address, "POST", thing, case.fitting)
        beyond = await ask(server.address, "POST", thing, case.beyond)

        assert (fitting.status, beyond.status) == (201, case.status)
        assert case.reason in beyond.message
        assert (server.taken_by_lane > 0) == has_lane


async def test_the_body_of_a_write_may_be_larger_than_by_default(start):
    two_mib = 2 * 1_048_576
    async with start(LimitSettings(write_bytes=two_mib)) as server:
        thing = await known_thing(server)
        body = values(("k", 1))

        fitting = await ask(server.address, "POST", thing, padded(body, two_mib))
        beyond = await ask(server.address, "POST", thing, padded(body, two_mib + 1))

        assert (fitting.status, beyond.status) == (201, 413)
        assert f"at most {two_mib} bytes" in beyond.message


@pytest.mark.parametrize(
    "limits",
    [
        LimitSettings(object_bytes=200),
        LimitSettings(object_bytes=200, write_bytes=100, document_bytes=100),
    ],
    ids=["below that of writes", "above that of writes"],
)
async def test_the_body_of_an_activation_has_its_own_limit(start, limits):
    async with start(limits) as server:
        body = {"activationCode": str(await server.new_code())}

        beyond = await ask(server.address, "POST", "/v2/things", padded(body, 201))
        fitting = await ask(server.address, "POST", "/v2/things", padded(body, 200))

        assert (fitting.status, beyond.status) == (201, 413)
        assert "at most 200 bytes" in beyond.message


async def test_a_description_at_the_limit_is_stored_and_one_beyond_it_is_refused(start):
    async with start(LimitSettings(document_bytes=50)) as server:
        target = f"{await known_thing(server)}/resources/description"

        fitting = await ask(server.address, "PUT", target, document_of(50))
        beyond = await ask(server.address, "PUT", target, document_of(51))

        assert (fitting.status, beyond.status) == (200, 413)
        assert "at most 50 bytes" in beyond.message


async def test_the_body_of_a_description_may_have_1024_bytes_around_it(start):
    async with start(LimitSettings(document_bytes=50)) as server:
        target = f"{await known_thing(server)}/resources/description"

        fitting = await ask(server.address, "PUT", target, padded(document_of(50), 1_074))
        beyond = await ask(server.address, "PUT", target, padded(document_of(50), 1_075))

        assert (fitting.status, beyond.status) == (200, 413)
        assert "at most 1074 bytes" in beyond.message


async def test_an_answer_at_the_limit_is_given_and_one_beyond_it_is_refused(start, clock):
    async with start(LimitSettings(answer_bytes=400)) as server:
        thing = await known_thing(server)
        answers = []
        text = ""
        for size in (None, 400, 401):
            if size is not None:
                text = "x" * (size - len(answers[0].body))
            await ask(server.address, "POST", thing, values(("a", 1), ("b", text)))
            answers.append(await ask(server.address, "GET", f"{thing}/all_resources"))
            # The newest value is the one of the newest time.
            clock.advance(1)

        assert [got.status for got in answers] == [200, 200, 413]
        assert len(answers[1].body) == 400
        assert "more than 400 bytes" in answers[2].message


async def test_a_thing_has_as_many_tags_as_it_may_and_no_more(start):
    async with start(LimitSettings(tags_per_thing=2)) as server:
        target = f"{await known_thing(server)}/tags"

        answers = [await ask(server.address, "POST", target, {"name": name}) for name in "abc"]

        assert [got.status for got in answers] == [201, 201, 400]
        assert "a thing may have 2" in answers[2].message


async def test_a_thing_writes_as_often_in_a_second_as_it_may(start, clock):
    async with start(LimitSettings(writes_per_second=2, write_burst=4)) as server:
        thing = await known_thing(server)
        assert await statuses(server, 5, "POST", thing, GOOD) == [201, 201, 201, 201, 429]

        clock.advance(1)

        assert await statuses(server, 3, "POST", thing, GOOD) == [201, 201, 429]
        refused = await ask(server.address, "POST", thing, GOOD)
        assert "at most 2 writes of one thing in a second" in refused.message


async def test_a_thing_writes_as_often_at_once_as_it_may(start, has_lane):
    async with start(LimitSettings(write_burst=3)) as server:
        thing = await known_thing(server)

        assert await statuses(server, 4, "POST", thing, GOOD) == [201, 201, 201, 429]
        assert server.taken_by_lane == (4 if has_lane else 0)


async def test_an_address_may_send_so_many_unknown_tokens_in_a_minute(start, clock):
    async with start(LimitSettings(bad_tokens_per_minute=3)) as server:
        unknown = f"/v2/things/{'A' * 43}"
        assert await statuses(server, 4, "POST", unknown, GOOD) == [404, 404, 404, 429]

        clock.advance(21)

        assert await statuses(server, 2, "POST", unknown, GOOD) == [404, 429]
        refused = await ask(server.address, "POST", unknown, GOOD)
        assert "at most 3 unknown thing tokens in a minute" in refused.message


async def test_an_address_may_send_so_many_wrong_codes_in_a_minute(start, clock):
    async with start(LimitSettings(bad_codes_per_minute=3)) as server:
        wrong = ("POST", "/v2/things", {"activationCode": "0123456789ABCDEFGHJK"})
        assert await statuses(server, 4, *wrong) == [400, 400, 400, 429]

        clock.advance(21)

        assert await statuses(server, 2, *wrong) == [400, 429]
        refused = await ask(server.address, *wrong)
        assert "at most 3 wrong activation codes in a minute" in refused.message


async def test_a_thing_has_as_many_streams_as_it_may_and_no_more(start):
    async with start(LimitSettings(streams_per_thing=2)) as server, AsyncExitStack() as open_ones:
        token, other = await server.new_token(), await server.new_token()
        for listened in (token, token, other):
            await open_ones.enter_async_context(subscribed(server.address, listened))

        refused = await ask(server.address, "GET", f"/v2/things/{token}")

        assert refused.status == 429
        assert "at most 2 for one thing" in refused.message


async def test_a_server_has_as_many_streams_as_it_may_and_no_more(start):
    async with start(LimitSettings(streams=3)) as server, AsyncExitStack() as open_ones:
        for _ in range(3):
            token = await server.new_token()
            await open_ones.enter_async_context(subscribed(server.address, token))

        refused = await ask(server.address, "GET", f"/v2/things/{await server.new_token()}")

        assert refused.status == 503
        assert "3 streams are open" in refused.message


async def queued(server, bodies):
    """Write the bodies while a subscriber takes nothing; return how many events it finds then.

    Raises:
        SubscriptionEndedError: more came than may wait.
    """
    thing = await known_thing(server)
    resolved = await server.platform.things.resolve(thing.rpartition("/")[2], address=None)
    with server.platform.live.subscribe(resolved.id) as subscription:
        for body in bodies:
            assert (await ask(server.address, "POST", thing, body)).status == 201
        return len([await subscription.next(PATIENCE_SECONDS) for _ in bodies])


async def test_as_many_events_wait_for_a_slow_stream_as_may(start):
    async with start(LimitSettings(stream_queue_events=3)) as server:
        assert await queued(server, [GOOD] * 3) == 3

        with pytest.raises(SubscriptionEndedError, match=End.OVERFLOW.value):
            await queued(server, [GOOD] * 4)


async def test_as_many_bytes_wait_for_a_slow_stream_as_may(start):
    # A value counts its text, its key and 80 bytes.
    async with start(LimitSettings(stream_queue_bytes=2 * (80 + 1 + 10))) as server:
        ten, eleven = (compact(values(("k", "x" * length))) for length in (10, 11))
        assert await queued(server, [ten, ten]) == 2

        with pytest.raises(SubscriptionEndedError, match=End.OVERFLOW.value):
            await queued(server, [ten, eleven])


async def test_as_many_values_wait_to_be_stored_as_may(start, has_lane):
    async with start(LimitSettings(waiting_values=3, values_per_write=3)) as server:
        thing = await known_thing(server)
        with closing(sqlite3.connect(start.folder / "values.db", isolation_level=None)) as other:
            # Nothing can be stored while somebody else holds the file.
            other.execute("BEGIN IMMEDIATE")
            writes = [asyncio.create_task(ask(server.address, "POST", thing, GOOD)) for _ in "1234"]
            refused, _ = await asyncio.wait(
                writes, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            other.execute("ROLLBACK")
        answers = await asyncio.gather(*writes)

        assert sorted(got.status for got in answers) == [201, 201, 201, 503]
        assert [one.result().status for one in refused] == [503]
        assert "3 values wait to be stored" in refused.pop().result().message
        assert server.taken_by_lane == (4 if has_lane else 0)


def with_target(thing, size):
    """A write to a target of so many bytes, which no client would send by itself."""
    return request("POST", f"{thing}?{'x' * (size - len(thing) - 1)}", GOOD)


def with_head(thing, size):
    """A write with a head of so many bytes."""
    shortest = request("POST", thing, GOOD, {"User-Agent": ""})
    missing = size - (len(shortest) - len(GOOD))
    return request("POST", thing, GOOD, {"User-Agent": "x" * missing})


def with_headers(thing, count):
    """A write with so many header fields, none of which is unusual."""
    usual = ("User-Agent", "Accept", "Accept-Language", "Origin", "Referer")
    # A write has three anyway.
    return request("POST", thing, GOOD, dict.fromkeys(usual[: count - 3], "x"))


HEADS = {
    "target": (LimitSettings(target_bytes=80), with_target, 80, 414, "at most 80 bytes"),
    "head": (LimitSettings(head_bytes=300), with_head, 300, 431, "at most 300 bytes"),
    "fields": (LimitSettings(headers=5), with_headers, 5, 431, "at most 5 headers"),
}


@pytest.mark.parametrize("name", HEADS)
async def test_a_head_at_a_limit_is_served_and_one_beyond_it_is_refused(start, name):
    limits, write, bound, status, reason = HEADS[name]
    async with start(limits) as server:
        thing = await known_thing(server)

        fitting = await sent(server, write(thing, bound))
        beyond = await sent(server, write(thing, bound + 1))

        assert (fitting.status, beyond.status) == (201, status)
        assert reason in beyond.message
        assert beyond.get("Connection") == "close"


@pytest.mark.parametrize(
    ("limits", "status"),
    [(LimitSettings(target_bytes=54), 201), (LimitSettings(target_bytes=53), 414)],
)
async def test_a_plain_write_has_a_target_of_54_bytes(start, limits, status):
    async with start(limits) as server:
        thing = await known_thing(server)

        answers = [await sent(server, request("POST", thing, GOOD)) for _ in range(2)]

        assert [got.status for got in answers] == [status, status]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (LimitSettings(connections=2), "at most 2 connections"),
        (LimitSettings(connections_per_address=2), "at most 2 connections from one address"),
    ],
)
async def test_as_many_connections_are_open_as_may_be(start, limits, message):
    async with (
        start(limits) as server,
        connect(server.address) as first,
        connect(server.address) as second,
    ):
        served_ones = [await wire.ask("GET", "/nothing") for wire in (first, second)]

        refused = await ask(server.address, "GET", "/nothing")

        assert [got.status for got in served_ones] == [404, 404]
        assert refused.status == 503
        assert refused.message == f"Service Unavailable: {message}"


def test_the_deadlines_of_a_connection_are_those_of_the_settings():
    # They are at least a second each; tests/e2e/http_edge/test_deadlines.py tries shorter ones.
    limits = LimitSettings(head_seconds=1, body_seconds=2, idle_seconds=3)

    edge = composition._edge_limits(Settings(limits=limits))

    assert (edge.head_seconds, edge.body_seconds, edge.keep_alive_seconds) == (1, 2, 3)


def limits_set_here():
    """The names of the limits with which one of these files starts something."""
    return {
        keyword.arg
        for file in FILES
        for call in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "LimitSettings"
        for keyword in call.keywords
    }


def test_every_limit_that_can_be_set_has_a_test_here_or_a_reason_to_have_it_elsewhere():
    names = {field.name for field in fields(LimitSettings)}

    assert names - limits_set_here() == set(EXCEPTIONS)


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_the_test_of_an_exception_is_where_it_is_said_to_be(name):
    reason, place = EXCEPTIONS[name]

    assert reason
    assert (ROOT / place).is_file()
