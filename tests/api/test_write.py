"""`POST /v2/things/THING_TOKEN` (`thethings-v2.md` 3.2): what is taken, and what is kept."""

import pytest
import pytest_asyncio

from support.wire import compact, request, values

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREATED = b'{"status":"created","message":"created"}'
MORNING = "2026-01-31T08:00:00.000Z"


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def known_token(wire, thing):
    """A token that was seen before, so that the lane takes the test's own writes."""
    await wire.ask("GET", f"{thing}/resources")


async def stored(wire, thing, key, query=""):
    got = await wire.ask("GET", f"{thing}/resources/{key}{query}")
    assert got.status == 200, got.body
    return got.json


async def test_a_write_is_answered_201_created(wire, thing):
    got = await wire.ask("POST", thing, values(("a", 1)))

    assert (got.status, got.reason, got.body) == (201, "Created", CREATED)


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        23,
        0.5,
        1e-9,
        -1.5e300,
        2**63 - 1,
        -(2**63),
        True,
        False,
        None,
        "",
        "100",
        "23.0",
        "ä€😀",
        'quote " and \\ backslash',
        "line\nbreak\ttab",
        [],
        [1, "two", None, [True]],
        {},
        {"nested": {"deep": [1, {"x": None}]}},
        {"$set": 1, "__proto__": 2, "a.b": 3},
    ],
    ids=repr,
)
async def test_a_value_comes_back_with_its_json_type(wire, thing, value):
    assert (await wire.ask("POST", thing, values(("k", value)))).status == 201

    [read] = await stored(wire, thing, "k")

    assert read["value"] == value
    assert type(read["value"]) is type(value)


async def test_a_whole_number_with_a_point_stays_a_number_with_a_point(wire, thing):
    await wire.ask("POST", thing, b'{"values":[{"key":"k","value":1.0}]}')

    got = await wire.ask("GET", f"{thing}/resources/k")

    assert b'"value":1.0' in got.body


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("20260131080000", "2026-01-31T08:00:00.000Z"),
        ("20260131T080000", "2026-01-31T08:00:00.000Z"),
        ("2026-01-31T08:00:00.123Z", "2026-01-31T08:00:00.123Z"),
        ("2026-01-31T08:00:00Z", "2026-01-31T08:00:00.000Z"),
        ("2026-01-31T10:00:00+02:00", "2026-01-31T08:00:00.000Z"),
        ("2026-01-31T08:00:00.123456", "2026-01-31T08:00:00.123Z"),
        ("2026-01-31T08:00:00", "2026-01-31T08:00:00.000Z"),
        ("2026-01-31", "2026-01-31T00:00:00.000Z"),
    ],
)
async def test_every_documented_form_of_date_is_understood_as_utc(wire, thing, sent, kept):
    await wire.ask("POST", thing, values(("k", 1), datetime=sent))

    [read] = await stored(wire, thing, "k")

    assert read["datetime"] == kept


@pytest.mark.parametrize("sent", [{}, {"datetime": "NOW()"}, {"datetime": None}], ids=str)
async def test_a_value_without_a_date_gets_the_servers(server, wire, thing, sent):
    before = server.platform.clock.now_ms()
    await wire.ask("POST", thing, values(("k", 1), **sent))
    after = server.platform.clock.now_ms()

    [read] = await stored(wire, thing, "k")

    at = server_ms(read["datetime"])
    assert before <= at <= after


def server_ms(text):
    from thingstead.kernel.instants import parse_instant

    return parse_instant(text)


async def test_numbers_and_texts_make_a_position(wire, thing):
    body = values(("n", 1), geo={"lat": 41.41, "long": 2.21})
    body["values"] += values(("t", 1), geo={"lat": "41.41", "long": "2.21"})["values"]
    await wire.ask("POST", thing, body)

    for key in "nt":
        [read] = await stored(wire, thing, key)
        assert read["geo"] == {"lat": 41.41, "long": 2.21}


async def test_unknown_members_of_a_value_are_ignored(wire, thing):
    got = await wire.ask("POST", thing, values(("k", 1), units="C", type="temp"))

    [read] = await stored(wire, thing, "k")
    assert got.status == 201
    assert read.keys() == {"datetime", "key", "value"}


async def test_values_of_one_key_with_different_dates_come_in_any_order(wire, thing):
    body = {
        "values": [
            {"key": "k", "value": hour, "datetime": f"2026-01-31T{hour:02d}:00:00Z"}
            for hour in (5, 1, 4, 2, 3)
        ]
    }
    await wire.ask("POST", thing, body)

    assert [v["value"] for v in await stored(wire, thing, "k", "?limit=9")] == [5, 4, 3, 2, 1]


