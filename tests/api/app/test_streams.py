"""Live streams of users: of a resource over all things, and of a collection."""

import asyncio
from contextlib import AsyncExitStack
from urllib.parse import quote

import pytest

from doubles.value_rig import busy_writer
from support.app_calls import grants, listening, write
from support.wire import ask, compact, connect, request, values
from thingstead.features.apps.model import AppChange

pytestmark = pytest.mark.asyncio(loop_scope="module")

STREAM = "/v2/me/resources/temperature?subscribe=true"
OBJECTS = "/v2/classes/me/rooms"
OBJECT_STREAM = f"{OBJECTS}?subscribe=true"


async def next_change(stream):
    """The next document that is no keep-alive."""
    while (document := await stream.next_document()) == {}:
        pass
    return document


async def first_heard(stream, person, thing, value):
    """What is heard first while the thing writes the value until something is.

    A stream takes a moment to follow what its user has just got.
    """
    heard = asyncio.create_task(stream.next_values())
    while not heard.done():
        await write(person, thing, "temperature", value)
    return [one["value"] for one in heard.result()]


@pytest.fixture
def listen(server):
    def listen_as(person, target=STREAM):
        return listening(server.address, person, target)

    return listen_as


async def test_a_stream_begins_with_its_confirmation_and_shows_life(server, ada):
    async with connect(server.address) as stream:
        headers = {"Authorization": ada.token}
        await stream.send(request("GET", f"{STREAM}&keepAlive=1000", headers=headers))

        head = await stream.read_head()

        assert head.status == 200
        assert head.get("Transfer-Encoding") == "chunked"
        assert head.get("Content-Type") == "application/json"
        assert head.get("Cache-Control") == "no-store"
        assert head.get("X-Accel-Buffering") == "no"
        assert await stream.read_chunk() == b'{"status":"success","message":"subscribed"}'
        assert await stream.read_chunk() == b"{}"
        assert await stream.read_chunk() == b"{}"


@pytest.mark.parametrize("keep_alive", ["x", "1e3", "1.5", "٣", "-"])
@pytest.mark.parametrize("stream", [STREAM, OBJECT_STREAM])
async def test_a_keep_alive_that_is_no_number_is_refused(ada, stream, keep_alive):
    got = await ada.ask("GET", f"{stream}&keepAlive={quote(keep_alive)}")

    assert (got.status, got.message.partition(":")[0]) == (400, "Invalid query")


@pytest.mark.parametrize("keep_alive", ["", "-5", "0", "999999999999"])
async def test_any_number_is_brought_within_bounds(ada, listen, keep_alive):
    async with listen(ada, f"{STREAM}&keepAlive={keep_alive}"):
        pass


@pytest.mark.parametrize("stream", [STREAM, OBJECT_STREAM])
async def test_a_stream_needs_a_session(wire, stream):
    got = await wire.ask("GET", stream)

    assert (got.status, got.message) == (401, "Invalid session token")


@pytest.mark.parametrize("stream", [STREAM, OBJECT_STREAM])
async def test_a_head_request_opens_no_stream(ada, stream):
    got = await ada.ask("HEAD", stream)
    again = await ada.ask("GET", "/v2/me")

    assert got.get("Transfer-Encoding") is None
    assert again.status == 200


async def test_values_of_all_things_come_and_other_resources_do_not(server, ada, thing, listen):
    second = await server.new_thing()
    for one in (thing, second):
        await ada.link(one)
    time = "2026-01-01T12:00:00.000Z"
    async with listen(ada) as stream:
        await write(ada, thing, "humidity", 50)
        await write(ada, thing, "humidity", 51, "temperature", 20, datetime=time)
        await write(ada, second, "temperature", 21, datetime=time)

        chunks = [await stream.read_chunk() for _ in range(2)]

    assert [chunk.decode() for chunk in chunks] == [
        f'[{{"thingId":"{one.thing.id}","datetime":"{time}","key":"temperature","value":{value}}}]'
        for one, value in ((thing, 20), (second, 21))
    ]


async def test_what_a_user_writes_comes_too(ada, thing, listen):
    await ada.link(thing)
    async with listen(ada) as stream:
        await ada.ask(
            "POST", f"/v2/me/resources/temperature/{thing.thing.id}", {"values": [{"value": 5}]}
        )

        assert [one["value"] for one in await stream.next_values()] == [5]


