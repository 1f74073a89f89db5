"""A thing's tags (`thethings-v2.md` 3.8)."""

from urllib.parse import quote

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def tags(thing):
    return f"{thing}/tags"


async def names(wire, tags):
    got = await wire.ask("GET", tags)
    assert got.status == 200
    assert all(tag["_id"] == tag["name"] for tag in got.json)
    return [tag["name"] for tag in got.json]


async def test_a_new_thing_has_no_tags(wire, tags):
    got = await wire.ask("GET", tags)

    assert (got.status, got.body) == (200, b"[]")


async def test_a_tag_is_added_and_listed_with_its_name_as_id(wire, tags):
    added = await wire.ask("POST", tags, {"name": "fair"})
    listed = await wire.ask("GET", tags)

    assert added.status == 201
    assert added.body == b'{"status":"created","message":"tag added","_id":"fair"}'
    assert listed.body == b'[{"_id":"fair","name":"fair"}]'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": "a"}, ["a"]),
        ({"tag": "a"}, ["a"]),
        ({"_id": "a"}, ["a"]),
        ({"tags": ["b", "a"]}, ["a", "b"]),
        ({"tags": [{"name": "a"}, {"_id": "b"}]}, ["a", "b"]),
        ({"name": "  a  "}, ["a"]),
        ({"name": "a b ä €"}, ["a b ä €"]),
        ({"name": "e\u0301"}, ["\u00e9"]),
        ({"name": "x" * 64}, ["x" * 64]),
    ],
    ids=str,
)
async def test_every_form_of_body_adds_its_tags(wire, tags, body, expected):
    assert (await wire.ask("POST", tags, body)).status == 201
    assert await names(wire, tags) == expected


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "  "},
        {"name": 1},
        {"name": None},
        {"name": "x" * 65},
        {"name": "a/b"},
        {"name": "a\\b"},
        {"name": "a\nb"},
        {"name": "a\u0007"},
        {"tags": []},
        {"tags": "a"},
        {"tags": ["good", ""]},
        [],
        "a",
    ],
    ids=str,
)
async def test_what_is_no_tag_is_refused_and_nothing_is_added(wire, tags, body):
    got = await wire.ask("POST", tags, body)

    assert got.status == 400
    assert await names(wire, tags) == []


async def test_adding_a_tag_twice_is_the_same_as_once(wire, tags):
    answers = [await wire.ask("POST", tags, {"name": "a"}) for _ in range(2)]

    assert [got.status for got in answers] == [201, 201]
    assert await names(wire, tags) == ["a"]


async def test_fifty_tags_are_taken_and_one_more_is_not(wire, tags):
    most = await wire.ask("POST", tags, {"tags": [f"t{n}" for n in range(50)]})
    again = await wire.ask("POST", tags, {"name": "t0"})
    more = await wire.ask("POST", tags, {"name": "one more"})

    assert (most.status, again.status, more.status) == (201, 201, 400)
    assert more.message.startswith("Too many tags")


@pytest.mark.parametrize("name", ["fair", "a b", "ä€", "a?b#c", "a;b=c", "..."])
async def test_a_tag_is_deleted_by_its_encoded_name(wire, tags, name):
    await wire.ask("POST", tags, {"tags": [name, "stays"]})

    got = await wire.ask("DELETE", f"{tags}/{quote(name, safe='')}")

    assert (got.status, got.body) == (200, b'{"status":"success","message":"tag deleted"}')
    assert await names(wire, tags) == ["stays"]


@pytest.mark.parametrize("name", ["100%", "%41", "%2F", ".", ".."])
async def test_whatever_is_taken_as_a_tag_can_be_deleted_again(wire, tags, name):
    added = await wire.ask("POST", tags, {"name": name})

    got = await wire.ask("DELETE", f"{tags}/{quote(name, safe='')}")

    assert (added.status, got.status) in {(201, 200), (400, 400), (400, 404)}


async def test_a_tag_that_the_thing_does_not_have_is_404(wire, tags):
    await wire.ask("POST", tags, {"name": "a"})

    first = await wire.ask("DELETE", f"{tags}/a")
    second = await wire.ask("DELETE", f"{tags}/a")

    assert (first.status, second.status) == (200, 404)
    assert second.message == "Tag not found"


async def test_deleting_a_tag_leaves_equal_ones_of_other_things(server, wire, tags):
    other = f"/v2/things/{await server.new_token()}/tags"
    for address in (tags, other):
        await wire.ask("POST", address, {"name": "a"})

    await wire.ask("DELETE", f"{tags}/a")

    assert await names(wire, other) == ["a"]


@pytest.mark.parametrize("path", ["a%2Fb", "..", "%2e%2e", "%00", "%ff", "%2561"])
async def test_a_tag_id_that_means_two_things_is_refused(wire, tags, path):
    got = await wire.ask("DELETE", f"{tags}/{path}")

    assert got.status == 400