@pytest.mark.parametrize("key", ["a", "Z", "0", "a.b", "a-b", "a_b", "...", "-", "k" * 64])
async def test_a_key_of_allowed_characters_is_taken(wire, thing, key):
    assert (await wire.ask("POST", thing, values((key, 1)))).status == 201
    assert (await wire.ask("GET", f"{thing}/resources")).json["resources"] == [key]


@pytest.mark.parametrize(
    "key", ["", " ", "a b", "ä", "a/b", "a\u0000", "k" * 65, "a$", "a:b", "description", "a\n"]
)
async def test_a_key_of_other_characters_is_refused(wire, thing, key):
    got = await wire.ask("POST", thing, values((key, 1)))

    assert got.status == 400
    assert got.message.startswith("Invalid key: values[0].key")
    assert (await wire.ask("GET", f"{thing}/resources")).json["resources"] == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Invalid JSON: the body is empty"),
        (b"{", "Invalid JSON"),
        (b"not json", "Invalid JSON"),
        (b'{"values":[{"key":"k","value":1}]} x', "Invalid JSON"),
        (b'{"values":[{"key":"k","value":1}]', "Invalid JSON"),
        (b"{'values':[]}", "Invalid JSON"),
        (b'{"values":[{"key":"k","value":NaN}]}', "Invalid JSON"),
        (b'{"values":[{"key":"k","value":"\xff"}]}', "Invalid JSON"),
        (b'{"values":[{"key":"k","value":1,"value":2}]}', "Invalid JSON: member 'value' stands"),
        (b'{"values":[],"values":[{"key":"k","value":1}]}', "Invalid JSON: member 'values'"),
        (b"[]", "Invalid values"),
        (b"null", "Invalid values"),
        (b'"text"', "Invalid values"),
        (b"{}", "Invalid values"),
        (b'{"values":{}}', "Invalid values"),
        (b'{"values":[]}', "Invalid values: values: empty"),
        (b'{"values":[1]}', "Invalid values: values[0]"),
        (b'{"values":[{"value":1}]}', "Invalid values: values[0]"),
        (b'{"values":[{"key":1,"value":1}]}', "Invalid values: values[0].key"),
        (b'{"values":[{"key":"k"}]}', "Invalid values: values[0].value: missing"),
        (b'{"values":[{"key":"k","value":9223372036854775808}]}', "Invalid values"),
        (b'{"values":[{"key":"k","value":-9223372036854775809}]}', "Invalid values"),
        (b'{"values":[{"key":"k","value":"a\\u0000b"}]}', "Invalid values: values[0].value"),
        (b'{"values":[{"key":"k","value":"\\ud800"}]}', "Invalid"),
        (b'{"values":[{"key":"k","value":1e400}]}', "Invalid"),
    ],
)
async def test_a_malformed_write_is_refused_with_its_reason(wire, thing, body, message):
    got = await wire.ask("POST", thing, body)

    assert got.status == 400
    assert got.message.startswith(message)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ({"datetime": "yesterday"}, "Invalid date: values[0].datetime"),
        ({"datetime": ""}, "Invalid date: values[0].datetime"),
        ({"datetime": 20260131080000}, "Invalid date: values[0].datetime: expected a text"),
        ({"datetime": "20260231080000"}, "Invalid date: values[0].datetime"),
        ({"datetime": "20990101000000"}, "Invalid date: values[0].datetime: more than 24 hours"),
        ({"datetime": "19990101000000"}, "Invalid date: values[0].datetime: more than 3653 days"),
        ({"geo": []}, "Invalid values: values[0].geo"),
        ({"geo": {"lat": 1}}, "Invalid values: values[0].geo.long"),
        ({"geo": {"lat": 90.1, "long": 0}}, "Invalid values: values[0].geo.lat"),
        ({"geo": {"lat": 0, "long": -180.1}}, "Invalid values: values[0].geo.long"),
        ({"geo": {"lat": "north", "long": 0}}, "Invalid values: values[0].geo.lat"),
        ({"geo": {"lat": True, "long": 0}}, "Invalid values: values[0].geo.lat"),
    ],
    ids=str,
)
async def test_a_bad_date_or_position_is_refused_with_its_place(wire, thing, member, message):
    got = await wire.ask("POST", thing, values(("k", 1), **member))

    assert got.status == 400
    assert got.message.startswith(message)


async def test_one_bad_value_keeps_the_whole_request_from_being_stored(wire, thing):
    got = await wire.ask("POST", thing, values(("good", 1), ("$settings.x", 1), ("bad key", 1)))

    assert got.status == 400
    assert (await wire.ask("GET", f"{thing}/resources")).json["resources"] == []
    assert (await stored(wire, thing, "$settings.x"))[0]["value"] is None