async def test_a_thing_that_is_linked_meanwhile_is_followed(ada, thing, listen):
    async with listen(ada) as stream:
        await ada.link(thing)

        assert await first_heard(stream, ada, thing, 20) == [20]


async def test_a_thing_that_is_unlinked_meanwhile_is_not(server, ada, thing, listen):
    second = await server.new_thing()
    for one in (thing, second):
        await ada.link(one)
    async with listen(ada) as stream:
        await ada.ask("DELETE", f"/v2/me/things/{thing.thing.id}")
        await write(ada, thing, "temperature", "of a former thing")
        await write(ada, second, "temperature", "own")

        assert [one["value"] for one in await stream.next_values()] == ["own"]


async def test_the_next_owners_values_are_not_heard_by_the_one_before(ada, bob, thing, listen):
    await ada.link(thing)
    async with listen(ada) as of_ada, listen(bob) as of_bob:
        await ada.ask("DELETE", f"/v2/me/things/{thing.thing.id}")
        await bob.link(thing)
        heard_by_bob = await first_heard(of_bob, ada, thing, "of bob")
        await bob.ask("DELETE", f"/v2/me/things/{thing.thing.id}")
        await ada.link(thing)
        heard_by_ada = await first_heard(of_ada, ada, thing, "of ada")

    assert (heard_by_bob, heard_by_ada) == (["of bob"], ["of ada"])


async def test_what_is_granted_meanwhile_is_heard(ada, bob, share, thing, listen):
    await ada.link(thing)
    async with listen(bob) as stream:
        await write(ada, thing, "temperature", "before")
        await share(ada, bob, {"temperature": {thing.thing.id: {"get": True}}})

        assert await first_heard(stream, ada, thing, "after") == ["after"]


async def test_another_right_than_get_lets_nobody_listen(server, ada, bob, share, thing, listen):
    own = await server.new_thing()
    await ada.link(thing)
    await bob.link(own)
    rights = {"post": True, "put": True, "grant": True}
    await share(ada, bob, {"temperature": {thing.thing.id: rights}})
    async with listen(bob) as stream:
        await write(ada, thing, "temperature", "secret")
        await write(bob, own, "temperature", "own")

        assert [one["value"] for one in await stream.next_values()] == ["own"]


@pytest.mark.parametrize("end", ["revoke", "give back", "false", "unlink", "delete"])
async def test_nothing_is_heard_after_a_right_has_ended(
    server, ada, bob, share, thing, listen, end
):
    own = await server.new_thing()
    await ada.link(thing)
    await bob.link(own)
    await share(ada, bob, {"temperature": {thing.thing.id: {"get": True}}})
    grant_id = (await grants(ada))["given"][0]["_id"]
    async with listen(bob) as stream:
        await write(ada, thing, "temperature", "while it lasts")
        assert [one["value"] for one in await stream.next_values()] == ["while it lasts"]

        permissions = {"temperature": {thing.thing.id: {"get": False}}}
        calls = {
            "revoke": (ada, "DELETE", f"/v2/me/grants/{grant_id}", None),
            "give back": (bob, "DELETE", f"/v2/me/grants/{grant_id}", None),
            "false": (
                ada,
                "PUT",
                "/v2/me/grant",
                {"email": bob.email, "permissions": permissions},
            ),
            "unlink": (ada, "DELETE", f"/v2/me/things/{thing.thing.id}", None),
            "delete": (ada, "DELETE", f"/v2/me/things/{thing.thing.id}/everything", None),
        }
        person, *call = calls[end]
        assert (await person.ask(*call)).status == 200
        if end != "delete":
            await write(ada, thing, "temperature", "secret")
        await write(bob, own, "temperature", "own")

        assert [one["value"] for one in await stream.next_values()] == ["own"]


@pytest.mark.parametrize("stream", [STREAM, OBJECT_STREAM])
async def test_a_stream_ends_with_its_session(ada, listen, stream):
    async with listen(ada, stream) as wire:
        await ada.ask("DELETE", "/v2/me/sessions/current")

        last = await next_change(wire)

        assert (last["status"], type(last["code"])) == ("error", int)
        assert last["code"] == 401
        assert "the right to listen has ended" in last["message"]
        assert await wire.read_chunk() == b""


