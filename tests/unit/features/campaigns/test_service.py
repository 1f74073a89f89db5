"""Campaigns as operators use them: created, prepared, changed, shown."""

import pytest

from doubles.campaign_plans import plan
from doubles.campaign_rig import CampaignRig
from thingstead.features.campaigns.errors import (
    CampaignExistsError,
    CampaignNotFoundError,
    InvalidCampaignError,
    WrongCampaignStateError,
)
from thingstead.features.campaigns.model import CampaignState, Gate, Stop, Target
from thingstead.features.campaigns.rings import ring_of
from thingstead.features.campaigns.service import is_current
from thingstead.features.firmware.errors import (
    FirmwareNotFoundError,
    SignatureMissingError,
    WrongFirmwareStateError,
)
from thingstead.features.firmware.model import FirmwareState, UpdateState
from thingstead.kernel.ids import CampaignId, FirmwareId

S = CampaignState


@pytest.fixture
def rig():
    return CampaignRig()


async def _members(rig, campaign):
    return [update async for update in rig.service.members(campaign.id)]


async def test_a_new_campaign_is_being_prepared(rig):
    firmware = await rig.firmware("1.0")

    campaign = await rig.created(firmware, name=" Spring ")

    assert campaign.state is S.PREPARING
    assert campaign.plan.name == "Spring"
    assert await rig.service.get(campaign.id) == campaign
    assert rig.told == [str(rig.product_id)]


async def test_a_plan_that_cannot_be_is_refused(rig):
    firmware = await rig.firmware("1.0")

    with pytest.raises(InvalidCampaignError):
        await rig.created(firmware, rings=(50,))


async def test_a_campaign_needs_an_image(rig):
    with pytest.raises(FirmwareNotFoundError, match="id none"):
        await rig.service.create(plan(firmware_id=FirmwareId("none")))


@pytest.mark.parametrize("withdraw", ["deprecate", "revoke"])
async def test_a_withdrawn_image_gets_no_campaign(rig, withdraw):
    firmware = await rig.firmware("1.0")
    await getattr(rig.publishing, withdraw)(firmware.id)

    with pytest.raises(WrongFirmwareStateError, match="the image is"):
        await rig.created(firmware)


async def test_an_image_is_in_one_campaign_at_a_time(rig):
    firmware = await rig.firmware("1.0")
    first = await rig.begun(firmware)

    with pytest.raises(CampaignExistsError):
        await rig.created(firmware)
    await rig.service.cancel(first.id)

    assert (await rig.created(firmware)).id != first.id


async def test_preparing_lists_every_thing_in_its_ring_and_has_the_campaign_run(rig):
    things = rig.things(2_001)
    listed = []
    campaign = await rig.created(await rig.firmware("1.0"), stop=Stop(percent=None))

    campaign = await rig.service.prepare(campaign, progress=listed.append)

    members = await _members(rig, campaign)
    assert [member.thing_id for member in members] == things
    assert all(
        member.ring == ring_of(campaign.id, member.thing_id, campaign.plan.rings)
        for member in members
    )
    assert {member.state for member in members} == {UpdateState.WAITING}
    assert listed == [1_000, 2_000, 2_001]
    assert campaign.state is S.RUNNING
    assert campaign.reason.startswith("began with 2001 things, of which 0 ran the version")


async def test_a_whole_last_page_is_followed_by_an_empty_one(rig):
    rig.things(1_000)

    campaign = await rig.begun(await rig.firmware("1.0"))

    assert campaign.state is S.RUNNING
    assert len(await _members(rig, campaign)) == 1_000


async def test_preparing_goes_on_where_it_was_broken_off(rig):
    rig.things(2_500)
    campaign = await rig.created(await rig.firmware("1.0"))

    def break_off(listed):
        if listed == 2_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rig.service.prepare(campaign, progress=break_off)
    listed = []
    kept = await rig.service.get(campaign.id)
    campaign = await rig.service.prepare(kept, progress=listed.append)

    # The page that was listed, but not noted, is listed again.
    assert listed == [1_000, 1_500]
    assert len(await _members(rig, campaign)) == 2_500
    assert campaign.state is S.RUNNING


async def test_two_can_prepare_one_campaign(rig):
    rig.things(1_500)
    campaign = await rig.created(await rig.firmware("1.0"))
    rig.store.interferes = 1
    rig.store.before_change = lambda: rig.service.prepare(campaign)

    prepared = await rig.service.prepare(campaign)

    assert prepared.state is S.RUNNING
    assert len(await _members(rig, prepared)) == 1_500


async def test_preparing_stops_when_the_campaign_is_cancelled_meanwhile(rig):
    rig.things(1_500)
    firmware = await rig.firmware("1.0", is_draft=True)
    campaign = await rig.created(firmware)
    rig.store.interferes = 1
    rig.store.before_change = lambda: rig.service.cancel(campaign.id)

    prepared = await rig.service.prepare(campaign)

    assert prepared.state is S.CANCELLED
    assert (await rig.publishing.get(firmware.id)).state is FirmwareState.DRAFT


