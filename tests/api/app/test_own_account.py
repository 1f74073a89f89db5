"""Who the caller is, everything that is theirs, and the end of it."""

import asyncio
import itertools
import json

import pytest

from support.wire import PATIENCE_SECONDS, ask, connect, request, values
from thingstead.storage.sqlite.value_archive import SQLiteValueArchive

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "a long sentence"
CURRENT = {"currentPassword": PASSWORD}
PAGE = 1_000
_seconds = itertools.count(1_700_000_000_000, 1_000)


async def write(person, thing, *members, **common):
    got = await person.wire.ask("POST", f"/v2/things/{thing.token}", values(*members, **common))
    assert got.status == 201, got.body


async def exported(person):
    got = await person.ask("GET", "/v2/me/export")
    assert got.status == 200, got.body
    return got.json


async def login(person):
    sent = {"email": person.email, "password": PASSWORD, "app": person.app}
    return await person.wire.ask("POST", "/v2/login", sent)


# Who the caller is.


async def test_the_caller_is_who_the_session_says(ada, app):
    got = await ada.ask("GET", "/v2/me")

    assert got.status == 200
    assert got.json == {
        "_id": ada.id,
        "email": ada.email,
        "confirmed": False,
        "app": app,
        "createdAt": got.json["createdAt"],
    }


async def test_head_answers_the_same_head(ada):
    got = await ada.ask("GET", "/v2/me")

    head = await ada.ask("HEAD", "/v2/me")

    assert (head.status, head.get("Content-Length")) == (200, str(len(got.body)))


async def test_another_method_is_not_allowed(ada):
    got = await ada.ask("POST", "/v2/me", {})

    assert (got.status, got.get("Allow")) == (405, "DELETE, GET, PUT, OPTIONS")


# The end of an account.


async def test_a_deleted_account_is_gone_at_once(ada):
    other = (await login(ada)).json["token"]

    got = await ada.ask("DELETE", "/v2/me", CURRENT)

    assert (got.status, got.body) == (200, b'{"status":"success","message":"deleted"}')
    for token in (ada.token, other):
        again = await ada.wire.ask("GET", "/v2/me", headers={"Authorization": token})
        assert again.status == 401
    assert (await login(ada)).status == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"currentPassword": "wrong"}, 403),
        ({"currentPassword": ""}, 403),
        ({"currentPassword": "x" * 5_000}, 403),
        ({"currentPassword": None}, 400),
        ({"password": PASSWORD}, 400),
        ({}, 400),
        (b"", 400),
        (None, 400),
        (b"[]", 400),
    ],
)
async def test_an_account_is_deleted_with_its_password_only(ada, body, status):
    got = await ada.ask("DELETE", "/v2/me", body)

    assert got.status == status
    assert (await ada.ask("GET", "/v2/me")).status == 200


async def test_deleting_an_account_needs_a_session(wire):
    assert (await wire.ask("DELETE", "/v2/me", CURRENT)).status == 401


async def test_things_of_a_deleted_account_are_free_for_others(ada, bob, thing):
    await ada.link(thing)
    refused = await bob.ask("POST", "/v2/me/things", {"thingToken": thing.token})

    await ada.ask("DELETE", "/v2/me", CURRENT)

    assert refused.status == 404
    await bob.link(thing)
    assert [one["_id"] for one in (await bob.ask("GET", "/v2/me/things")).json] == [thing.thing.id]


async def test_what_a_deleted_account_s_things_wrote_can_be_read_by_nobody(ada, bob, thing):
    await ada.link(thing)
    await write(ada, thing, ("temperature", "of ada"))
    device = f"/v2/things/{thing.token}/resources/temperature"
    assert (await bob.wire.ask("GET", device)).status == 200

    await ada.ask("DELETE", "/v2/me", CURRENT)

    assert (await bob.wire.ask("GET", device)).status == 404
    await bob.link(thing)
    assert (await bob.ask("GET", "/v2/me/resources/temperature")).status == 404


async def test_what_a_deleted_account_s_things_wrote_is_purged(ada, bob, thing, server):
    await ada.link(thing)
    await write(ada, thing, ("temperature", "of ada"))
    core, retention = server.platform.administration.core, server.platform.retention
    await ada.ask("DELETE", "/v2/me", CURRENT)
    await bob.link(thing)
    await write(bob, thing, ("temperature", "of bob"))

    noted = [one for one in await core.purge_list.pending_epochs(100) if one[0] == thing.thing.id]
    for thing_id, epoch in noted:
        await retention.purge_epoch(thing_id, epoch)

    assert len(noted) == 1
    found = (await bob.ask("GET", "/v2/me/resources/temperature?limit=10")).json
    assert [one["value"] for one in found] == ["of bob"]


