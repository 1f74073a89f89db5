"""Descriptions as users read and replace them (`thethings-v2.md` 6.7)."""

import asyncio

import pytest

from support.wire import ask, compact

pytestmark = pytest.mark.asyncio(loop_scope="module")

DESCRIPTIONS = "/v2/me/resources/description"
PUBLIC = "/v2/me/resources/publicDescription"
UNKNOWN = "A" * 43
UPDATED = b'{"status":"success","message":"updated"}'


@pytest.fixture
def place(thing):
    return f"{DESCRIPTIONS}/{thing.thing.id}"


async def test_a_thing_without_a_description_has_an_empty_array_with_a_tag(ada, thing, place):
    await ada.link(thing)

    one = await ada.ask("GET", place)
    listed = await ada.ask("GET", DESCRIPTIONS)

    assert (one.status, one.body, listed.body) == (200, b"[]", b"[]")
    assert one.get("ETag") is not None


async def test_a_description_is_replaced_as_a_whole(ada, thing, place):
    await ada.link(thing)
    await ada.ask("PUT", place, {"name": "Kitchen", "floor": 1})

    got = await ada.ask("PUT", place, {"name": "Attic"})

    expected = compact(
        [{"thingId": thing.thing.id, "key": "description", "value": {"name": "Attic"}}]
    )
    assert (got.status, got.body) == (200, UPDATED)
    assert (await ada.ask("GET", place)).body == expected
    assert (await ada.ask("GET", DESCRIPTIONS)).body == expected
    by_thing = await ada.ask("GET", f"/v2/things/{thing.token}/resources/description")
    assert by_thing.body == b'[{"key":"description","value":{"name":"Attic"}}]'


async def test_the_path_may_name_the_thing_by_its_token(ada, thing):
    await ada.link(thing)
    place = f"{DESCRIPTIONS}/{thing.token}"

    assert (await ada.ask("PUT", place, {"name": "Attic"})).status == 200
    assert (await ada.ask("GET", place)).json[0]["value"] == {"name": "Attic"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"7", b'{"a":NaN}', b'{"a":1,"a":2}', {"a": "\x00"}],
    ids=str,
)
async def test_what_is_no_object_is_no_description(ada, thing, place, body):
    await ada.link(thing)
    await ada.ask("PUT", place, {"name": "Kitchen"})

    got = await ada.ask("PUT", place, body)

    assert (got.status, got.json["status"]) == (400, "error")
    assert (await ada.ask("GET", place)).json[0]["value"] == {"name": "Kitchen"}


async def test_a_description_has_at_most_16_kib(ada, thing, place):
    await ada.link(thing)
    fitting = {"a": "x" * (16 * 1024 - 8)}

    assert (await ada.ask("PUT", place, fitting)).status == 200
    beyond = await ada.ask("PUT", place, {"a": fitting["a"] + "x"})

    assert beyond.status == 413


async def test_hostile_texts_stay_texts(ada, thing, place):
    await ada.link(thing)
    hostile = {
        "name": "<script>alert(1)</script>",
        "__proto__": {"a": 1},
        "$set": "'; DROP TABLE thing; --",
        "a.b": "\u202e\ud7ff",
        "": "{{7*7}}",
    }

    await ada.ask("PUT", place, hostile)

    assert (await ada.ask("GET", place)).json[0]["value"] == hostile


async def test_of_two_who_replace_the_same_description_one_is_refused(server, ada, thing, place):
    await ada.link(thing)
    await ada.ask("PUT", place, {"name": "Kitchen"})
    etag = (await ada.ask("GET", place)).get("ETag")
    headers = {"Authorization": ada.token, "If-Match": etag}

    answers = await asyncio.gather(
        *(
            ask(server.address, "PUT", place, {"name": name}, headers)
            for name in ("Attic", "Cellar")
        )
    )

    assert sorted(got.status for got in answers) == [200, 412]
    winner = ("Attic", "Cellar")[[got.status for got in answers].index(200)]
    now = await ada.ask("GET", place)
    assert now.json[0]["value"] == {"name": winner}
    assert next(got for got in answers if got.status == 200).get("ETag") == now.get("ETag")


