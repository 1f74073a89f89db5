"""Operators are told what a thing would be offered, and looking changes nothing."""

import pytest

from doubles.campaign_rig import CampaignRig
from thingstead.features.campaigns.model import Target
from thingstead.features.firmware.eligibility import Reason
from thingstead.features.firmware.model import FirmwareLimits, FirmwareState
from thingstead.features.firmware.outlook import Rules, prospects
from thingstead.features.firmware.stock import Stock


@pytest.fixture
def rig():
    return CampaignRig()


@pytest.fixture
def thing(rig):
    return rig.thing("thing", tags={"roof"})


async def told(rig, thing):
    """What would be offered of each MCU: a version or a reason."""
    stock = Stock(await rig.firmwares.catalogue(thing.product_id))
    rules = Rules(stock, rig.campaigns, FirmwareLimits())
    record = await rig.updates.record(thing.id)
    found = await prospects(thing, record, rules, now_ms=rig.clock.now_ms())
    return {one.mcu: one.reason or one.firmware.version for one in found}


async def test_without_images_there_is_nothing_to_tell(rig, thing):
    assert await told(rig, thing) == {}


async def test_the_newest_of_each_mcu_is_told(rig, thing):
    await rig.firmware("1.0")
    await rig.firmware("1.1")
    await rig.firmware("7", mcu="radio")

    assert await told(rig, thing) == {"main": "1.1", "radio": "7"}


async def test_what_it_said_last_counts(rig, thing):
    await rig.firmware("1.1")
    await rig.runs(thing.id, "1.1")

    assert await told(rig, thing) == {"main": Reason.UP_TO_DATE}


async def test_a_version_that_is_too_old_or_unknown_is_the_reason(rig, thing):
    await rig.firmware("2.0", min_version="1.5")
    assert await told(rig, thing) == {"main": Reason.VERSION_UNKNOWN}

    await rig.runs(thing.id, "1.4")
    assert await told(rig, thing) == {"main": Reason.VERSION_TOO_OLD}


async def test_a_thing_beside_the_target_is_told_so(rig, thing):
    await rig.begun(await rig.firmware("2.0"), target=Target(("cellar",)))

    assert await told(rig, thing) == {"main": Reason.NOT_A_TARGET}


async def test_a_thing_that_would_join_is_told_its_ring_and_does_not_join(rig):
    campaign = await rig.begun(await rig.firmware("2.0"), rings=(1, 100))
    late = [rig.thing(f"late {number}") for number in range(50)]

    found = [(await told(rig, thing))["main"] for thing in late]

    assert Reason.RING_NOT_OPEN in found
    assert [one async for one in rig.service.members(campaign.id)] == []


async def test_what_is_withdrawn_gives_way_to_what_is_left(rig, thing):
    await rig.firmware("1.0")
    newer = await rig.firmware("1.1")
    assert await told(rig, thing) == {"main": "1.1"}

    await rig.firmwares.change_state(
        newer.id, FirmwareState.REVOKED, from_states=[FirmwareState.PUBLISHED], at_ms=1
    )

    assert await told(rig, thing) == {"main": "1.0"}