async def test_a_draft_is_published_when_its_campaign_begins_to_run(rig):
    firmware = await rig.firmware("1.0", is_draft=True)
    campaign = await rig.created(firmware)
    assert (await rig.publishing.get(firmware.id)).state is FirmwareState.DRAFT

    await rig.service.prepare(campaign)

    assert (await rig.publishing.get(firmware.id)).state is FirmwareState.PUBLISHED


async def test_a_campaign_whose_image_is_revoked_before_it_begins_is_cancelled(rig):
    firmware = await rig.firmware("1.0")
    campaign = await rig.created(firmware)
    await rig.publishing.revoke(firmware.id)

    prepared = await rig.service.prepare(campaign)

    assert prepared.state is S.CANCELLED
    assert prepared.reason.startswith("cancelled before it began because its image was revoked")


async def test_a_draft_that_is_not_signed_as_demanded_gets_no_campaign(rig):
    draft = await rig.firmware("1.0", is_draft=True)
    await rig.publishing.demand_signatures(draft.product_id, is_demanded=True)

    with pytest.raises(SignatureMissingError):
        await rig.created(draft)


async def test_a_draft_is_not_published_when_signatures_became_a_demand_meanwhile(rig):
    draft = await rig.firmware("1.0", is_draft=True)
    campaign = await rig.created(draft)
    await rig.publishing.demand_signatures(draft.product_id, is_demanded=True)

    prepared = await rig.service.prepare(campaign)

    assert prepared.state is S.CANCELLED
    assert "may not be published (The image is not signed)" in prepared.reason
    assert (await rig.publishing.get(draft.id)).state is FirmwareState.DRAFT


async def test_an_image_that_was_published_before_signatures_were_demanded_has_its_campaign(rig):
    firmware = await rig.firmware("1.0")
    await rig.publishing.demand_signatures(firmware.product_id, is_demanded=True)

    assert (await rig.begun(firmware)).state is S.RUNNING


async def test_a_campaign_that_runs_is_not_prepared_again(rig):
    campaign = await rig.begun(await rig.firmware("1.0"))

    assert await rig.service.prepare(campaign) == campaign


async def test_things_that_run_the_version_or_a_newer_one_are_current(rig):
    old, same, newer, silent = rig.things(4)
    await rig.runs(old, "0.9")
    await rig.runs(same, "v1.0.0")
    await rig.runs(newer, "1.1")

    campaign = await rig.begun(await rig.firmware("1.0"))

    states = {member.thing_id: member.state for member in await _members(rig, campaign)}
    assert states == {
        old: UpdateState.WAITING,
        same: UpdateState.CURRENT,
        newer: UpdateState.CURRENT,
        silent: UpdateState.WAITING,
    }


async def test_an_image_that_brings_a_version_back_is_also_for_things_that_run_newer_ones(rig):
    back = await rig.firmware("1.0", is_revert=True)

    assert not is_current(back, "1.1")
    assert not is_current(back, None)
    assert is_current(back, "1.0")


async def test_only_things_that_the_target_selects_are_listed(rig):
    rig.thing("a", tags=["roof"])
    rig.thing("b", tags=["cellar"])
    rig.thing("c")
    await rig.runs(rig.thing("d", tags=["roof"]).id, "0.9")

    target = Target(tags=("roof",), versions=("0.9",))
    campaign = await rig.begun(await rig.firmware("1.0"), target=target)

    assert [member.thing_id for member in await _members(rig, campaign)] == ["d"]


async def test_an_unknown_campaign_is_not_found(rig):
    unknown = CampaignId("none")

    for call in (rig.service.get, rig.service.pause, rig.service.progress, rig.service.revert):
        with pytest.raises(CampaignNotFoundError, match="id none"):
            await call(unknown)
    with pytest.raises(CampaignNotFoundError):
        [update async for update in rig.service.members(unknown)]


async def test_campaigns_are_listed_newest_first_and_by_product(rig):
    rig.product(20_002)
    first = await rig.created(await rig.firmware("1.0"))
    other = await rig.created(await rig.firmware("1.0", product_id=20_002))

    assert [one.id async for one in rig.service.all()] == [other.id, first.id]
    assert [one.id async for one in rig.service.all(first.product_id)] == [first.id]


async def test_many_campaigns_are_listed_page_by_page(rig):
    made = [(await rig.created(await rig.firmware(f"1.{n}"))).id for n in range(201)]

    assert [one.id async for one in rig.service.all()] == list(reversed(made))


async def test_members_are_listed_by_state_and_page_by_page(rig):
    things = rig.things(2_001)
    campaign = await rig.begun(await rig.firmware("1.0"))
    await rig.put(things[7], UpdateState.SUCCEEDED)

    succeeded = rig.service.members(campaign.id, [UpdateState.SUCCEEDED])
    assert [update.thing_id async for update in succeeded] == [things[7]]
    assert len(await _members(rig, campaign)) == 2_001


