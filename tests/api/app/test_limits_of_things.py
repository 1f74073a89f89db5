"""Limits of links, streams, grants and collections as settings, each at n and at n + 1.

What a limit does is tested beside its code; here, that the setting reaches that code. The clock
stands still and is moved by the tests.
"""

import asyncio
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from doubles.clock import ManualClock
from support.app_calls import grants, listening, login, write
from support.in_process import served
from support.wire import PATIENCE_SECONDS, ask, compact, connect
from thingstead.bootstrap import administration
from thingstead.limit_settings import LimitSettings

THINGS = "/v2/me/things"
ROOMS = "/v2/classes/me/rooms"
UNKNOWN = "A" * 43
PASSWORD = "a long sentence"  # Of the people whom the conftest registers.


@pytest.fixture
def clock(monkeypatch):
    standing = ManualClock(1_767_225_600_000)
    monkeypatch.setattr(administration, "SystemClock", lambda: standing)
    return standing


@pytest_asyncio.fixture
async def start(tmp_path, clock):
    """Start a server with the limits given: `server, ada = await start(limits)`."""
    async with AsyncExitStack() as stack:

        async def started(limits):
            server = await stack.enter_async_context(served(tmp_path / "folder", limits=limits))
            wire = await stack.enter_async_context(connect(server.address))
            server.wire = wire
            return server

        yield started


@pytest.fixture
def register():
    """Register a user on a server that was started."""
    numbers = iter(range(1_000))

    async def registered(server, app=None):
        app = app or await server.new_app()
        email = f"person{next(numbers)}@example.org"
        body = {"email": email, "password": PASSWORD, "app": app.id}
        got = await server.wire.ask("POST", "/v2/register", body)
        assert got.status == 201, got.body
        return Person(server.wire, app.id, email, got.json["token"])

    return registered


class Person:
    """A user of a server of this file."""

    def __init__(self, wire, app, email, token):
        self.wire, self.app, self.email, self.token = wire, app, email, token

    async def ask(self, method, path, body=None, **headers):
        headers = {"Authorization": self.token, **headers}
        return await self.wire.ask(method, path, body, headers)

    async def statuses(self, *calls):
        return [(await self.ask(*call)).status for call in calls]

    async def link(self, thing):
        assert (await self.ask("POST", THINGS, {"thingToken": thing.token})).status == 200


def permissions(thing, *resources):
    return {resource: {thing.thing.id: {"get": True}} for resource in resources}


def granting(email, given):
    return ("PUT", "/v2/me/grant", {"email": email, "permissions": given})


async def test_a_user_has_as_many_things_as_they_may(start, register):
    server = await start(LimitSettings(things_per_user=2))
    ada = await register(server)
    tokens = [await server.new_token() for _ in range(3)]

    linked = [await ada.ask("POST", THINGS, {"thingToken": token}) for token in tokens]
    again = await ada.ask("POST", THINGS, {"thingToken": tokens[0]})

    assert [got.status for got in linked] == [200, 200, 403]
    assert "a user may have 2" in linked[2].message
    assert again.status == 200


async def test_a_user_has_as_many_streams_as_they_may(start, register):
    server = await start(LimitSettings(streams_per_user=2))
    ada, bob = await register(server), await register(server)
    targets = [f"{path}?subscribe=true" for path in ("/v2/me/resources/t", ROOMS)]
    async with AsyncExitStack() as open_ones:
        for target in targets:
            await open_ones.enter_async_context(listening(server.address, ada, target))
        refused = [await ada.ask("GET", target) for target in targets]
        await open_ones.enter_async_context(listening(server.address, bob, targets[0]))

    assert [got.status for got in refused] == [429, 429]
    assert "at most 2 for one user" in refused[0].message


async def test_by_default_a_user_has_50_streams(start, register):
    server = await start(LimitSettings())
    ada = await register(server)
    async with AsyncExitStack() as open_ones:
        for _ in range(50):
            stream = listening(server.address, ada, f"{ROOMS}?subscribe=true")
            await open_ones.enter_async_context(stream)

        assert (await ada.ask("GET", f"{ROOMS}?subscribe=true")).status == 429