async def test_who_registers_again_sees_nothing_of_before(ada, thing):
    await ada.link(thing)
    await write(ada, thing, ("temperature", 1))
    await ada.ask("PUT", "/v2/me/settings", {"language": "en"})
    await ada.ask("POST", "/v2/classes/me/lamps", {"_id": "one"})
    await ada.ask("DELETE", "/v2/me", CURRENT)

    sent = {"email": ada.email, "password": PASSWORD, "app": ada.app}
    again = await ada.wire.ask("POST", "/v2/register", sent)
    ada.token = again.json["token"]

    assert again.status == 201
    document = await exported(ada)
    assert document["user"]["_id"] != ada.id
    assert (document["settings"], document["things"], document["collections"]) == ({}, [], {})
    await ada.link(thing)
    assert (await ada.ask("GET", "/v2/me/resources/temperature")).status == 404


async def test_a_stream_of_a_deleted_account_ends(ada, thing, server):
    await ada.link(thing)
    async with connect(server.address) as stream:
        headers = {"Authorization": ada.token}
        await stream.send(request("GET", "/v2/me/resources/t?subscribe=true", headers=headers))
        assert (await stream.read_head()).status == 200
        assert (await stream.next_document())["status"] == "success"

        await ada.ask("DELETE", "/v2/me", CURRENT)

        async with asyncio.timeout(PATIENCE_SECONDS):
            while await stream.read_chunk():
                pass


# Everything that is a user's.


async def test_the_export_of_a_new_user_is_nearly_empty(ada):
    got = await ada.ask("GET", "/v2/me/export")

    assert got.status == 200
    assert got.get("Content-Type") == "application/json"
    assert got.get("Content-Disposition") == 'attachment; filename="thingstead-export.json"'
    assert got.get("Content-Length") is None
    document = got.json
    assert list(document) == ["exportedAt", "user", "settings", "grants", "things", "collections"]
    assert document["user"]["email"] == ada.email
    assert document["grants"] == {"given": [], "received": []}
    assert (document["settings"], document["things"], document["collections"]) == ({}, [], {})


async def test_the_export_holds_settings_things_values_and_objects(ada, thing, server):
    other = await server.new_thing()
    for one in (thing, other):
        await ada.link(one)
    await write(ada, thing, ("a", 1), ("b", "\u00fc"), geo={"lat": 1.5, "long": 2})
    await write(ada, thing, ("a", {"x": [1, None]}))
    described = {"name": "Lamp"}
    await ada.ask("PUT", f"/v2/me/resources/description/{thing.thing.id}", described)
    await ada.ask("PUT", "/v2/me/settings", {"language": "en"})
    for collection, name in (("lamps", "one"), ("lamps", "two"), ("sockets", "one")):
        sent = {"_id": name, "n": 1}
        assert (await ada.ask("POST", f"/v2/classes/me/{collection}", sent)).status == 201

    document = await exported(ada)

    things = {one["_id"]: one for one in document["things"]}
    mine = things[thing.thing.id]
    assert set(things) == {thing.thing.id, other.thing.id}
    assert list(mine) == ["_id", "productId", "linkedAt", "description", "resources"]
    assert mine["description"] == described
    assert sorted(one["value"] != 1 for one in mine["resources"]["a"]) == [False, True]
    assert mine["resources"]["b"][0]["geo"] == {"lat": 1.5, "long": 2.0}
    assert mine["resources"]["b"][0]["value"] == "\u00fc"
    assert things[other.thing.id]["resources"] == {}
    assert document["settings"] == {"language": "en"}
    assert [one["_id"] for one in document["collections"]["lamps"]] == ["two", "one"]
    assert [one["_id"] for one in document["collections"]["sockets"]] == ["one"]


@pytest.mark.parametrize("count", [PAGE - 1, PAGE, PAGE + 1, 2 * PAGE + 500])
async def test_every_value_is_there_once_however_many_pages_it_takes(ada, thing, count):
    await ada.link(thing)
    written = iter(range(count))
    while members := [("k", number) for number in itertools.islice(written, 1_000)]:
        await write(ada, thing, *members)

    document = await exported(ada)

    found = [one["value"] for one in document["things"][0]["resources"]["k"]]
    assert sorted(found) == list(range(count))