async def test_a_pause_lasts_until_it_is_resumed_and_may_be_repeated(rig):
    campaign = await rig.begun(await rig.firmware("1.0"))

    paused = await rig.service.pause(campaign.id)
    again = await rig.service.pause(campaign.id)
    resumed = await rig.service.resume(campaign.id)

    assert paused.state is S.PAUSED
    assert again == paused
    assert resumed.state is S.RUNNING
    assert await rig.service.resume(campaign.id) == resumed


async def test_resuming_goes_on_preparing(rig):
    rig.things(3)
    campaign = await rig.created(await rig.firmware("1.0"))

    assert (await rig.service.resume(campaign.id)).state is S.RUNNING


async def test_a_campaign_of_a_withdrawn_image_is_not_resumed(rig):
    firmware = await rig.firmware("1.0")
    campaign = await rig.begun(firmware)
    await rig.service.pause(campaign.id)
    await rig.publishing.revoke(firmware.id)

    with pytest.raises(WrongFirmwareStateError, match="the image is revoked"):
        await rig.service.resume(campaign.id)


async def test_a_resumed_campaign_halts_by_new_failures_only(rig):
    things = rig.things(20)
    campaign = await rig.begun(
        await rig.firmware("1.0"), rings=(100,), stop=Stop(failures=2, percent=None)
    )
    for thing in things[:2]:
        await rig.put(thing, UpdateState.FAILED, failures=1)
    halted = await rig.service.judge(campaign)
    assert halted.state is S.HALTED

    resumed = await rig.service.resume(campaign.id)
    assert (await rig.service.judge(resumed)).state is S.RUNNING
    await rig.put(things[2], UpdateState.FAILED, failures=1)
    assert (await rig.service.judge(resumed)).state is S.RUNNING
    await rig.put(things[3], UpdateState.FAILED, failures=1)

    again = await rig.service.judge(resumed)
    assert again.reason == "halted by 2 failed things, beside 2 forgiven ones; 2 are the limit"


async def test_a_second_campaign_of_an_image_is_not_halted_by_failures_of_the_first(rig):
    things = rig.things(20)
    firmware = await rig.firmware("1.0")
    said = {"rings": (100,), "stop": Stop(failures=2, percent=None)}
    first = await rig.begun(firmware, **said)
    for thing in things[:2]:
        await rig.put(thing, UpdateState.FAILED, failures=1)
    await rig.service.cancel(first.id)

    second = await rig.begun(firmware, **said)

    assert (await rig.service.judge(second)).state is S.RUNNING


async def test_advancing_opens_one_ring(rig):
    rig.things(50)
    campaign = await rig.begun(await rig.firmware("1.0"))

    advanced = await rig.service.advance(campaign.id)

    assert advanced.open_ring == 1
    assert rig.told[-1] == str(rig.product_id)


async def test_advancing_opens_no_further_ring_than_was_wanted(rig):
    rig.things(50)
    campaign = await rig.begun(await rig.firmware("1.0"))
    rig.store.interferes = 1
    rig.store.before_change = lambda: rig.service.advance(campaign.id)

    advanced = await rig.service.advance(campaign.id)

    assert advanced.open_ring == 1


async def test_a_change_is_made_anew_when_another_was_quicker(rig):
    campaign = await rig.begun(await rig.firmware("1.0"))
    rig.store.interferes = 4
    rig.store.before_change = lambda: rig.campaigns.change(
        rig.organisation.firmware.campaigns[campaign.id]
    )

    assert (await rig.service.pause(campaign.id)).state is S.PAUSED


async def test_a_change_is_refused_when_others_are_quicker_five_times(rig):
    campaign = await rig.begun(await rig.firmware("1.0"))
    rig.store.interferes = 5
    rig.store.before_change = lambda: rig.campaigns.change(
        rig.organisation.firmware.campaigns[campaign.id]
    )

    with pytest.raises(WrongCampaignStateError, match=r"others keep changing .* it is running"):
        await rig.service.pause(campaign.id)


async def test_a_pause_that_comes_after_a_cancellation_is_refused_with_the_state_now(rig):
    campaign = await rig.begun(await rig.firmware("1.0"))
    rig.store.interferes = 1
    rig.store.before_change = lambda: rig.service.cancel(campaign.id)

    with pytest.raises(WrongCampaignStateError, match="it is cancelled for good"):
        await rig.service.pause(campaign.id)


async def test_progress_is_told_in_numbers_and_sentences(rig):
    things = rig.things(10)
    campaign = await rig.begun(
        await rig.firmware("1.0"), rings=(100,), gate=Gate(success_percent=50)
    )
    await rig.put(things[0], UpdateState.SUCCEEDED)

    progress = await rig.service.progress(campaign.id)

    assert progress.campaign == campaign
    assert progress.gate.missing == 4
    assert progress.total.succeeded == 1
