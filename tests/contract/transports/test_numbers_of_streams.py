"""How many streams there may be: all roads count together, and each says no in its way."""

from contextlib import AsyncExitStack

import pytest

from contract.transports.driver import Can, Kind, Refused, only_ears
from contract.transports.roads import each_road, roads_that

pytestmark = pytest.mark.asyncio(loop_scope="module")
OF_THING, OF_USER = len(roads_that(Can.HEAR)), len(roads_that(Can.HEAR_RESOURCE))


@pytest.fixture(scope="module")
def limits():
    return {"streams_per_thing": OF_THING, "streams_per_user": OF_USER}


def refused_by_name(road, refused, name):
    assert isinstance(refused, Refused)
    assert refused.kind is road.kind(Kind.TOO_MANY)
    if Can.SAY_WHAT in road.can:
        assert name in refused.text


@each_road(Can.HEAR)
async def test_one_of_each_road_is_as_many_as_may_listen_to_a_thing(road, server, thing):
    async with AsyncExitStack() as stack:
        for each in roads_that(Can.HEAR):
            driver = await stack.enter_async_context(each.open(server, thing.token))
            only_ears(await driver.hear())
        async with road.open(server, thing.token) as driver:
            refused = await driver.hear()

        other = await server.new_thing()
        async with road.open(server, other.token) as driver:
            only_ears(await driver.hear())

    refused_by_name(road, refused, f"at most {OF_THING} for one thing")


@each_road(Can.HEAR_RESOURCE)
async def test_one_of_each_road_is_as_many_as_a_user_may_have(road, server, user):
    async with AsyncExitStack() as stack:
        for each in roads_that(Can.HEAR_RESOURCE):
            driver = await stack.enter_async_context(each.open(server, user.token))
            only_ears(await driver.hear("t"))
        async with road.open(server, user.token) as driver:
            refused = await driver.hear("t")

    refused_by_name(road, refused, f"at most {OF_USER} for one user")
