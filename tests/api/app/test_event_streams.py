"""Live streams of users as Server-Sent Events: resources, collections, tickets."""

import pytest

from support.app_calls import grants, write
from support.event_stream import ACCEPT, event_stream
from support.in_process import served
from support.wire import ask, compact, connect, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

RESOURCE = "/v2/me/resources/temperature"
OBJECTS = "/v2/classes/me/rooms"
STREAMS = pytest.mark.parametrize("target", [RESOURCE, OBJECTS])


@pytest.fixture
def listen(server):
    def listen_as(person, target=RESOURCE, since=""):
        return event_stream(server.address, target, {"Authorization": person.token}, since=since)

    return listen_as


async def put_object(person, name):
    got = await person.ask("POST", OBJECTS, {"_id": name})
    assert got.status == 201, got.body


@STREAMS
async def test_accept_alone_makes_it_a_stream_and_subscribe_may_stand_there_too(
    ada, listen, target
):
    async with listen(ada, target), listen(ada, f"{target}?subscribe=true"):
        pass


@STREAMS
async def test_without_either_it_is_an_ordinary_read(ada, thing, target):
    await ada.link(thing)
    await write(ada, thing, "temperature", 1)

    got = await ada.ask("GET", target, Accept="application/json")

    assert got.status == 200
    assert isinstance(got.json, list)


@STREAMS
async def test_a_head_request_opens_no_stream(ada, thing, target):
    await ada.link(thing)
    await write(ada, thing, "temperature", 1)

    got = await ada.ask("HEAD", target, **ACCEPT)

    assert got.get("Content-Type") == "application/json"
    assert (await ada.ask("GET", "/v2/me")).status == 200


@STREAMS
async def test_a_stream_needs_a_session(server, target):
    got = await ask(server.address, "GET", target, headers=ACCEPT)

    assert (got.status, got.message) == (401, "Invalid session token")


@STREAMS
async def test_a_cursor_of_another_kind_is_refused(ada, target):
    other = "c1" if target == RESOURCE else "v1"

    got = await ada.ask("GET", f"{target}?since={other}", **ACCEPT)

    assert (got.status, got.message.partition(":")[0]) == (400, "Invalid cursor")


async def test_values_look_as_on_the_stream_of_documents(server, ada, thing, listen):
    await ada.link(thing)
    time = "2026-01-01T12:00:00.000Z"
    async with listen(ada) as events:
        await write(ada, thing, "humidity", 51, "temperature", 20, datetime=time)

        event = await events.next()

    assert event.type == "values"
    assert event.data == (
        f'[{{"thingId":"{thing.thing.id}","datetime":"{time}","key":"temperature","value":20}}]'
    )


async def test_values_missed_come_in_order_over_all_things_and_no_other_resource(
    server, ada, thing, listen
):
    second = await server.new_thing()
    for one in (thing, second):
        await ada.link(one)
    async with listen(ada) as events:
        begun_at = events.last_id
    for number in range(4):
        await write(ada, (thing, second)[number % 2], "temperature", number, "humidity", 1)

    async with listen(ada, since=begun_at) as events:
        missed = [await events.values() for _ in range(4)]
        await write(ada, thing, "temperature", "live")

        assert missed == [[("temperature", number)] for number in range(4)]
        assert await events.values() == [("temperature", "live")]


async def test_only_what_may_be_read_now_is_told_again(server, ada, bob, share, thing, listen):
    own = await server.new_thing()
    await ada.link(thing)
    await bob.link(own)
    await share(ada, bob, {"temperature": {thing.thing.id: {"get": True}}})
    async with listen(bob) as events:
        begun_at = events.last_id
    await write(ada, thing, "temperature", "while it was shared")
    await ada.ask("DELETE", f"/v2/me/grants/{(await grants(ada))['given'][0]['_id']}")
    await write(ada, thing, "temperature", "afterwards")
    await write(bob, own, "temperature", "own")

    async with listen(bob, since=begun_at) as events:
        assert await events.values() == [("temperature", "own")]


async def test_the_next_owner_is_told_nothing_of_the_one_before(ada, bob, thing, listen):
    await ada.link(thing)
    async with listen(bob) as events:
        begun_at = events.last_id
    await write(ada, thing, "temperature", "of ada")
    await ada.ask("DELETE", f"/v2/me/things/{thing.thing.id}")
    await bob.link(thing)
    await write(bob, thing, "temperature", "of bob")

    async with listen(bob, since=begun_at) as events:
        assert await events.values() == [("temperature", "of bob")]
    # The thing's own token belongs to the present owner too.
    async with listen(bob, f"/v2/things/{thing.token}", since=begun_at) as events:
        assert await events.values() == [("temperature", "of bob")]


async def test_one_users_stream_never_shows_anothers(server, ada, bob, thing, listen):
    second = await server.new_thing()
    await ada.link(thing)
    await bob.link(second)
    async with listen(ada) as of_ada, listen(bob) as of_bob:
        begun_at = of_ada.last_id
        for number in range(20):
            await write(ada, thing, "temperature", f"ada{number}")
            await write(bob, second, "temperature", f"bob{number}")
        live = [[await one.values() for _ in range(20)] for one in (of_ada, of_bob)]
    async with listen(ada, since=begun_at) as of_ada, listen(bob, since=begun_at) as of_bob:
        again = [[await one.values() for _ in range(20)] for one in (of_ada, of_bob)]

    expected = [
        [[("temperature", f"{name}{number}")] for number in range(20)] for name in ("ada", "bob")
    ]
    assert live == again == expected


