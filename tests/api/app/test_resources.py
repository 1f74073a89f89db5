"""Resources as users read, write and delete them (`thethings-v2.md` 6.6 and 6.7)."""

from urllib.parse import urlencode

import pytest

from support.app_calls import stored, write
from support.wire import compact

pytestmark = pytest.mark.asyncio(loop_scope="module")

RESOURCES = "/v2/me/resources"
UNKNOWN = "A" * 43
CREATED = b'{"status":"created","message":"created"}'
NO_THING = b'{"status":"error","code":404,"message":"Thing not found"}'
NO_RESOURCE = b'{"status":"error","code":404,"message":"Resource not found"}'
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def day(number):
    return f"2026-01-{number:02}T12:00:00.000Z"


@pytest.fixture
def place(thing):
    return f"{RESOURCES}/temperature/{thing.thing.id}"


async def test_who_has_no_things_has_no_resources(ada):
    got = await ada.ask("GET", RESOURCES)

    assert (got.status, got.body) == (200, b"[]")


async def test_resources_are_listed_with_their_things(server, ada, thing):
    second = await server.new_thing()
    for one in (thing, second):
        await ada.link(one)
        await write(ada, one, "temperature", 20)
    await write(ada, second, "humidity", 50)

    got = await ada.ask("GET", RESOURCES)

    both = sorted([thing.thing.id, second.thing.id])
    assert got.body == compact(
        [
            {"name": "humidity", "things": [second.thing.id]},
            {"name": "temperature", "things": both},
        ]
    )


async def test_values_of_all_things_come_in_the_order_of_members_that_clients_cut_by(
    server, ada, thing
):
    second = await server.new_thing()
    for one in (thing, second):
        await ada.link(one)
    await write(ada, thing, "temperature", 20, datetime=day(1))
    geo = {"lat": 41.5, "long": 2.25}
    await write(ada, second, "temperature", "warm", datetime=day(2), geo=geo)

    got = await ada.ask("GET", f"{RESOURCES}/temperature?limit=10")

    first, last = second.thing.id, thing.thing.id
    assert got.body.decode() == (
        f'[{{"thingId":"{first}","datetime":"{day(2)}","key":"temperature","value":"warm",'
        f'"geo":{{"lat":41.5,"long":2.25}}}},'
        f'{{"thingId":"{last}","datetime":"{day(1)}","key":"temperature","value":20}}]'
    )


async def test_values_of_one_thing_come_as_the_thing_itself_reads_them(ada, thing, place):
    await ada.link(thing)
    await write(ada, thing, "temperature", 20, datetime=day(1))

    got = await ada.ask("GET", place)

    assert got.body.decode() == f'[{{"datetime":"{day(1)}","key":"temperature","value":20}}]'


async def test_a_path_may_name_the_thing_by_its_token(ada, thing):
    await ada.link(thing)
    by_token = f"{RESOURCES}/temperature/{thing.token}"

    written = await ada.ask("POST", by_token, {"values": [{"value": 25}]})
    read = await ada.ask("GET", by_token)

    assert (written.status, read.status) == (201, 200)
    assert read.json[0]["value"] == 25


