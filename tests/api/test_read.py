"""Reading: one resource, the names, everything (`thethings-v2.md` 3.3 to 3.5)."""

import re

import pytest
import pytest_asyncio

from support.wire import values

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def timeline(wire, thing):
    """150 values of `t`, one a minute from midnight on."""
    body = {
        "values": [
            {"key": "t", "value": n, "datetime": f"2026-01-31T{n // 60:02d}:{n % 60:02d}:00Z"}
            for n in range(150)
        ]
    }
    assert (await wire.ask("POST", thing, body)).status == 201
    return f"{thing}/resources/t"


async def read(wire, address):
    got = await wire.ask("GET", address)
    assert got.status == 200, got.body
    return [member["value"] for member in got.json]


async def test_a_read_without_limit_gives_the_newest_value(wire, timeline):
    assert await read(wire, timeline) == [149]


@pytest.mark.parametrize(("limit", "count"), [("1", 1), ("7", 7), ("100", 100), ("007", 7)])
async def test_a_read_gives_as_many_as_asked_newest_first(wire, timeline, limit, count):
    assert await read(wire, f"{timeline}?limit={limit}") == list(range(149, 149 - count, -1))


@pytest.mark.parametrize("limit", ["101", "1000", "999999999999999999"])
async def test_a_limit_over_100_counts_as_100(wire, timeline, limit):
    assert len(await read(wire, f"{timeline}?limit={limit}")) == 100


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", "all", "", "1e2", "%2B5", "٣"])
async def test_a_limit_that_is_no_whole_number_of_at_least_1_is_refused(wire, timeline, limit):
    from urllib.parse import quote

    got = await wire.ask("GET", f"{timeline}?limit={quote(limit, safe='%')}")

    assert got.status == 400
    assert got.message.startswith("Invalid limit")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("startDate=20260131022900", [149]),
        ("startDate=20260131T022800", [149, 148]),
        ("startDate=2026-01-31T02:28:00.001Z", [149]),
        ("endDate=20260131000200", [1, 0]),
        ("endDate=2026-01-31T00:00:00.001Z", [0]),
        ("startDate=20260131000100&endDate=20260131000300", [2, 1]),
        ("startDate=20260131000100&endDate=20260131000100", []),
        ("startDate=20260131000200&endDate=20260131000100", []),
        ("startDate=2026-01-31T01:01:00%2B01:00&endDate=20260131000300", [2, 1]),
        ("startDate=2026-01-31T01:01:00+01:00&endDate=20260131000300", [2, 1]),
        ("endDate=19700101000000", []),
        ("startDate=&endDate=", list(range(149, 139, -1))),
        ("startDate=00010101000000&endDate=99991231235959", list(range(149, 139, -1))),
    ],
)
async def test_the_start_is_within_the_window_and_the_end_is_not(wire, timeline, query, expected):
    assert await read(wire, f"{timeline}?limit=10&{query}") == expected


@pytest.mark.parametrize(
    "date", ["yesterday", "2026", "20261301000000", "0", "1e9", "2026-W05-1", "-" * 400]
)
async def test_a_date_in_no_known_form_is_refused(wire, timeline, date):
    for name in ("startDate", "endDate"):
        got = await wire.ask("GET", f"{timeline}?{name}={date}")

        assert got.status == 400
        assert got.message.startswith(f"Invalid date: {name}: expected")


async def test_unknown_parameters_are_ignored(wire, timeline):
    assert await read(wire, f"{timeline}?limit=1&lib=panel&_=1") == [149]


async def test_a_value_has_date_key_and_value_in_this_order(wire, timeline):
    got = await wire.ask("GET", timeline)

    assert got.body == b'[{"datetime":"2026-01-31T02:29:00.000Z","key":"t","value":149}]'


async def test_a_position_stands_behind_the_value(wire, thing):
    at = {"datetime": "2026-01-31T00:00:00Z", "geo": {"lat": 1.5, "long": -2}}
    await wire.ask("POST", thing, values(("p", 1), **at))

    got = await wire.ask("GET", f"{thing}/resources/p")

    assert re.fullmatch(
        rb'\[\{"datetime":"2026-01-31T00:00:00\.000Z","key":"p","value":1,'
        rb'"geo":\{"lat":1\.5,"long":-2(\.0)?\}\}\]',
        got.body,
    )


async def test_equal_times_come_latest_write_first(wire, thing):
    for number in range(5):
        body = values(("k", number), datetime="2026-01-31T00:00:00Z")
        await wire.ask("POST", thing, body)

    assert await read(wire, f"{thing}/resources/k?limit=9") == [4, 3, 2, 1, 0]


async def test_a_resource_that_was_never_written_is_404(wire, thing):
    got = await wire.ask("GET", f"{thing}/resources/never")

    assert (got.status, got.reason) == (404, "Not Found")
    assert got.body == b'{"status":"error","code":404,"message":"Resource not found"}'


@pytest.mark.parametrize("path", ["", "/resources", "/resources/k", "/all_resources", "/tags"])
async def test_every_read_of_an_unknown_token_is_404(wire, path):
    got = await wire.ask("GET", f"/v2/things/{'x' * 43}{path}")

    assert got.status == 404
    assert got.message == "Thing not found"


async def test_the_names_are_listed_in_alphabetical_order(wire, thing):
    await wire.ask("POST", thing, values(("b", 1), ("a", 1), ("C", 1), ("b", 2)))

    got = await wire.ask("GET", f"{thing}/resources")

    assert got.body == b'{"status":"success","resources":["C","a","b"]}'


async def test_a_thing_that_wrote_nothing_has_no_resources(wire, thing):
    names = await wire.ask("GET", f"{thing}/resources")
    everything = await wire.ask("GET", f"{thing}/all_resources")

    assert names.json == {"status": "success", "resources": []}
    assert (everything.status, everything.body) == (200, b"[]")


async def test_all_resources_gives_the_newest_value_of_each(wire, thing, timeline):
    await wire.ask("POST", thing, values(("s", "x"), datetime="2026-01-31T00:00:00Z"))

    got = await wire.ask("GET", f"{thing}/all_resources/")

    assert got.json == [
        {
            "key": "s",
            "values": [{"datetime": "2026-01-31T00:00:00.000Z", "key": "s", "value": "x"}],
        },
        {
            "key": "t",
            "values": [{"datetime": "2026-01-31T02:29:00.000Z", "key": "t", "value": 149}],
        },
    ]


async def test_all_resources_takes_a_limit(wire, thing, timeline):
    got = await wire.ask("GET", f"{thing}/all_resources?limit=1000")

    [resource] = got.json
    assert len(resource["values"]) == 100


async def test_an_answer_of_more_than_4_mib_is_refused(wire, thing):
    for key in range(8):
        body = {
            "values": [
                {
                    "key": f"k{key}",
                    "value": f"{n:03d}" + "x" * 8_000,
                    "datetime": f"2026-01-31T00:00:00.{n:03d}Z",
                }
                for n in range(100)
            ]
        }
        assert (await wire.ask("POST", thing, body)).status == 201

    assert (await wire.ask("GET", f"{thing}/all_resources?limit=10")).status == 200
    got = await wire.ask("GET", f"{thing}/all_resources?limit=100")

    assert got.status == 413
    assert got.message.startswith("Response too large")


async def test_one_thing_does_not_see_anothers_values(server, wire, thing):
    other = f"/v2/things/{await server.new_token()}"
    await wire.ask("POST", thing, values(("secret", 1)))

    assert (await wire.ask("GET", f"{other}/resources")).json["resources"] == []
    assert (await wire.ask("GET", f"{other}/resources/secret")).status == 404