async def test_the_tag_of_no_description_lets_one_make_the_first(ada, thing, place):
    await ada.link(thing)
    etag = (await ada.ask("GET", place)).get("ETag")

    first = await ada.ask("PUT", place, {"name": "Kitchen"}, **{"If-Match": etag})
    second = await ada.ask("PUT", place, {"name": "Attic"}, **{"If-Match": etag})

    assert (first.status, second.status) == (200, 412)
    assert "has changed" in second.message


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("*", 200),
        ('"other"', 412),
        ("other", 400),
        ('W/"other"', 400),
        ('"a", "b"', 400),
        ("", 400),
    ],
)
async def test_if_match_names_one_tag_or_any(ada, thing, place, condition, status):
    await ada.link(thing)
    await ada.ask("PUT", place, {"name": "Kitchen"})

    got = await ada.ask("PUT", place, {"name": "Attic"}, **{"If-Match": condition})

    assert got.status == status


@pytest.mark.parametrize("address", [DESCRIPTIONS, PUBLIC])
async def test_somebody_elses_thing_is_like_one_that_does_not_exist(ada, bob, thing, address):
    await ada.link(thing)
    await ada.ask("PUT", f"{DESCRIPTIONS}/{thing.thing.id}", {"name": "Kitchen"})

    foreign = await bob.ask("GET", f"{address}/{thing.thing.id}")
    unknown = await bob.ask("GET", f"{address}/{UNKNOWN}")
    listed = await bob.ask("GET", address)

    assert foreign.status == 404
    assert foreign.without_date == unknown.without_date
    assert listed.body == b"[]"


async def test_somebody_elses_description_is_not_replaced(ada, bob, thing, place):
    await ada.link(thing)

    foreign = await bob.ask("PUT", place, {"name": "Attic"})
    unknown = await bob.ask("PUT", f"{DESCRIPTIONS}/{UNKNOWN}", {"name": "Attic"})

    assert foreign.status == 404
    assert foreign.without_date == unknown.without_date
    assert (await ada.ask("GET", place)).body == b"[]"


async def test_whoever_has_any_right_reads_the_public_description(ada, bob, share, thing, place):
    await ada.link(thing)
    await ada.ask("PUT", place, {"name": "Kitchen"})
    await share(ada, bob, {"temperature": {thing.thing.id: {"get": True}}})

    own = await bob.ask("GET", place)
    public = await bob.ask("GET", f"{PUBLIC}/{thing.thing.id}")
    listed = await bob.ask("GET", PUBLIC)

    shown = [{"thingId": thing.thing.id, "key": "publicDescription", "value": {"name": "Kitchen"}}]
    assert own.status == 404
    assert public.body == listed.body == compact(shown)
    assert (await bob.ask("GET", DESCRIPTIONS)).body == b"[]"


async def test_many_descriptions_come_in_chunks_and_few_whole(server, ada, thing):
    things = [thing, *[await server.new_thing() for _ in range(34)]]
    for number, one in enumerate(things):
        await ada.link(one)
        document = {"name": f"{number}", "text": "x" * 16_000}
        got = await ada.ask("PUT", f"{DESCRIPTIONS}/{one.thing.id}", document)
        assert got.status == 200
        if number == 2:
            few = await ada.ask("GET", DESCRIPTIONS)

    many = await ada.ask("GET", DESCRIPTIONS)
    public = await ada.ask("GET", PUBLIC)

    assert few.get("Content-Length") == str(len(few.body))
    assert few.get("Transfer-Encoding") is None
    for given, key in ((many, "description"), (public, "publicDescription")):
        assert given.get("Transfer-Encoding") == "chunked"
        assert len(given.chunks) > 2
        assert {one["key"] for one in given.json} == {key}
        names = {one["thingId"]: one["value"]["name"] for one in given.json}
        assert names == {one.thing.id: f"{number}" for number, one in enumerate(things)}