async def test_a_token_opens_no_thing_to_who_has_no_right_to_it(ada, thing):
    await write(ada, thing, "temperature", 20)

    got = await ada.ask("GET", f"{RESOURCES}/temperature/{thing.token}")

    assert (got.status, got.body) == (404, NO_THING)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [9]),
        ("?limit=1", [9]),
        ("?limit=3", [9, 8, 7]),
        ("?limit=100", [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ("?limit=1000", [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ("?limit=10&startDate=20260108120000", [9, 8, 7]),
        ("?limit=10&endDate=20260103120000", [1, 0]),
        (f"?limit=10&startDate={day(3)}&endDate={day(4)}", [2]),
        ("?limit=10&startDate=20270101000000", []),
    ],
)
@pytest.mark.parametrize("where", ["all", "one"])
async def test_a_window_counts_over_all_things_together(server, ada, thing, where, query, expected):
    second = await server.new_thing()
    for one in (thing, second):
        await ada.link(one)
    for number in range(10):
        one = (thing, second)[number % 2] if where == "all" else thing
        await write(ada, one, "temperature", number, datetime=day(number + 1))

    suffix = "" if where == "all" else f"/{thing.thing.id}"
    got = await ada.ask("GET", f"{RESOURCES}/temperature{suffix}{query}")

    assert [one["value"] for one in got.json] == expected


async def test_limit_is_at_most_100(ada, thing, place):
    await ada.link(thing)
    for start in (0, 60):
        pairs = [part for number in range(60) for part in ("temperature", start + number)]
        await write(ada, thing, *pairs)

    for target in (place, f"{RESOURCES}/temperature"):
        assert len((await ada.ask("GET", f"{target}?limit=1000")).json) == 100


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=x", "startDate=yesterday", "endDate=2026-13-01"]
)
@pytest.mark.parametrize("where", ["all", "one"])
async def test_a_window_that_cannot_be_read_is_refused(ada, thing, place, where, query):
    await ada.link(thing)
    await write(ada, thing, "temperature", 20)

    target = place if where == "one" else f"{RESOURCES}/temperature"
    got = await ada.ask("GET", f"{target}?{query}")

    assert (got.status, got.json["status"]) == (400, "error")


@pytest.mark.parametrize("key", ["never", "$geo", "$settings", "no key", "%24", "a" * 65])
async def test_what_was_never_written_is_not_found(ada, thing, key):
    await ada.link(thing)
    path = key.replace(" ", "%20")

    of_all = await ada.ask("GET", f"{RESOURCES}/{path}")
    of_one = await ada.ask("GET", f"{RESOURCES}/{path}/{thing.thing.id}")

    assert (of_all.status, of_all.body) == (404, NO_RESOURCE)
    assert (of_one.status, of_one.body) == (404, NO_RESOURCE)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_somebody_elses_thing_is_like_one_that_does_not_exist(ada, bob, thing, place, method):
    await ada.link(thing)
    await write(ada, thing, "temperature", 20)
    body = {"values": [{"value": 1}]} if method == "POST" else None

    foreign = await bob.ask(method, place, body)
    unknown = await bob.ask(method, f"{RESOURCES}/temperature/{UNKNOWN}", body)

    assert (foreign.status, foreign.body) == (404, NO_THING)
    assert foreign.without_date == unknown.without_date
    assert await stored(ada, thing, "temperature") == [20]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (25, 25),
        (2.5, 2.5),
        ("100", "100"),
        (True, True),
        (None, None),
        ([1, [2]], [1, [2]]),
        ({"a": {"b": 1}}, {"a": {"b": 1}}),
        ("ä€😀", "ä€😀"),
    ],
)
async def test_a_value_keeps_its_kind(ada, thing, place, value, kept):
    await ada.link(thing)

    got = await ada.ask("POST", place, {"values": [{"value": value}]})

    assert (got.status, got.body) == (201, CREATED)
    assert await stored(ada, thing, "temperature") == [kept]


async def test_a_key_inside_is_ignored_and_other_members_count(ada, thing, place):
    await ada.link(thing)
    value = {"key": "humidity", "value": 1, "datetime": day(1), "geo": {"lat": "41", "long": "2"}}

    await ada.ask("POST", place, {"values": [value]})

    got = await ada.ask("GET", place)
    assert got.json == [
        {
            "datetime": day(1),
            "key": "temperature",
            "value": 1,
            "geo": {"lat": 41.0, "long": 2.0},
        }
    ]
    assert (await ada.ask("GET", f"{RESOURCES}/humidity")).status == 404


async def test_a_form_writes_as_json_does(ada, thing, place):
    await ada.link(thing)

    got = await ada.ask("POST", place, urlencode({"values[0][value]": "ON"}).encode(), **FORM)

    assert (got.status, got.body) == (201, CREATED)
    assert await stored(ada, thing, "temperature") == ["ON"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'"text"',
        {"values": {}},
        {"values": [1]},
        {"values": [{}]},
        {"values": [{"value": 1, "datetime": "yesterday"}]},
        {"values": [{"value": 1, "geo": {"lat": 91, "long": 0}}]},
        {"values": [{"value": "x" * 9000}]},
        b'{"values":[{"value":NaN}]}',
        b'{"values":[{"value":1e400}]}',
        b'{"values":[{"value":"\\u0000"}]}',
        b'{"values":[{"value":1,"value":2}]}',
    ],
    ids=lambda body: str(body)[:40],
)
async def test_a_wrong_write_stores_nothing(ada, thing, place, body):
    await ada.link(thing)

    got = await ada.ask("POST", place, body)

    assert (got.status, got.json["status"]) == (400, "error")
    assert (await ada.ask("GET", place)).status == 404