async def test_a_thousand_values_are_taken_and_one_more_is_not(wire, thing):
    most = values(*(("k", n) for n in range(1_000)))
    more = values(*(("k", n) for n in range(1_001)))

    assert (await wire.ask("POST", thing, most)).status == 201
    got = await wire.ask("POST", thing, more)

    assert (got.status, got.message) == (
        400,
        "Invalid values: values: more than 1000 in one request",
    )


async def test_a_value_of_8_kib_of_json_is_taken_and_one_byte_more_is_not(wire, thing):
    assert (await wire.ask("POST", thing, values(("k", "x" * 8_190)))).status == 201
    got = await wire.ask("POST", thing, values(("k", "x" * 8_191)))

    assert got.status == 400
    assert "larger than 8192 bytes" in got.message


@pytest.mark.parametrize(("depth", "status"), [(29, 201), (30, 400), (5_000, 400)])
async def test_a_body_nests_32_levels_and_not_more(wire, thing, depth, status):
    value = b"[" * depth + b"]" * depth

    got = await wire.ask("POST", thing, b'{"values":[{"key":"k","value":%b}]}' % value)

    assert got.status == status


async def test_a_thousand_keys_are_taken_and_one_more_is_not(wire, thing):
    await wire.ask("POST", thing, values(*((f"k{n}", n) for n in range(1_000))))

    got = await wire.ask("POST", thing, values(("k0", 1), ("one-more", 1)))

    assert (got.status, got.message) == (
        400,
        "Too many keys: a thing may have 1000 different keys",
    )
    assert len(await stored(wire, thing, "k0", "?limit=9")) == 1


async def test_a_body_of_more_than_1_mib_is_refused_before_it_is_read(wire, thing):
    head = request("POST", thing, headers={"Content-Length": str(2**20 + 1)})

    await wire.send(head)
    got = await wire.read()

    assert (got.status, got.get("Connection")) == (413, "close")


async def test_a_compressed_body_is_refused(wire, thing):
    got = await wire.ask("POST", thing, values(("k", 1)), {"Content-Encoding": "gzip"})

    assert got.status == 415


@pytest.mark.parametrize("unknown", ["x" * 43, "short", "x" * 44, "%24geo"])
async def test_a_write_to_an_unknown_token_is_404(wire, unknown):
    got = await wire.ask("POST", f"/v2/things/{unknown}", values(("k", 1)))

    assert got.status == 404
    assert got.body == b'{"status":"error","code":404,"message":"Thing not found"}'


async def test_an_exact_repeat_is_created_but_stored_once(wire, thing):
    body = values(("k", 1), datetime=MORNING)

    answers = [await wire.ask("POST", thing, body) for _ in range(3)]

    assert [got.status for got in answers] == [201, 201, 201]
    assert len(await stored(wire, thing, "k", "?limit=9")) == 1


@pytest.mark.parametrize(
    "other",
    [
        values(("k", 2), datetime=MORNING),
        values(("k", "1"), datetime=MORNING),
        values(("k", True), datetime=MORNING),
        values(("k", 1), datetime=MORNING, geo={"lat": 1, "long": 1}),
        b'{"values":[{"key":"k","value":1.0,"datetime":"2026-01-31T08:00:00.000Z"}]}',
    ],
    ids=["value", "text", "boolean", "position", "point"],
)
async def test_a_different_value_of_the_same_time_is_kept_too(wire, thing, other):
    await wire.ask("POST", thing, values(("k", 1), datetime=MORNING))
    await wire.ask("POST", thing, other)

    assert len(await stored(wire, thing, "k", "?limit=9")) == 2


async def test_a_thing_that_writes_too_fast_is_told_when_to_go_on(server, wire):
    thing = f"/v2/things/{await server.new_token()}"
    one = request("POST", thing, values(("k", 1)))
    refused = None
    for _ in range(20):
        await wire.send(one * 100)
        answers = [await wire.read() for _ in range(100)]
        refused = refused or next((got for got in answers if got.status == 429), None)
        if refused:
            break

    assert refused is not None
    assert refused.message.startswith("Too Many Requests: at most 100 writes of one thing")
    assert int(refused.get("Retry-After")) >= 1


async def test_a_body_that_arrives_after_its_thing_was_deleted_is_refused(server, wire, token):
    body = compact(values(("k", 1)))
    head = f"POST /v2/things/{token} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    await wire.send(head.encode() + body[:5])
    thing = await server.platform.things.resolve(token, address=None)
    await server.platform.things.delete(thing.id)

    await wire.send(body[5:])

    assert (await wire.read()).status == 404
