"""Subscriptions that were cut go on where they were, over a restart, without loss or double."""

import json

import pytest

from contract.transports.conftest import all_roads
from contract.transports.driver import Can, only_ears
from contract.transports.roads import each_road
from e2e.people import register
from support.in_process import Served
from support.wire import ask, values


async def tell(server: Served, thing, *numbers):
    for number in numbers:
        body = values(("t", number), ("u", number))
        got = await ask(server.address, "POST", f"/v2/things/{thing.token}", body)
        assert got.status == 201, got.body


async def heard(ears, count):
    """The values of so many arrays, each of which must be of one write."""
    arrays = [json.loads(await ears.next()) for _ in range(count)]
    assert all(len({one["value"] for one in array}) == 1 for array in arrays)
    return [array[0]["value"] for array in arrays]


@each_road(Can.RESUME)
@pytest.mark.parametrize("resource", [None, "t"])
async def test_nothing_is_lost_or_doubled_over_a_restart(road, tmp_path, resource):
    folder = tmp_path / "folder"
    async with all_roads(folder) as server:
        thing = await server.new_thing()
        token = thing.token
        if resource is not None:
            user = await register(server.address, (await server.new_app()).id)
            await user.expect(200, "POST", "/v2/me/things", {"thingToken": thing.token})
            token = user.token
        async with road.open(server, token) as driver:
            ears = only_ears(await driver.hear(resource))
            await tell(server, thing, 0, 1, 2)
            assert await heard(ears, 3) == [0, 1, 2]
            place = await ears.place()
        await tell(server, thing, 3, 4)

    async with all_roads(folder) as server:
        await tell(server, thing, 5, 6)
        async with road.open(server, token) as driver:
            ears = only_ears(await driver.hear(resource, behind=place))
            await tell(server, thing, 7)

            assert await heard(ears, 5) == [3, 4, 5, 6, 7]

            await tell(server, thing, 8)
            assert await heard(ears, 1) == [8]
            place = await ears.place()

        # And once more, without a restart in between.
        await tell(server, thing, 9)
        async with road.open(server, token) as driver:
            ears = only_ears(await driver.hear(resource, behind=place))
            assert await heard(ears, 1) == [9]


@each_road(Can.RESUME)
async def test_what_a_former_epoch_held_is_not_told_again(road, tmp_path):
    async with all_roads(tmp_path / "folder") as server:
        thing = await server.new_thing()
        user = await register(server.address, (await server.new_app()).id)
        await user.expect(200, "POST", "/v2/me/things", {"thingToken": thing.token})
        async with road.open(server, thing.token) as driver:
            ears = only_ears(await driver.hear())
            await tell(server, thing, 0)
            assert await heard(ears, 1) == [0]
            place = await ears.place()
        await tell(server, thing, 1)
        await user.expect(200, "DELETE", f"/v2/me/things/{thing.thing.id}")
        await tell(server, thing, 2)

        async with road.open(server, thing.token) as driver:
            ears = only_ears(await driver.hear(behind=place))

            assert await heard(ears, 1) == [2]
