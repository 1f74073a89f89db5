"""Collections of objects (`thethings-v2.md` 6.10 and 10.1)."""

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from urllib.parse import quote, urlencode

import pytest

from support.app_calls import login
from support.wire import ask, compact, connect, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "a long sentence"  # Of the people whom the conftest registers.
CLASSES = "/v2/classes/me"
ROOMS = f"{CLASSES}/rooms"
UPDATED = b'{"status":"success","message":"updated"}'
DELETED = b'{"status":"success","message":"deleted"}'
NOT_FOUND = b'{"status":"error","code":404,"message":"Object not found"}'


async def make(person, *objects, collection="rooms"):
    for one in objects:
        got = await person.ask("POST", f"{CLASSES}/{collection}", one)
        assert got.status == 201, got.body


async def listed(person, query="", collection="rooms"):
    got = await person.ask("GET", f"{CLASSES}/{collection}{query}")
    assert got.status == 200, got.body
    return got.json


async def test_a_collection_that_was_never_used_is_empty(ada):
    got = await ada.ask("GET", ROOMS)

    assert (got.status, got.body, got.get("Content-Length")) == (200, b"[]", "2")
    assert (await ada.ask("GET", CLASSES)).body == b"[]"


async def test_an_object_is_stored_as_it_was_sent(ada):
    made = await ada.ask("POST", ROOMS, {"color": "red", "_id": "kitchen", "size": 9.5})

    got = await ada.ask("GET", f"{ROOMS}/kitchen")

    assert made.status == 201
    assert made.body == b'{"status":"created","message":"created","_id":"kitchen"}'
    assert (got.status, got.body) == (200, b'{"_id":"kitchen","color":"red","size":9.5}')
    assert got.get("ETag") == made.get("ETag") is not None
    assert (await ada.ask("GET", CLASSES)).body == b'["rooms"]'


async def test_an_id_is_made_up_and_sorts_by_time(ada):
    ids = [(await ada.ask("POST", ROOMS, {"n": n})).json["_id"] for n in range(3)]

    assert [one["n"] for one in await listed(ada)] == [2, 1, 0]
    assert ids == sorted(ids)


async def test_objects_are_listed_by_id_descending_as_texts(ada):
    await make(ada, *({"_id": one} for one in ("b", "10", "9", "a", "B", "_", "é".encode().hex())))

    ids = [one["_id"] for one in await listed(ada)]

    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 7


async def test_an_id_that_is_taken_is_refused(ada):
    await make(ada, {"_id": "kitchen", "color": "red"})

    got = await ada.ask("POST", ROOMS, {"_id": "kitchen", "color": "blue"})

    assert (got.status, got.message) == (400, "Object already exists")
    assert await listed(ada) == [{"_id": "kitchen", "color": "red"}]


async def test_of_fifty_who_make_one_object_exactly_one_does(server, ada):
    answers = await asyncio.gather(
        *(
            ask(server.address, "POST", ROOMS, {"_id": "a", "n": n}, {"Authorization": ada.token})
            for n in range(50)
        )
    )

    assert sorted(got.status for got in answers) == [201, *[400] * 49]
    assert await listed(ada) == [{"_id": "a", "n": [got.status for got in answers].index(201)}]


async def test_a_number_is_the_same_id_as_its_text(ada):
    first = await ada.ask("POST", ROOMS, b'{"_id":1}')
    second = await ada.ask("POST", ROOMS, b'{"_id":"1"}')

    assert (first.status, first.json["_id"], second.status) == (201, "1", 400)
    assert (await ada.ask("GET", f"{ROOMS}/1")).body == b'{"_id":"1"}'


@pytest.mark.parametrize(
    "own",
    ["", " ", "a b", "a/b", "é", "x" * 129, 1.5, True, None, [], {}, "a\x00", "<b>"],
    ids=ascii,
)
async def test_what_cannot_be_an_id_is_refused(ada, own):
    got = await ada.ask("POST", ROOMS, {"_id": own})

    assert got.status == 400
    assert await listed(ada) == []


@pytest.mark.parametrize("own", ["x" * 128, "a.b:c@d-e_f", "-1", "..."])
async def test_what_can_be_an_id_is_found_by_it(ada, own):
    await make(ada, {"_id": own})

    assert (await ada.ask("GET", f"{ROOMS}/{own}")).json == {"_id": own}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"7", b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":1e999}'],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_what_is_no_object_is_refused(ada, method, body):
    await make(ada, {"_id": "a"})

    got = await ada.ask(method, ROOMS if method == "POST" else f"{ROOMS}/a", body)

    assert (got.status, got.json["status"]) == (400, "error")
    assert await listed(ada) == [{"_id": "a"}]