async def test_changes_of_a_collection_come_with_the_object(ada, listen):
    async with listen(ada, OBJECT_STREAM) as stream:
        await ada.ask("POST", OBJECTS, {"_id": "kitchen", "color": "red"})
        await ada.ask("PUT", f"{OBJECTS}/kitchen", {"size": 9})
        await ada.ask("DELETE", f"{OBJECTS}/kitchen")

        chunks = [await stream.read_chunk() for _ in range(3)]

    first = {"_id": "kitchen", "color": "red"}
    assert chunks == [
        compact({"action": action, "collection": "rooms", "_id": "kitchen", "object": shown})
        for action, shown in (
            ("create", first),
            ("update", {**first, "size": 9}),
            ("delete", {**first, "size": 9}),
        )
    ]


async def test_a_refused_change_is_no_event(ada, listen):
    await ada.ask("POST", OBJECTS, {"_id": "a"})
    async with listen(ada, OBJECT_STREAM) as stream:
        for method, target, body in (
            ("POST", OBJECTS, {"_id": "a"}),
            ("PUT", f"{OBJECTS}/b", {"x": 1}),
            ("DELETE", f"{OBJECTS}/b", None),
        ):
            assert (await ada.ask(method, target, body)).status >= 400
        await ada.ask("POST", OBJECTS, {"_id": "last"})

        assert (await next_change(stream))["_id"] == "last"


async def test_a_collection_of_the_same_name_is_another_users(ada, bob, listen):
    async with listen(ada, OBJECT_STREAM) as of_ada, listen(bob, OBJECT_STREAM) as of_bob:
        for number in range(20):
            await ada.ask("POST", OBJECTS, {"_id": f"ada{number}"})
            await bob.ask("POST", OBJECTS, {"_id": f"bob{number}"})
        await ada.ask("POST", "/v2/classes/me/others", {"_id": "elsewhere"})

        heard = [[(await next_change(one))["_id"] for _ in range(20)] for one in (of_ada, of_bob)]

    assert heard == [[f"{name}{number}" for number in range(20)] for name in ("ada", "bob")]


async def test_a_collection_with_an_impossible_name_has_no_stream(ada):
    got = await ada.ask("GET", "/v2/classes/me/a.b?subscribe=true")

    assert (got.status, got.message.partition(":")[0]) == (400, "Invalid collection")


@pytest.mark.parametrize("by_token", [True, False], ids=["by token", "by user"])
async def test_a_write_that_was_under_way_at_the_unlink_is_not_heard_by_the_next_owner(
    server, ada, new_person, thing, listen, by_token
):
    await ada.link(thing)
    next_owner = await new_person(wire=ada.wire)
    target = f"/v2/things/{thing.token}" if by_token else STREAM
    store = server.platform.store
    async with AsyncExitStack() as stack:
        async with busy_writer(store):
            late = asyncio.create_task(
                ask(server.address, "POST", f"/v2/things/{thing.token}", values(("temperature", 1)))
            )
            while not store._waiting_values:  # noqa: ASYNC110  # Nothing tells of it.
                await asyncio.sleep(0)
            await ada.ask("DELETE", f"/v2/me/things/{thing.thing.id}")
            await next_owner.link(thing)
            stream = await stack.enter_async_context(listen(next_owner, target))
        assert (await late).status == 201
        await write(next_owner, thing, "temperature", 2)

        assert [one["value"] for one in await stream.next_values()] == [2]


async def test_an_app_that_no_longer_reaches_a_resource_hears_nothing_of_it(
    server, ada, thing, listen
):
    await ada.link(thing)
    apps = server.platform.administration.apps
    brief = f"{STREAM}&keepAlive=1000"
    async with (
        listen(ada, brief) as stream,
        listen(ada, brief.replace("temperature", "own")) as other,
    ):
        await apps.change((await apps.get(ada.app)).id, AppChange(resources=frozenset({"own"})))
        write_both = {"values": [{"key": key, "value": 1} for key in ("temperature", "own")]}
        sent = await ask(server.address, "POST", f"/v2/things/{thing.token}", write_both)
        await other.next_values()

        assert sent.status == 201
        assert await stream.next_document() == {}