async def test_changes_of_objects_are_events_and_are_told_again(ada, listen):
    async with listen(ada, OBJECTS) as events:
        begun_at = events.last_id
        await ada.ask("POST", OBJECTS, {"_id": "kitchen", "color": "red"})
        await ada.ask("PUT", f"{OBJECTS}/kitchen", {"size": 9})
        await ada.ask("DELETE", f"{OBJECTS}/kitchen")
        told = [await events.next() for _ in range(3)]

    first = {"_id": "kitchen", "color": "red"}
    assert begun_at.startswith("c")
    assert [(event.type, event.data) for event in told] == [
        (
            "object",
            compact(
                {"action": action, "collection": "rooms", "_id": "kitchen", "object": shown}
            ).decode(),
        )
        for action, shown in (
            ("create", first),
            ("update", {**first, "size": 9}),
            ("delete", {**first, "size": 9}),
        )
    ]
    async with listen(ada, OBJECTS, since=begun_at) as events:
        assert [await events.next() for _ in range(3)] == told


async def test_objects_of_another_user_or_collection_are_not_told(ada, bob, listen):
    async with listen(ada, OBJECTS) as events:
        begun_at = events.last_id
    await put_object(bob, "of-bob")
    await ada.ask("POST", "/v2/classes/me/others", {"_id": "elsewhere"})
    await put_object(ada, "own")

    async with listen(ada, OBJECTS, since=begun_at) as events:
        assert (await events.next()).json["_id"] == "own"


@STREAMS
async def test_a_stream_ends_with_its_session(ada, listen, target):
    async with listen(ada, target) as events:
        await ada.ask("DELETE", "/v2/me/sessions/current")

        [end] = await events.rest()

    assert (end.type, end.json["code"]) == ("end", 401)
    assert "the right to listen has ended" in end.json["message"]


async def ticket_of(person):
    got = await person.ask("POST", "/v2/me/tickets")
    assert got.status == 201, got.body
    return got.json["ticket"]


@STREAMS
async def test_a_ticket_opens_one_stream(server, ada, thing, target):
    await ada.link(thing)
    ticketed = f"{target}?ticket={await ticket_of(ada)}"
    async with event_stream(server.address, ticketed) as events:
        await write(ada, thing, "temperature", 1)
        await put_object(ada, "kitchen")

        assert (await events.next()).type == ("values" if target == RESOURCE else "object")
    again = await ask(server.address, "GET", ticketed, headers=ACCEPT)
    assert (again.status, again.message) == (401, "Invalid ticket")


async def test_a_stream_by_ticket_ends_with_the_session_that_it_stands_for(server, ada):
    async with event_stream(server.address, f"{RESOURCE}?ticket={await ticket_of(ada)}") as events:
        await ada.ask("DELETE", "/v2/me/sessions/current")

        [end] = await events.rest()

    assert (end.type, end.json["code"]) == ("end", 401)


async def test_a_stream_by_ticket_goes_on_where_the_one_before_ended(server, ada, thing):
    await ada.link(thing)
    async with event_stream(server.address, f"{RESOURCE}?ticket={await ticket_of(ada)}") as events:
        begun_at = events.last_id
    await write(ada, thing, "temperature", 1)

    ticket = await ticket_of(ada)
    async with event_stream(
        server.address, f"{RESOURCE}?ticket={ticket}&since={begun_at}"
    ) as events:
        assert await events.values() == [("temperature", 1)]


@pytest.mark.parametrize("target", [RESOURCE, f"{RESOURCE}?subscribe=true", OBJECTS, "/v2/me"])
async def test_a_ticket_opens_nothing_else(server, ada, target):
    ticket = await ticket_of(ada)
    joint = "&" if "?" in target else "?"

    got = await ask(server.address, "GET", f"{target}{joint}ticket={ticket}")

    assert (got.status, got.message) == (401, "Invalid session token")


async def test_what_a_browser_asks_of_another_origin_is_allowed(server, ada):
    headers = {**ACCEPT, "Origin": "https://app.example", "Authorization": ada.token}
    async with connect(server.address) as wire:
        await wire.send(request("GET", RESOURCE, headers=headers))

        assert (await wire.read_head()).get("Access-Control-Allow-Origin") == "*"


async def test_objects_are_told_again_over_a_restart(tmp_path):
    async with served(tmp_path / "folder") as server:
        app = (await server.new_app()).id
        body = {"email": "ada@example.org", "password": "a long sentence", "app": app}
        token = (await ask(server.address, "POST", "/v2/register", body)).json["token"]
        headers = {"Authorization": token}
        async with event_stream(server.address, OBJECTS, headers) as events:
            begun_at = events.last_id
        await ask(server.address, "POST", OBJECTS, {"_id": "before"}, headers)
    async with (
        served(tmp_path / "folder") as server,
        event_stream(server.address, OBJECTS, headers, since=begun_at) as events,
    ):
        await ask(server.address, "POST", OBJECTS, {"_id": "after"}, headers)

        assert [(await events.next()).json["_id"] for _ in range(2)] == ["before", "after"]
