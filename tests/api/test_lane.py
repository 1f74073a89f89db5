"""The direct lane and the ordinary way give the same answers, byte by byte."""

import pytest
import pytest_asyncio

from support.in_process import served
from support.wire import compact, connect, request, values

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = compact(values(("k", 1)))
# By name: the body of a write and the headers that differ from an ordinary client's.
CORPUS = {
    "number": (GOOD, {}),
    "text": (compact(values(("k", "text"))), {}),
    "text with a colon": (compact(values(("k", "a:b"))), {}),
    "escapes": (b'{"values":[{"key":"k","value":"\\u00e4\\n"}]}', {}),
    "object": (compact(values(("k", {"a": [1, None]}))), {}),
    "with date and geo": (
        compact(values(("k", 1), datetime="20260131080000", geo={"lat": 1, "long": 2})),
        {},
    ),
    "magic": (compact(values(("$settings.a", 1), ("k", 1))), {}),
    "unknown members": (compact(values(("k", 1), units="C")), {}),
    "blanks": (b' { "values" : [ { "key" : "k" , "value" : 1 } ] } ', {}),
    "many": (compact(values(*((f"k{n}", n) for n in range(200)))), {}),
    "charset": (GOOD, {"Content-Type": "application/json; charset=utf-8"}),
    "explicit keep-alive": (GOOD, {"Connection": "keep-alive"}),
    "close": (GOOD, {"Connection": "close"}),
    "leading zeros": (GOOD, {"Content-Length": f"00{len(GOOD)}"}),
    "other content type": (GOOD, {"Content-Type": "text/plain"}),
    "unusual header": (GOOD, {"X-Unusual": "1"}),
    "origin": (GOOD, {"Origin": "https://example.com"}),
    "empty body": (b"", {}),
    "no json": (b"hello", {}),
    "cut short": (GOOD[:-1], {}),
    "too much": (GOOD + b"]", {}),
    "wrong shape": (b"[]", {}),
    "no values": (b'{"values":[]}', {}),
    "no key": (b'{"values":[{"value":1}]}', {}),
    "no value": (b'{"values":[{"key":"k"}]}', {}),
    "bad key": (compact(values(("a b", 1))), {}),
    "reserved key": (compact(values(("description", 1))), {}),
    "unknown magic": (compact(values(("$nothing", 1))), {}),
    "bad date": (compact(values(("k", 1), datetime="x")), {}),
    "bad geo": (compact(values(("k", 1), geo={"lat": 91, "long": 0})), {}),
    "repeated member": (b'{"values":[{"key":"k","value":1,"value":1}]}', {}),
    "repeated member in a value": (b'{"values":[{"key":"k","value":{"a":1,"a":2}}]}', {}),
    "huge integer": (b'{"values":[{"key":"k","value":99999999999999999999}]}', {}),
    "many digits": (b'{"values":[{"key":"k","value":1%b}]}' % (b"0" * 5_000), {}),
    "NUL": (b'{"values":[{"key":"k","value":"\\u0000"}]}', {}),
    "surrogate": (b'{"values":[{"key":"k","value":"\\udc80"}]}', {}),
    "no UTF-8": (b'{"values":[{"key":"k","value":"\xff\xfe"}]}', {}),
    "deep": (b'{"values":[{"key":"k","value":%b%b}]}' % (b"[" * 40, b"]" * 40), {}),
    "very deep": (b"[" * 100_000, {}),
    "large value": (compact(values(("k", "x" * 9_000))), {}),
    "too many values": (compact(values(*(("k", n) for n in range(1_001)))), {}),
    "too many keys": (compact(values(*((f"n{n}", n) for n in range(999)))), {}),
    "compressed": (GOOD, {"Content-Encoding": "gzip"}),
    "range": (GOOD, {"Range": "bytes=0-1"}),
    "expect": (GOOD, {"Expect": "nothing"}),
    "two lengths": (GOOD, {"Content-Length": f"{len(GOOD)}\r\nContent-Length: {len(GOOD)}"}),
    "two hosts": (GOOD, {"Host": "a\r\nHost: b"}),
    "folded": (GOOD, {"X-Folded": "a\r\n b"}),
    "signed length": (GOOD, {"Content-Length": f"+{len(GOOD)}"}),
    "underscored length": (GOOD, {"Content-Length": "3_6"}),
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("both")
    async with (
        served(folder / "lane", has_lane=True) as lane,
        served(folder / "plain", has_lane=False) as plain,
    ):
        yield lane, plain


@pytest.mark.parametrize("name", CORPUS)
async def test_lane_and_ordinary_way_answer_byte_for_byte_alike(both, name):
    body, headers = CORPUS[name]
    answers = []
    for server in both:
        sent = request("POST", f"/v2/things/{await server.new_token()}", body, headers)
        for _ in range(2):
            async with connect(server.address) as wire:
                await wire.send(sent)
                answers.append((await wire.read()).without_date)

    first, second, third, fourth = answers
    assert second == fourth
    assert first == third


async def test_the_lane_takes_a_write_whose_token_was_seen_before(server, wire, thing):
    before = server.taken_by_lane

    answers = [await wire.ask("POST", thing, values(("k", n))) for n in range(3)]

    assert [got.status for got in answers] == [201, 201, 201]
    assert server.taken_by_lane - before == (2 if server.has_lane else 0)


async def test_the_lane_takes_refused_writes_too(server, wire, thing):
    await wire.ask("POST", thing, values(("k", 1)))
    before = server.taken_by_lane

    assert (await wire.ask("POST", thing, b'{"values"')).status == 400
    assert server.taken_by_lane - before == (1 if server.has_lane else 0)


async def test_what_was_written_either_way_reads_alike(both):
    body = compact(
        values(("k", 1.0), ("t", "1"), ("o", {"a": 1}), datetime="2026-01-31T08:00:00.123Z")
    )
    answers = []
    for server in both:
        thing = f"/v2/things/{await server.new_token()}"
        async with connect(server.address) as wire:
            for _ in range(2):
                await wire.ask("POST", thing, body)
            got = await wire.ask("GET", f"{thing}/all_resources?limit=9")
            answers.append(got.without_date)

    assert answers[0] == answers[1]


async def test_writes_sent_in_one_piece_are_answered_in_order(wire, thing):
    await wire.ask("POST", thing, values(("k", 0)))
    good = request("POST", thing, values(("k", 1)))
    bad = request("POST", thing, b"{")

    await wire.send(good + bad + good + request("GET", f"{thing}/resources") + bad)

    statuses = [(await wire.read()).status for _ in range(5)]
    assert statuses == [201, 400, 201, 200, 400]
