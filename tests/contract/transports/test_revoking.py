"""Rights that end on every road: the stream says so, or is silent, and nothing more is heard."""

import json

import pytest

from contract.transports.driver import Can, only_ears
from contract.transports.roads import each_road
from thingstead.features.live.model import End

pytestmark = pytest.mark.asyncio(loop_scope="module")


def says(road, reason):
    """What the end of a subscription must say on the road."""
    return reason.value if Can.SAY_END in road.can else ""


async def begun(driver, tell, thing, resource=None):
    """A subscription that has heard something."""
    ears = only_ears(await driver.hear(resource))
    await tell(thing, t=1)
    assert json.loads(await ears.next())[0]["value"] == 1
    return ears


@each_road(Can.HEAR)
async def test_a_token_that_was_replaced_hears_no_more(road, server, thing, tell):
    async with road.open(server, thing.token) as driver:
        ears = await begun(driver, tell, thing)
        new = await server.platform.things.rotate_token(thing.thing.id, overlap_ms=0)
        await tell(thing, token=new, t=2)

        ended = await ears.end()

    assert ended.heard == []
    assert says(road, End.REVOKED) in ended.text
    assert thing.token not in ended.text


@each_road(Can.HEAR)
async def test_a_thing_that_was_deleted_is_heard_no_more(road, server, thing, tell):
    async with road.open(server, thing.token) as driver:
        ears = await begun(driver, tell, thing)
        await server.platform.things.delete(thing.thing.id)

        ended = await ears.end()

    assert ended.heard == []
    assert says(road, End.REVOKED) in ended.text
    assert thing.token not in ended.text


@each_road(Can.HEAR_RESOURCE)
async def test_who_logged_out_hears_no_more(road, server, people, user, thing, tell):
    await people.link(user, thing)
    async with road.open(server, user.token) as driver:
        ears = await begun(driver, tell, thing, "t")
        await user.expect(200, "DELETE", "/v2/me/sessions/current")
        await tell(thing, t=2)

        ended = await ears.end()

    assert ended.heard == []
    assert says(road, End.REVOKED) in ended.text
    assert user.token not in ended.text


@each_road(Can.HEAR_RESOURCE)
async def test_who_deleted_the_account_hears_no_more(road, server, people, user, thing, tell):
    await people.link(user, thing)
    async with road.open(server, user.token) as driver:
        ears = await begun(driver, tell, thing, "t")
        await user.expect(200, "DELETE", "/v2/me", {"currentPassword": user.password})
        await tell(thing, t=2)

        ended = await ears.end()

    assert ended.heard == []
    assert says(road, End.REVOKED) in ended.text


@each_road(Can.HEAR)
async def test_who_still_has_the_right_hears_on(road, server, thing, tell):
    async with road.open(server, thing.token) as driver:
        ears = await begun(driver, tell, thing)
        new = await server.platform.things.rotate_token(thing.thing.id)
        await tell(thing, token=new, t=2)

        assert json.loads(await ears.next())[0]["value"] == 2