@pytest.mark.parametrize("key", ["$geo", "$settings", "%24settings.name", "$", "no key", "a" * 65])
async def test_a_user_writes_to_ordinary_keys_only(ada, thing, key):
    await ada.link(thing)

    path = key.replace(" ", "%20")
    got = await ada.ask(
        "POST", f"{RESOURCES}/{path}/{thing.thing.id}", {"values": [{"value": [2, 41]}]}
    )

    assert (got.status, got.message.partition(":")[0]) == (400, "Invalid key")


@pytest.mark.parametrize("name", ["description", "publicDescription"])
async def test_descriptions_are_no_timelines(ada, thing, name):
    await ada.link(thing)

    written = await ada.ask(
        "POST", f"{RESOURCES}/{name}/{thing.thing.id}", {"values": [{"value": 1}]}
    )
    deleted = await ada.ask("DELETE", f"{RESOURCES}/{name}/{thing.thing.id}")

    assert written.status in (400, 405)
    assert deleted.status in (404, 405)


DAYS = [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("", []),
        ("?startDate=20260103120000", [2, 1]),
        ("?endDate=20260103120000", [5, 4, 3]),
        (f"?startDate={day(2)}&endDate={day(4)}", [5, 4, 1]),
        (f"?startDate={day(2)}&endDate={day(2)}", [5, 4, 3, 2, 1]),
        ("?startDate=20270101000000", [5, 4, 3, 2, 1]),
        ("?endDate=20250101000000", [5, 4, 3, 2, 1]),
    ],
)
async def test_a_range_is_deleted_from_its_start_until_before_its_end(
    ada, thing, place, query, left
):
    await ada.link(thing)
    for number in DAYS:
        await write(ada, thing, "temperature", number, datetime=day(number))
    # Readings are kept for those who ask again.
    assert (await stored(ada, thing, "temperature"))[0] == 5
    assert (await ada.ask("GET", place)).json[0]["value"] == 5

    got = await ada.ask("DELETE", f"{place}{query}")

    deleted = len(DAYS) - len(left)
    assert got.body.decode() == (f'{{"status":"success","message":"deleted","deleted":{deleted}}}')
    after = await ada.ask("GET", f"{place}?limit=100")
    assert [one["value"] for one in after.json] == left
    newest = await ada.ask("GET", f"/v2/things/{thing.token}/resources/temperature")
    assert [one["value"] for one in newest.json] == left[:1]


@pytest.mark.parametrize("query", ["?startDate=x", "?endDate=x", "?limit=0"])
async def test_a_range_that_cannot_be_read_deletes_nothing(ada, thing, place, query):
    await ada.link(thing)
    await write(ada, thing, "temperature", 1)

    got = await ada.ask("DELETE", f"{place}{query}")

    assert got.status == 400
    assert await stored(ada, thing, "temperature") == [1]


async def test_other_resources_and_other_things_keep_their_values(server, ada, thing, place):
    second = await server.new_thing()
    for one in (thing, second):
        await ada.link(one)
        await write(ada, one, "temperature", 1, "humidity", 2)

    await ada.ask("DELETE", place)

    assert await stored(ada, thing, "humidity") == [2]
    assert await stored(ada, second, "temperature") == [1]


async def test_who_was_granted_everything_deletes_nothing(ada, bob, share, thing, place):
    await ada.link(thing)
    await write(ada, thing, "temperature", 1)
    rights = {"get": True, "post": True, "put": True, "grant": True}
    await share(ada, bob, {"temperature": {thing.thing.id: rights}})

    got = await bob.ask("DELETE", place)

    assert (got.status, got.message) == (
        403,
        "Forbidden: temperature: only the owner deletes values",
    )
    assert await stored(ada, thing, "temperature") == [1]


async def test_an_app_with_declared_resources_sees_those_only(server, new_person, thing):
    person = await new_person(app=(await server.new_app("temperature")).id)
    await person.link(thing)
    await write(person, thing, "temperature", 1, "humidity", 2)
    humidity = f"{RESOURCES}/humidity/{thing.thing.id}"

    answers = [
        await person.ask("GET", f"{RESOURCES}/humidity"),
        await person.ask("GET", humidity),
        await person.ask("POST", humidity, {"values": [{"value": 1}]}),
        await person.ask("DELETE", humidity),
    ]

    assert [(got.status, got.body) for got in answers] == [(404, NO_RESOURCE)] * 4
    assert await stored(person, thing, "temperature") == [1]
    names = [one["name"] for one in (await person.ask("GET", RESOURCES)).json]
    assert names == ["temperature"]