async def test_many_objects_are_there_once(ada, server):
    text = "x" * 1_000
    async with asyncio.TaskGroup() as group:
        for number in range(600):
            sent = {"_id": f"{number:04}", "text": text}
            group.create_task(
                server.platform.people.collections.create(ada.id, "many", sent),
            )

    document = await exported(ada)

    assert [one["_id"] for one in document["collections"]["many"]] == [
        f"{number:04}" for number in reversed(range(600))
    ]


async def test_the_export_holds_no_secret(ada, thing):
    await ada.link(thing)

    got = await ada.ask("GET", "/v2/me/export")

    for secret in (thing.token, ada.token, PASSWORD, "$argon2"):
        assert secret.encode() not in got.body


async def test_the_export_holds_nothing_of_others(ada, bob, thing):
    await ada.link(thing)
    await write(ada, thing, ("temperature", "of ada"))
    await ada.ask("PUT", "/v2/me/settings", {"name": "of ada"})
    await ada.ask("POST", "/v2/classes/me/lamps", {"_id": "of-ada"})
    permissions = {"temperature": {thing.thing.id: {"get": True}}}
    granted = {"email": bob.email, "permissions": permissions}
    assert (await ada.ask("PUT", "/v2/me/grant", granted)).status == 200

    document = await exported(bob)

    assert document["things"] == []
    assert "of ada" not in json.dumps(document)
    assert "of-ada" not in json.dumps(document)


async def test_the_export_holds_what_was_given(ada, bob, thing):
    await ada.link(thing)
    permissions = {"temperature": {thing.thing.id: {"get": True}}}
    await ada.ask("PUT", "/v2/me/grant", {"email": bob.email, "permissions": permissions})

    document = await exported(ada)

    assert [one["email"] for one in document["grants"]["given"]] == [bob.email]


async def test_the_former_owner_s_values_are_not_in_the_next_one_s(ada, bob, thing):
    await ada.link(thing)
    await write(ada, thing, ("temperature", "of ada"))
    await ada.ask("DELETE", f"/v2/me/things/{thing.thing.id}")
    await bob.link(thing)
    await write(bob, thing, ("temperature", "of bob"))

    document = await exported(bob)

    found = document["things"][0]["resources"]["temperature"]
    assert [one["value"] for one in found] == ["of bob"]


async def test_an_export_needs_a_session(wire):
    assert (await wire.ask("GET", "/v2/me/export")).status == 401


# One at a time.


@pytest.fixture
def gate(monkeypatch):
    """While it is clear, exports wait before the first page of values; `entered` tells of one."""
    opened, entered = asyncio.Event(), asyncio.Event()
    original = SQLiteValueArchive.page

    async def page(self, *args, **named):
        entered.set()
        await opened.wait()
        return await original(self, *args, **named)

    monkeypatch.setattr(SQLiteValueArchive, "page", page)
    opened.entered = entered
    return opened


async def under_way(person, wire, gate):
    """Begin an export on the wire and wait until it is in the middle."""
    await wire.send(request("GET", "/v2/me/export", headers={"Authorization": person.token}))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await gate.entered.wait()


async def test_a_second_export_of_a_user_is_refused_while_the_first_runs(ada, bob, thing, gate):
    await ada.link(thing)
    await write(ada, thing, ("k", 1))
    async with ada.elsewhere() as first:
        await under_way(ada, first.wire, gate)

        second = await ada.ask("GET", "/v2/me/export")
        others = await bob.ask("GET", "/v2/me/export")
        gate.set()
        got = await first.wire.read()

    assert (second.status, second.get("Retry-After")) == (429, "30")
    assert second.message == "Too Many Requests: one export of a user at a time"
    assert (others.status, got.status) == (200, 200)
    assert got.json["things"][0]["resources"]["k"][0]["value"] == 1
    assert (await ada.ask("GET", "/v2/me/export")).status == 200


async def test_a_client_that_leaves_in_the_middle_frees_the_next(ada, thing, gate):
    await ada.link(thing)
    await write(ada, thing, ("k", 1))
    async with ada.elsewhere() as first:
        await under_way(ada, first.wire, gate)
        first.wire.abort()
    gate.set()

    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await ada.ask("GET", "/v2/me/export")).status == 429:
            pass


async def test_the_export_holds_what_the_app_reaches(server, new_person, thing):
    ada = await new_person(app=(await server.new_app("temperature")).id)
    await ada.link(thing)
    await thing_writes(server, thing, temperature=20, heartrate=99)

    document = await exported(ada)

    assert list(document["things"][0]["resources"]) == ["temperature"]


async def thing_writes(server, thing, **resources):
    body = {"values": [{"key": key, "value": value} for key, value in resources.items()]}
    got = await ask(server.address, "POST", f"/v2/things/{thing.token}", body)
    assert got.status == 201