@pytest.mark.parametrize("name", ["a.b", "a b", "é", "x" * 65, "$x", "a:b", "%2e%2e"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_cannot_be_a_collection_is_refused(ada, method, name):
    body = {"_id": "a"} if method == "POST" else None

    got = await ada.ask(method, f"{CLASSES}/{quote(name, safe='%')}", body)

    assert got.status == 400


async def test_members_that_are_sent_are_set_and_others_are_kept(ada):
    await make(ada, {"_id": "a", "x": 1, "y": {"z": 1}})

    got = await ada.ask("PUT", f"{ROOMS}/a", {"y": {"w": 2}, "n": None})

    assert (got.status, got.body) == (200, UPDATED)
    read = await ada.ask("GET", f"{ROOMS}/a")
    assert read.body == b'{"_id":"a","x":1,"y":{"w":2},"n":null}'
    assert read.get("ETag") == got.get("ETag")


@pytest.mark.parametrize("own", ["b", 2, None])
async def test_an_object_keeps_its_id(ada, own):
    await make(ada, {"_id": "a"})

    got = await ada.ask("PUT", f"{ROOMS}/a", {"_id": own, "x": 1})

    assert got.status == 400
    assert (await ada.ask("PUT", f"{ROOMS}/a", {"_id": "a", "x": 1})).status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("key", ["absent", "a b", "%00x", "é", "x" * 129])
async def test_an_object_that_does_not_exist_is_not_found(ada, method, key):
    got = await ada.ask(
        method, f"{ROOMS}/{quote(key, safe='%')}", {"x": 1} if method == "PUT" else None
    )

    assert got.status == (400 if "%00" in key else 404)


async def test_an_object_is_deleted_once(server, ada):
    await make(ada, {"_id": "a"})
    headers = {"Authorization": ada.token}

    answers = await asyncio.gather(
        *(ask(server.address, "DELETE", f"{ROOMS}/a", None, headers) for _ in range(2))
    )

    assert sorted((got.status, got.body) for got in answers) == [(200, DELETED), (404, NOT_FOUND)]
    assert (await ada.ask("GET", CLASSES)).body == b"[]"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_another_users_object_is_like_one_that_does_not_exist(ada, bob, method):
    await make(ada, {"_id": "a"})
    body = {"x": 1} if method == "PUT" else None

    foreign = await bob.ask(method, f"{ROOMS}/a", body)
    absent = await bob.ask(method, f"{ROOMS}/b", body)

    assert foreign.status == 404
    assert foreign.without_date == absent.without_date
    assert await listed(bob) == []
    assert await listed(ada) == [{"_id": "a"}]


async def test_two_users_keep_objects_of_one_name(ada, bob):
    await make(ada, {"_id": "a", "of": "ada"})
    await make(bob, {"_id": "a", "of": "bob"})

    assert await listed(ada) == [{"_id": "a", "of": "ada"}]
    assert await listed(bob) == [{"_id": "a", "of": "bob"}]


async def test_the_alias_changes_an_object_with_a_session(ada):
    await make(ada, {"_id": "a", "x": 1})

    got = await ada.ask("PUT", "/v2/things/rooms/a", {"y": 2})

    assert (got.status, got.body) == (200, UPDATED)
    assert await listed(ada) == [{"_id": "a", "x": 1, "y": 2}]


async def test_the_alias_never_takes_a_things_token(wire, ada, thing):
    await ada.link(thing)
    for name in ("rooms", thing.token):
        await make(ada, {"_id": "a"}, collection=name)

    answers = [
        await wire.ask("PUT", "/v2/things/rooms/a", {"x": 1}, {"Authorization": thing.token}),
        await wire.ask("PUT", f"/v2/things/{thing.token}/a", {"x": 1}),
        await wire.ask(
            "PUT", f"/v2/things/{thing.token}/a", {"x": 1}, {"Authorization": thing.token}
        ),
        await wire.ask("PUT", f"/v2/things/{thing.token}/a?thingToken={thing.token}", {"x": 1}),
    ]

    assert [(got.status, got.message) for got in answers] == [(401, "Invalid session token")] * 4
    assert await listed(ada) == await listed(ada, collection=thing.token) == [{"_id": "a"}]


@pytest.mark.parametrize("name", ["tags", "resources", "me", "firmwares", "classes", "description"])
async def test_no_name_is_reserved(ada, name):
    await make(ada, {"_id": name, "x": 1}, collection=name)

    direct = await ada.ask("PUT", f"{CLASSES}/{name}/{name}", {"x": 2})
    alias = await ada.ask("PUT", f"/v2/things/{name}/{name}", {"y": 3})

    assert (direct.status, alias.status) == (200, 200)
    assert await listed(ada, collection=name) == [{"_id": name, "x": 2, "y": 3}]


async def test_a_collection_named_like_a_things_token_is_a_collection(wire, ada, thing):
    await ada.link(thing)
    await make(ada, {"_id": "tags"}, {"_id": "resources"}, collection=thing.token)

    got = await ada.ask("PUT", f"/v2/things/{thing.token}/tags", {"x": 1})

    assert got.status == 200
    assert (await wire.ask("GET", f"/v2/things/{thing.token}/tags")).body == b"[]"
    stored = await listed(ada, collection=thing.token)
    assert stored == [{"_id": "tags", "x": 1}, {"_id": "resources"}]


HOSTILE = {
    "__proto__": {"admin": True},
    "constructor": {"prototype": 1},
    "$set": {"x": 1},
    "$where": "sleep(1)",
    "a.b": 1,
    "_owner": "somebody",
    "_rev": 1,
    "user_id": "x",
    "": "empty",
    "'; DROP TABLE object; --": "<script>",
}


async def test_hostile_names_are_plain_members(ada):
    await make(ada, {"_id": "a", "a": {"b": 0}, **HOSTILE})

    got = await ada.ask("PUT", f"{ROOMS}/a", {"$set": {"y": 2}, "a.b": 3})

    assert got.status == 200
    expected = {"_id": "a", "a": {"b": 0}, **HOSTILE, "$set": {"y": 2}, "a.b": 3}
    assert await listed(ada) == [expected]


async def test_a_form_makes_an_object(ada):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}

    got = await ada.ask("POST", ROOMS, urlencode({"_id": "a", "color": "red"}).encode(), **kind)

    assert got.status == 201
    assert await listed(ada) == [{"_id": "a", "color": "red"}]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_change_may_demand_the_state_that_was_read(ada, method):
    await make(ada, {"_id": "a", "x": 1})
    read = (await ada.ask("GET", f"{ROOMS}/a")).get("ETag")
    await ada.ask("PUT", f"{ROOMS}/a", {"x": 2})
    body = {"x": 3} if method == "PUT" else None

    stale = await ada.ask(method, f"{ROOMS}/a", body, **{"If-Match": read})
    now = (await ada.ask("GET", f"{ROOMS}/a")).get("ETag")
    fresh = await ada.ask(method, f"{ROOMS}/a", body, **{"If-Match": now})

    assert (stale.status, fresh.status) == (412, 200)
    assert "has changed" in stale.message


async def test_of_two_who_change_the_same_state_one_is_refused(server, ada):
    await make(ada, {"_id": "a"})
    etag = (await ada.ask("GET", f"{ROOMS}/a")).get("ETag")
    headers = {"Authorization": ada.token, "If-Match": etag}

    answers = await asyncio.gather(
        *(ask(server.address, "PUT", f"{ROOMS}/a", {"n": n}, headers) for n in range(2))
    )

    assert sorted(got.status for got in answers) == [200, 412]


async def test_a_hundred_merges_at_once_all_survive(server, ada):
    await make(ada, {"_id": "a"})
    headers = {"Authorization": ada.token}

    answers = await asyncio.gather(
        *(ask(server.address, "PUT", f"{ROOMS}/a", {f"m{n}": n}, headers) for n in range(100))
    )

    assert {got.status for got in answers} == {200}
    (stored,) = await listed(ada)
    assert stored == {"_id": "a", **{f"m{n}": n for n in range(100)}}


async def test_paging_gives_every_object_once(ada):
    ids = {f"{n:03}" for n in range(25)}
    await make(ada, *({"_id": one} for one in ids))
    seen = []
    query = "?limit=4"

    while page := await listed(ada, query):
        assert len(page) <= 4
        seen += [one["_id"] for one in page]
        query = f"?limit=4&after={seen[-1]}"

    assert seen == sorted(ids, reverse=True)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=x",
        "after=a%20b",
        "after=",
        "where=x",
        "where=[]",
        "where=",
        "where=%7B%22a%22:NaN%7D",
    ],
)
async def test_what_cannot_be_asked_for_is_refused(ada, query):
    assert (await ada.ask("GET", f"{ROOMS}?{query}")).status == 400


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({"color": "red"}, ["c", "a"]),
        ({"color": "red", "size": 1}, ["a"]),
        ({"size": 1.0}, ["a"]),
        ({"size": True}, []),
        ({"size": None}, ["c"]),
        ({"_id": "b"}, ["b"]),
        ({"deep": {"x": [1]}}, ["b"]),
        ({"absent": None}, []),
        ({"$or": [{"color": "red"}]}, []),
        ({"color": {"$ne": "red"}}, []),
        ({}, ["c", "b", "a"]),
    ],
    ids=str,
)
async def test_where_chooses_by_equal_members(ada, where, found):
    await make(
        ada,
        {"_id": "a", "color": "red", "size": 1},
        {"_id": "b", "color": "blue", "deep": {"x": [1]}},
        {"_id": "c", "color": "red", "size": None},
    )

    query = f"?where={quote(json.dumps(where))}"

    assert [one["_id"] for one in await listed(ada, query)] == found
    assert [one["_id"] for one in await listed(ada, f"{query}&limit=1")] == found[:1]


