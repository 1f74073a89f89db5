"""What keeps campaigns going: listing what was left behind, patience, and judging."""

import pytest

from doubles.campaign_rig import CampaignRig
from thingstead.features.campaigns.engine import Engine, duration_words
from thingstead.features.campaigns.model import CampaignState, Gate, Stop
from thingstead.features.firmware.catalogues import Catalogues
from thingstead.features.firmware.model import FirmwareLimits, FirmwareState, UpdateState
from thingstead.features.firmware.updates import Updates
from thingstead.kernel.errors import StoreUnavailableError

S = CampaignState
U = UpdateState
PATIENCE_S = 3_600
SAID = {
    "rings": (100,),
    "gate": Gate(success_percent=90, soak_s=60),
    "stop": Stop(failures=3, percent=None),
    "patience_s": PATIENCE_S,
}


@pytest.fixture
def rig():
    return CampaignRig()


@pytest.fixture
def engine(rig):
    updates = Updates(
        rig.updates,
        Catalogues(rig.firmwares, rig.changes),
        rig.changes,
        clock=rig.clock,
        limits=FirmwareLimits(),
    )
    return Engine(rig.store, updates, rig.service, rig.clock)


async def _update(rig, thing_id):
    (update,) = (await rig.updates.record(thing_id)).updates
    return update


async def test_without_campaigns_there_is_nothing_to_do(engine):
    await engine.tick()


async def test_a_campaign_that_was_left_behind_is_prepared_and_judged(rig, engine):
    (thing,) = rig.things(1)
    campaign = await rig.created(await rig.firmware("1.0"), **SAID)
    rig.clock.advance(29.999)
    await engine.tick()
    assert (await rig.service.get(campaign.id)).state is S.PREPARING

    rig.clock.advance(0.001)
    await engine.tick()

    assert (await rig.service.get(campaign.id)).state is S.RUNNING
    assert (await _update(rig, thing)).state is U.WAITING


async def test_rings_open_as_their_gates_are_passed(rig, engine):
    things = rig.things(10)
    campaign = await rig.begun(await rig.firmware("1.0"), **SAID)
    for thing in things[:9]:
        await rig.put(thing, U.SUCCEEDED)

    await engine.tick()

    assert (await rig.service.get(campaign.id)).state is S.FINISHED


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (U.DOWNLOADING, "the download did not go on or end within 60 min"),
        (U.DOWNLOADED, "did not report the version within 60 min after the download"),
        (U.INSTALLING, "did not report the version within 60 min after it installed"),
        (U.REPORTED, "ran the version, but did not prove that it works within 60 min"),
    ],
)
async def test_what_takes_longer_than_the_patience_fails_and_not_before(rig, engine, state, why):
    (thing,) = rig.things(1)
    await rig.begun(await rig.firmware("1.0"), **SAID)
    await rig.put(thing, state)
    rig.clock.advance(PATIENCE_S)
    await engine.tick()
    assert (await _update(rig, thing)).state is state

    rig.clock.advance(0.001)
    await engine.tick()

    update = await _update(rig, thing)
    assert (update.state, update.failures) == (U.FAILED, 1)
    assert why in update.reason


async def test_things_that_wait_to_be_asked_are_not_hurried(rig, engine):
    things = rig.things(2)
    await rig.begun(await rig.firmware("1.0"), **SAID)
    await rig.put(things[0], U.OFFERED)
    rig.clock.advance(10 * PATIENCE_S)

    await engine.tick()

    states = [(await _update(rig, thing)).state for thing in things]
    assert states == [U.OFFERED, U.WAITING]


async def test_too_many_that_take_too_long_halt_the_campaign_at_once(rig, engine):
    things = rig.things(30)
    campaign = await rig.begun(await rig.firmware("1.0"), **SAID)
    for thing in things[:3]:
        await rig.put(thing, U.DOWNLOADED)
    rig.clock.advance(PATIENCE_S + 1)

    await engine.tick()

    halted = await rig.service.get(campaign.id)
    assert halted.state is S.HALTED
    assert halted.reason == "halted by 3 failed things; 3 are the limit"


