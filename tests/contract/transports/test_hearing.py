"""Subscribing on every road: all that comes after the confirmation, in its order, and no more."""

import asyncio
import json

import pytest
import pytest_asyncio

from contract.transports.conftest import accepted
from contract.transports.driver import Can, only_ears
from contract.transports.roads import each_road

pytestmark = pytest.mark.asyncio(loop_scope="module")


def values(array):
    return [one["value"] for one in json.loads(array)]


@pytest_asyncio.fixture(loop_scope="module")
async def silence(server):
    """Wait until nobody listens: `await silence()`. It is so when the test begins."""

    async def waited():
        async with asyncio.timeout(20):
            while len(server.platform.live):  # noqa: ASYNC110  # Nothing tells of it.
                await asyncio.sleep(0)

    await waited()
    return waited


@each_road(Can.HEAR)
async def test_what_was_before_is_not_told_and_all_after_is_in_order(road, server, thing, tell):
    await tell(thing, n=-1)
    async with road.open(server, thing.token) as driver:
        ears = only_ears(await driver.hear())
        for number in range(30):
            await tell(thing, n=number)

        heard = [values(await ears.next()) for _ in range(30)]

    assert heard == [[number] for number in range(30)]


@each_road(Can.HEAR_RESOURCE)
async def test_a_users_resource_begins_and_goes_on_alike(road, server, people, user, thing, tell):
    await people.link(user, thing)
    await tell(thing, n=-1)
    async with road.open(server, user.token) as driver:
        ears = only_ears(await driver.hear("n"))
        for number in range(20):
            await tell(thing, other=0)
            await tell(thing, n=number, other=1)

        heard = [json.loads(await ears.next()) for _ in range(20)]

    assert [[(one["thingId"], one["key"], one["value"]) for one in array] for array in heard] == [
        [(thing.thing.id, "n", number)] for number in range(20)
    ]


@each_road(Can.HEAR)
async def test_writes_that_come_together_are_told_one_by_one(road, server, thing, tell):
    async with road.open(server, thing.token) as driver:
        ears = only_ears(await driver.hear())
        await asyncio.gather(*(tell(thing, n=number, m=number) for number in range(20)))

        heard = [values(await ears.next()) for _ in range(20)]

    assert sorted(heard) == [[number, number] for number in range(20)]


@each_road(Can.HEAR, Can.WRITE)
async def test_own_writes_are_heard(road, server, thing):
    async with road.open(server, thing.token) as driver:
        ears = only_ears(await driver.hear())
        for number in range(3):
            accepted(await driver.write([{"key": "n", "value": number}]))

        assert [values(await ears.next()) for _ in range(3)] == [[0], [1], [2]]


@each_road(Can.WHISPER)
async def test_what_is_not_to_be_broadcast_is_stored_and_not_heard(
    road, server, thing, tell, stored, road_named
):
    hearing = road_named["http stream"]
    async with (
        hearing.open(server, thing.token) as listener,
        road.open(server, thing.token) as driver,
    ):
        ears = only_ears(await listener.hear())
        accepted(await driver.write([{"key": "n", "value": 1}], is_broadcast=False))
        assert await stored(thing) == {"n": [1]}
        await tell(thing, n=2)

        assert values(await ears.next()) == [2]


@each_road(Can.HEAR)
async def test_nobody_hears_what_is_not_to_be_broadcast(road, server, thing, tell):
    async with road.open(server, thing.token) as driver:
        ears = only_ears(await driver.hear())
        await tell(thing, query="?broadcast=false", n=1)
        await tell(thing, n=2)

        assert values(await ears.next()) == [2]


@each_road(Can.HEAR)
async def test_other_things_are_not_heard(road, server, thing, tell):
    other = await server.new_thing()
    async with road.open(server, thing.token) as driver:
        ears = only_ears(await driver.hear())
        await tell(other, n=1)
        await tell(thing, n=2)

        assert values(await ears.next()) == [2]


@each_road(Can.HEAR)
async def test_what_was_refused_is_not_heard(road, server, thing, tell, road_named):
    async with (
        road.open(server, thing.token) as driver,
        road_named["http"].open(server, thing.token) as writer,
    ):
        ears = only_ears(await driver.hear())
        refused = await writer.write([{"key": "n", "value": 1}, {"key": "no key", "value": 1}])
        assert refused is not None
        await tell(thing, n=2)

        assert values(await ears.next()) == [2]


@each_road(Can.HEAR, Can.UNSUBSCRIBE)
async def test_who_unsubscribed_hears_no_more(road, server, thing, tell, silence):
    async with road.open(server, thing.token) as driver:
        ears = only_ears(await driver.hear())
        await tell(thing, n=1)
        assert values(await ears.next()) == [1]

        assert await ears.unsubscribe() == []
        await tell(thing, n=2)

        assert len(server.platform.live) == 0


@each_road(Can.HEAR)
async def test_who_leaves_is_forgotten(road, server, thing, silence):
    async with road.open(server, thing.token) as driver:
        only_ears(await driver.hear())
        assert len(server.platform.live) == 1

    await silence()
