"""A user's resource on every road: it follows links and grants, and stays within an epoch."""

import asyncio
import json

import pytest
import pytest_asyncio

from contract.transports.driver import Can, only_ears
from contract.transports.roads import each_road

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def heard(ears):
    """Thing and value of the next array, which must be one of a value."""
    [one] = json.loads(await ears.next())
    return one["thingId"], one["value"]


@pytest_asyncio.fixture(loop_scope="module")
async def followed(server):
    """Wait until a stream follows the thing, which takes milliseconds (docs/app-api.md)."""

    async def waited(thing):
        async with asyncio.timeout(20):
            while not server.platform.bus.has_listener(thing.thing.id):  # noqa: ASYNC110
                await asyncio.sleep(0)

    return waited


@pytest_asyncio.fixture(loop_scope="module")
async def other(server):
    """A thing that stays linked, so that something can be heard after silence."""
    return await server.new_thing()


@each_road(Can.HEAR_RESOURCE)
async def test_it_follows_links_and_unlinks(
    road, server, people, user, thing, other, tell, followed
):
    await people.link(user, other)
    async with road.open(server, user.token) as driver:
        ears = only_ears(await driver.hear("t"))
        await tell(thing, t=1)
        await people.link(user, thing)
        await followed(thing)
        await tell(thing, t=2)
        assert await heard(ears) == (thing.thing.id, 2)

        await people.unlink(user, thing)
        await tell(thing, t=3)
        await tell(other, t=4)

        assert await heard(ears) == (other.thing.id, 4)


@each_road(Can.HEAR_RESOURCE)
async def test_it_follows_grants_and_their_end(road, server, people, thing, other, tell, followed):
    giver, friend = await people.new(), await people.new()
    await people.link(giver, thing)
    await people.link(friend, other)
    async with road.open(server, friend.token) as driver:
        ears = only_ears(await driver.hear("t"))
        await tell(thing, t=1)
        await people.share(giver, friend, "t", thing)
        await followed(thing)
        await tell(thing, u=2)
        await tell(thing, t=3)
        assert await heard(ears) == (thing.thing.id, 3)

        grants = (await giver.expect(200, "GET", "/v2/me/grants")).json
        [grant] = grants["given"] if isinstance(grants, dict) else grants
        await giver.expect(200, "DELETE", f"/v2/me/grants/{grant['_id']}")
        await tell(thing, t=4)
        await tell(other, t=5)

        assert await heard(ears) == (other.thing.id, 5)


@each_road(Can.HEAR_RESOURCE)
async def test_a_new_owner_hears_and_the_old_one_does_not(
    road, server, people, user, thing, other, tell, followed
):
    heir = await people.new()
    await people.link(user, thing, other)
    async with (
        road.open(server, user.token) as before,
        road.open(server, heir.token) as after,
    ):
        old, new = only_ears(await before.hear("t")), only_ears(await after.hear("t"))
        await tell(thing, t=1)
        await people.unlink(user, thing)
        await tell(thing, t=2)
        await people.link(heir, thing)
        await followed(thing)
        await tell(thing, t=3)
        await tell(other, t=4)

        assert [await heard(old), await heard(old)] == [(thing.thing.id, 1), (other.thing.id, 4)]
        assert await heard(new) == (thing.thing.id, 3)


@each_road(Can.HEAR)
async def test_a_things_own_stream_misses_nothing_when_an_epoch_begins(
    road, server, people, user, thing, tell
):
    async with road.open(server, thing.token) as driver:
        ears = only_ears(await driver.hear())
        for _ in range(8):
            await people.link(user, thing)
            await tell(thing, t=1)
            # What waits when the epoch ends was its owner's, and is dropped.
            assert json.loads(await ears.next())[0]["value"] == 1
            await people.unlink(user, thing)
            await tell(thing, t=2)

            assert json.loads(await ears.next())[0]["value"] == 2