async def test_a_user_fails_to_link_as_often_in_an_hour_as_they_may(start, register, clock):
    server = await start(LimitSettings(link_tries_per_hour=2))
    ada = await register(server)
    wrong = ("POST", THINGS, {"thingToken": UNKNOWN})
    right = ("POST", THINGS, {"thingToken": await server.new_token()})
    assert await ada.statuses(right, wrong, right, wrong, wrong, right) == [
        *(200, 404, 200, 404),
        *(429, 429),
    ]

    clock.advance(1_801)

    refused = await ada.statuses(wrong, wrong)
    assert refused == [404, 429]
    assert "at most 2 failed links in an hour" in (await ada.ask(*wrong)).message


async def test_as_many_link_ids_of_a_user_wait_as_may(start, register):
    server = await start(LimitSettings(link_ids_per_user=2))
    ada = await register(server)

    claims = [await ada.ask("POST", THINGS, {"linkId": f"SERIAL-{n}"}) for n in (1, 2, 3, 1)]

    assert [got.status for got in claims] == [200, 200, 429, 200]
    assert "2 may wait at a time" in claims[2].message


async def shared_thing(server, person):
    thing = await server.new_thing()
    await person.link(thing)
    return thing


async def test_a_user_has_given_as_many_grants_as_they_may(start, register):
    server = await start(LimitSettings(grants_per_user=2))
    ada = await register(server)
    thing = await shared_thing(server, ada)
    calls = [granting(f"f{n}@example.org", permissions(thing, "t")) for n in range(3)]

    assert await ada.statuses(*calls) == [200, 200, 403]
    assert "a user may give 2" in (await ada.ask(*calls[2])).message
    first = (await grants(ada))["given"][0]["_id"]
    assert await ada.statuses(("DELETE", f"/v2/me/grants/{first}"), calls[2]) == [200, 200]


async def test_a_grant_has_as_many_entries_as_it_may(start, register):
    server = await start(LimitSettings(grant_entries=2))
    ada = await register(server)
    thing = await shared_thing(server, ada)

    fitting = await ada.ask(*granting("f@example.org", permissions(thing, "a", "b")))
    beyond = await ada.ask(*granting("g@example.org", permissions(thing, "a", "b", "c")))

    assert (fitting.status, beyond.status) == (200, 400)
    assert "more than 2 entries" in beyond.message


async def test_a_user_s_grants_have_as_many_entries_altogether_as_they_may(start, register):
    server = await start(LimitSettings(grant_entries_per_user=3))
    ada = await register(server)
    thing = await shared_thing(server, ada)

    calls = [
        granting("f@example.org", permissions(thing, "a", "b")),
        granting("g@example.org", permissions(thing, "a", "b")),
        granting("g@example.org", permissions(thing, "a")),
        granting("h@example.org", permissions(thing, "a")),
    ]

    assert await ada.statuses(*calls) == [200, 403, 200, 403]
    assert "3 entries in all their grants" in (await ada.ask(*calls[3])).message


async def test_a_user_grants_as_often_in_an_hour_as_they_may(start, register, clock):
    server = await start(LimitSettings(grants_per_hour=2))
    ada = await register(server)
    thing = await shared_thing(server, ada)
    calls = [granting(f"f{n}@example.org", permissions(thing, "t")) for n in range(4)]
    assert await ada.statuses(*calls[:3]) == [200, 200, 429]

    clock.advance(1_801)

    assert await ada.statuses(*calls[2:]) == [200, 429]
    assert "at most 2 new grants in an hour" in (await ada.ask(*calls[3])).message


async def test_a_user_grants_as_often_to_one_address_in_a_day_as_they_may(start, register, clock):
    server = await start(LimitSettings(grants_per_address=2))
    ada = await register(server)
    thing = await shared_thing(server, ada)
    calls = [granting("f@example.org", permissions(thing, f"t{n}")) for n in range(4)]
    other = granting("g@example.org", permissions(thing, "t"))
    assert await ada.statuses(*calls[:3], other) == [200, 200, 429, 200]

    clock.advance(43_201)

    assert await ada.statuses(*calls[2:]) == [200, 429]
    refused = await ada.ask(*calls[3])
    assert "at most 2 new grants to one address in a day" in refused.message


async def test_roles_have_as_many_entries_as_they_may_and_the_list_of_resources_all(
    start, register
):
    server = await start(LimitSettings(role_entries=2))
    ada = await register(server)
    thing = await shared_thing(server, ada)
    counts = []
    for key in ("a", "b"):
        await write(ada, thing, key, 1)
        roles = (await login(ada, PASSWORD)).json["roles"]
        counts.append(sum(len(things) for things in roles.values()))

    listed = (await ada.ask("GET", "/v2/me/resources")).json

    # The description is one of them.
    assert counts == [2, 2]
    assert [one["name"] for one in listed] == ["a", "b"]