async def test_a_large_list_comes_in_chunks_and_a_small_one_whole(ada):
    await make(ada, *({"_id": f"{n:02}", "text": "x" * 50_000} for n in range(4)))
    small = await ada.ask("GET", ROOMS)
    await make(ada, *({"_id": f"{n:02}", "text": "x" * 50_000} for n in range(4, 20)))

    large = await ada.ask("GET", ROOMS)

    assert small.get("Content-Length") == str(len(small.body))
    assert small.get("Transfer-Encoding") is None
    assert large.get("Transfer-Encoding") == "chunked"
    assert len(large.chunks) > 2
    assert [one["_id"] for one in large.json] == [f"{n:02}" for n in reversed(range(20))]


async def test_the_head_of_a_large_list_is_that_of_its_get(server, ada):
    await make(ada, *({"_id": f"{n:02}", "text": "x" * 50_000} for n in range(12)))
    async with connect(server.address) as wire:
        headers = {"Authorization": ada.token}

        head = await wire.ask("HEAD", ROOMS, None, headers)
        after = await wire.ask("GET", "/v2/me", None, headers)

    assert (head.status, after.status) == (200, 200)


async def test_texts_of_all_kinds_come_back_as_they_were(ada):
    value = {"_id": "a", "t": 'ä€😀\u2028\u202e\t"\\', "n": [0, -1, 2**53, 1.5e-9, True, None]}
    await make(ada, value)

    assert (await ada.ask("GET", f"{ROOMS}/a")).body == compact(value)