async def test_the_time_that_a_campaign_stood_still_is_not_held_against_things(rig, engine):
    (thing, *_) = rig.things(3)
    campaign = await rig.begun(await rig.firmware("1.0"), **SAID)
    await rig.put(thing, U.DOWNLOADING)
    await rig.service.pause(campaign.id)
    rig.clock.advance(10 * PATIENCE_S)
    await rig.service.resume(campaign.id)

    rig.clock.advance(PATIENCE_S - 1)
    await engine.tick()
    assert (await _update(rig, thing)).state is U.DOWNLOADING
    rig.clock.advance(1)
    await engine.tick()

    assert (await _update(rig, thing)).state is U.FAILED


async def test_more_things_than_a_page_are_timed_out_in_one_go(rig, engine):
    things = rig.things(1_001)
    said = SAID | {"stop": Stop(failures=None, percent=None)}
    await rig.begun(await rig.firmware("1.0"), **said)
    for thing in things:
        await rig.put(thing, U.DOWNLOADED)
    rig.clock.advance(PATIENCE_S + 1)

    await engine.tick()

    assert {(await _update(rig, thing)).state for thing in things} == {U.FAILED}


async def test_a_tick_ends_when_things_change_quicker_than_they_are_timed_out(rig, engine):
    things = rig.things(1_000)
    said = SAID | {"stop": Stop(failures=None, percent=None)}
    await rig.begun(await rig.firmware("1.0"), **said)
    for thing in things:
        await rig.put(thing, U.DOWNLOADED)
    rig.clock.advance(PATIENCE_S + 1)
    seen = [await _update(rig, thing) for thing in things]
    for thing in things:
        await rig.put(thing, U.REPORTED)
    asked = []

    async def overdue(campaign_id, **bounds):
        asked.append(bounds)
        return seen

    rig.store.overdue = overdue
    await engine.tick()

    assert len(asked) == 20
    assert {(await _update(rig, thing)).state for thing in things} == {U.REPORTED}


async def test_a_running_campaign_halts_when_its_image_is_revoked(rig, engine):
    rig.things(1)
    firmware = await rig.firmware("1.0")
    campaign = await rig.begun(firmware, **SAID)
    await rig.publishing.revoke(firmware.id)

    await engine.tick()

    halted = await rig.service.get(campaign.id)
    assert halted.state is S.HALTED
    assert halted.reason.startswith("halted because its image is revoked: 0 of 1 thing ")


async def test_what_a_campaign_left_undone_does_not_matter_once_it_is_paused(rig, engine):
    rig.things(1)
    campaign = await rig.begun(await rig.firmware("1.0"), **SAID)
    paused = await rig.service.pause(campaign.id)

    await engine.tick()

    assert await rig.service.get(campaign.id) == paused


async def test_a_campaign_that_cannot_be_looked_after_keeps_no_other_from_it(rig, engine):
    rig.things(1)
    broken = await rig.begun(await rig.firmware("1.0"), **SAID)
    draft = await rig.firmware("1.1", is_draft=True)
    waiting = await rig.created(draft, **SAID)
    counts = rig.store.counts

    async def fail_once(campaign_id):
        if campaign_id == broken.id:
            raise StoreUnavailableError("no disk")
        return await counts(campaign_id)

    rig.store.counts = fail_once
    rig.clock.advance(60)
    with pytest.raises(StoreUnavailableError):
        await engine.tick()

    assert (await rig.service.get(waiting.id)).state is S.RUNNING
    assert (await rig.publishing.get(draft.id)).state is FirmwareState.PUBLISHED


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(59, "59 s"), (60, "60 s"), (90, "90 s"), (120, "2 min"), (86_400, "24 h"), (604_800, "7 d")],
)
def test_durations_are_told_in_the_largest_unit_that_fits(seconds, words):
    assert duration_words(seconds) == words