async def test_a_user_has_as_many_collections_as_they_may(start, register):
    server = await start(LimitSettings(collections_per_user=2))
    ada = await register(server)
    calls = [("POST", f"/v2/classes/me/{name}", {"_id": "x"}) for name in "abc"]

    assert await ada.statuses(*calls, ("POST", "/v2/classes/me/a", {})) == [201, 201, 403, 201]
    assert await ada.statuses(("DELETE", "/v2/classes/me/b/x"), calls[2]) == [200, 201]


async def test_a_collection_has_as_many_objects_as_it_may(start, register):
    server = await start(LimitSettings(objects_per_collection=2))
    ada = await register(server)
    calls = [("POST", ROOMS, {"_id": name}) for name in "abc"]

    assert await ada.statuses(*calls, ("POST", "/v2/classes/me/b", {})) == [201, 201, 403, 201]
    assert await ada.statuses(("DELETE", f"{ROOMS}/a"), calls[2]) == [200, 201]


def sized(name, size):
    """An object of so many bytes."""
    return {"_id": name, "x": "x" * (size - len(compact({"_id": name, "x": ""})))}


async def test_a_collection_has_as_many_bytes_as_it_may(start, register):
    server = await start(LimitSettings(collection_bytes=100))
    ada = await register(server)

    made = await ada.statuses(
        ("POST", ROOMS, sized("a", 60)),
        ("POST", ROOMS, sized("b", 41)),
        ("POST", ROOMS, sized("b", 40)),
        ("PUT", f"{ROOMS}/b", sized("b", 41)),
        ("PUT", f"{ROOMS}/b", sized("b", 39)),
        ("PUT", f"{ROOMS}/a", sized("a", 61)),
    )

    assert made == [201, 403, 201, 403, 200, 200]


async def test_an_object_has_as_many_bytes_as_it_may(start, register):
    server = await start(LimitSettings(object_bytes=100))
    ada = await register(server)

    room = 100 - len('{"_id":"c","a":1,"x":""}')

    # On connections of their own: a 413 closes its one.
    answers = [
        await ask(server.address, *call, {"Authorization": ada.token})
        for call in (
            ("POST", ROOMS, sized("a", 100)),
            ("POST", ROOMS, sized("b", 101)),
            ("POST", ROOMS, {"_id": "c", "a": 1}),
            ("PUT", f"{ROOMS}/c", {"x": "x" * room}),
            ("PUT", f"{ROOMS}/c", {"x": "x" * (room + 1)}),
        )
    ]

    assert [got.status for got in answers] == [201, 413, 201, 200, 413]
    assert "at most 100 bytes" in answers[1].message


async def test_as_many_changes_of_objects_wait_to_be_stored_as_may(start, register):
    server = await start(LimitSettings(waiting_objects=3))
    ada = await register(server)
    headers = {"Authorization": ada.token}
    # Nothing is stored while somebody else has the turn to write.
    async with server.platform.administration.core._database.turn():
        changes = [
            asyncio.create_task(ask(server.address, "POST", ROOMS, {"_id": name}, headers))
            for name in "abcd"
        ]
        refused, _ = await asyncio.wait(
            changes, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
    answers = await asyncio.gather(*changes)

    assert sorted(got.status for got in answers) == [201, 201, 201, 503]
    assert [one.result().status for one in refused] == [503]


async def test_a_thing_is_unlinked_as_often_in_an_hour_as_it_may(start, register, clock):
    server = await start(LimitSettings(unlinks_per_thing=2))
    ada, bob = await register(server), await register(server)
    thing = await server.new_thing()
    link = ("POST", THINGS, {"thingToken": thing.token})
    unlink = ("DELETE", f"{THINGS}/{thing.thing.id}")
    assert await ada.statuses(link, unlink, link, unlink, link) == [200] * 5

    assert await ada.statuses(unlink, link) == [429, 200]
    assert await bob.statuses(unlink, link) == [404, 404]
    clock.advance(1_801)

    assert await ada.statuses(unlink, link, unlink) == [200, 200, 429]