@pytest.mark.parametrize(("method", "path"), [("POST", ROOMS), ("PUT", f"{ROOMS}/a")])
async def test_a_body_that_arrives_after_its_user_was_deleted_stores_nothing(ada, method, path):
    await make(ada, {"_id": "a"})
    body = compact({"color": "red"})
    head = f"{method} {path} HTTP/1.1\r\nAuthorization: {ada.token}\r\nContent-Length: {len(body)}"
    async with ada.elsewhere() as slow:
        await slow.wire.send(f"{head}\r\n\r\n".encode() + body[:5])
        gone = await ada.ask("DELETE", "/v2/me", {"currentPassword": PASSWORD})

        await slow.wire.send(body[5:])

        assert gone.status == 200
        assert (await slow.wire.read()).status == 401


async def test_a_body_that_arrives_after_its_session_has_ended_stores_nothing(ada):
    body = compact({"_id": "a"})
    head = f"POST {ROOMS} HTTP/1.1\r\nAuthorization: {ada.token}\r\nContent-Length: {len(body)}"
    other = (await login(ada, PASSWORD)).json["token"]
    async with ada.elsewhere() as slow:
        await slow.wire.send(f"{head}\r\n\r\n".encode() + body[:5])
        await ada.ask("DELETE", "/v2/me/sessions/current")

        await slow.wire.send(body[5:])

        assert (await slow.wire.read()).status == 401
    assert await listed(replace(ada, token=other)) == []


async def test_a_filtered_list_that_is_small_comes_whole(ada):
    await make(ada, *({"_id": f"{n:02}", "n": n, "text": "x" * 40_000} for n in range(20)))

    got = await ada.ask("GET", f"{ROOMS}?where={quote(json.dumps({'n': 3}))}")

    assert got.get("Content-Length") == str(len(got.body))
    assert [one["_id"] for one in got.json] == ["03"]


async def test_a_user_has_four_long_lists_under_way_and_not_five(server, ada):
    await make(ada, *({"_id": f"{n:03}", "text": "x" * 60_000} for n in range(250)))
    small = request("GET", f"{ROOMS}?limit=1", None, {"Authorization": ada.token})
    asked = request("GET", ROOMS, None, {"Authorization": ada.token})
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(connect(server.address)) for _ in range(6)]
        for wire in wires[:4]:
            # Nobody reads the rest, which is more than the sockets hold.
            await wire.send(asked)
            assert (await wire.read_head()).status == 200

        await wires[4].send(asked)
        refused = await wires[4].read()
        await wires[5].send(small)

        assert (refused.status, refused.get("Retry-After")) == (429, "1")
        assert (await wires[5].read()).status == 200
    # The server learns that they left from its sockets, in its own time.
    while (got := await ada.ask("GET", ROOMS)).status == 429:
        pass
    assert len(got.json) == 250
