"""Resources of an app's user: all of their things, with the thing's id, while they may."""

import json

import pytest

from api.mqtt.conftest import call
from support.mqtt import connected, thing_topic
from thingstead.transports.mqtt.codec import Reason

pytestmark = pytest.mark.asyncio(loop_scope="module")
TOPIC = "v2/me/resources/k"


async def heard(client):
    """The thing and the value of each entry of the next message."""
    message = await client.message()
    assert message.topic == TOPIC
    return [(one["thingId"], one["value"]) for one in json.loads(message.payload)]


def of(port, session, level=5, **more):
    return connected(port, level, "app", token=session, **more)


@pytest.mark.parametrize("level", [3, 4, 5])
@pytest.mark.parametrize("qos", [0, 1])
async def test_a_user_hears_of_all_their_things(server, port, new_user, write, level, qos):
    things = [await server.new_thing() for _ in range(2)]
    async with of(port, await new_user(*things), level) as client:
        assert (await client.subscribe(TOPIC, qos=qos)).reasons == (qos,)
        for value, thing in enumerate(things):
            await write(thing.token, "other", key="temperature")
            await write(thing.token, value)

        got = [await heard(client) for _ in things]

    assert got == [[(thing.thing.id, value)] for value, thing in enumerate(things)]


async def test_a_thing_that_is_linked_later_is_heard_too(server, port, new_user, write):
    thing = await server.new_thing()
    session = await new_user()
    async with of(port, session) as client:
        await client.subscribe(TOPIC)
        await call(server, session, "POST", "/v2/me/things", {"thingToken": thing.token})
        came = []
        # It is followed soon, not at once.
        while not came:
            await write(thing.token, 1)
            came = await client.until_now()

    [entry] = json.loads(came[0].payload)
    assert (entry["thingId"], entry["value"]) == (thing.thing.id, 1)


async def test_what_the_next_owner_gets_is_not_heard_by_the_former_one_and_the_reverse(
    server, port, new_user, write
):
    thing, other = await server.new_thing(), await server.new_thing()
    one, two = await new_user(thing, other), await new_user()
    async with of(port, one) as former:
        await former.subscribe(TOPIC)
        await write(thing.token, "first")
        assert await heard(former) == [(thing.thing.id, "first")]
        await call(server, one, "DELETE", f"/v2/me/things/{thing.thing.id}")
        async with of(port, two, expiry_s=60) as later:
            await call(server, two, "POST", "/v2/me/things", {"thingToken": thing.token})
            await later.subscribe(TOPIC)
            await write(thing.token, "second")
            await write(other.token, "third")

            assert await heard(later) == [(thing.thing.id, "second")]
            assert await heard(former) == [(other.thing.id, "third")]
            assert await later.until_now() == []


async def test_a_former_owner_is_not_given_what_they_missed_of_the_next_one(
    server, port, new_user, write
):
    thing, other = await server.new_thing(), await server.new_thing()
    one, two = await new_user(thing, other), await new_user()
    async with of(port, one, is_clean=False, expiry_s=60) as former:
        await former.subscribe(TOPIC)
        await former.leave()
    await write(thing.token, "mine")
    await call(server, one, "DELETE", f"/v2/me/things/{thing.thing.id}")
    await call(server, two, "POST", "/v2/me/things", {"thingToken": thing.token})
    await write(thing.token, "theirs")
    await write(other.token, "end")

    async with of(port, one, is_clean=False, expiry_s=60) as former:
        assert await heard(former) == [(other.thing.id, "end")]


async def test_the_things_own_token_hears_nothing_of_a_former_owner(server, port, new_user, write):
    thing = await server.new_thing()
    session = await new_user(thing)
    async with connected(port, 5, "c", token=thing.token, is_clean=False, expiry_s=60) as device:
        await device.subscribe(thing_topic(thing.token))
        await device.leave()
    await write(thing.token, "former")
    await call(server, session, "DELETE", f"/v2/me/things/{thing.thing.id}")
    await write(thing.token, "later")

    async with connected(port, 5, "c", token=thing.token, is_clean=False, expiry_s=60) as device:
        assert await device.values() == ["later"]


async def test_what_a_user_missed_is_delivered(server, port, new_user, write):
    thing = await server.new_thing()
    session = await new_user(thing)
    async with of(port, session, is_clean=False, expiry_s=60) as client:
        await client.subscribe(TOPIC)
        await client.leave()
    for value in range(100):
        await write(thing.token, value)

    async with of(port, session, is_clean=False, expiry_s=60) as client:
        got = [value for _ in range(100) for _, value in await heard(client)]

    assert got == list(range(100))


async def test_a_log_out_ends_the_connection(server, port, new_user):
    session = await new_user()
    async with of(port, session) as client:
        await client.subscribe(TOPIC)

        await call(server, session, "DELETE", "/v2/me/sessions/current")

        assert (await client.end()).reason == Reason.NOT_AUTHORIZED


async def test_without_a_session_there_are_no_resources_of_a_user(port, token):
    for named in ({}, {"token": token}):
        async with connected(port, 5, **named) as client:
            assert (await client.subscribe(TOPIC)).reasons == (Reason.NOT_AUTHORIZED,)


async def test_a_user_hears_of_no_thing_by_its_token(server, port, new_user):
    thing = await server.new_thing()
    async with of(port, await new_user(thing)) as client:
        answer = await client.subscribe(thing_topic(thing.token), thing_topic(thing.token, "cmd"))

    assert answer.reasons == (Reason.NOT_AUTHORIZED,) * 2
