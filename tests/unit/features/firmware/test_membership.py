"""Whether a thing is a target of a campaign, and in which ring."""

import asyncio

import pytest

from doubles.campaigns import MemoryCampaignStore
from doubles.offer_rig import OfferRig
from thingstead.features.campaigns.model import CampaignState, Target
from thingstead.features.campaigns.rings import ring_of
from thingstead.features.firmware import membership
from thingstead.features.firmware.model import Report, UpdateState
from thingstead.kernel.errors import StoreUnavailableError

S = UpdateState
BETA = Target(tags=("beta",))


class CountingCampaignStore(MemoryCampaignStore):
    """Counts questions and joins."""

    def __init__(self, organisation):
        super().__init__(organisation)
        self.asked = 0
        self.joins = []
        self.error = None

    async def selects(self, *args):
        self.asked += 1
        return await super().selects(*args)

    async def join(self, campaign, things, *, at_ms):
        self.joins.append(len(things))
        await super().join(campaign, things, at_ms=at_ms)
        if self.error is not None:
            raise self.error


@pytest.fixture
def rig():
    rig = OfferRig()
    rig.campaigns = CountingCampaignStore(rig.organisation)
    rig.start()
    return rig


async def test_a_listed_thing_has_the_ring_of_its_row(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one", tags=["beta"])
    campaign = await rig.campaign(firmware, [thing], rings=(50, 100))

    ring = await rig.membership.ring_of(campaign, thing.id)

    assert ring == ring_of(campaign.id, thing.id, (50, 100))
    assert rig.campaigns.asked == 0


async def test_a_thing_that_matches_later_joins_when_it_asks(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one", tags=["beta"])
    campaign = await rig.campaign(firmware, rings=(50, 100), target=BETA)

    ring = await rig.membership.ring_of(campaign, thing.id)

    update = await rig.update(thing, firmware)
    assert (update.state, update.campaign_id, update.ring) == (S.WAITING, campaign.id, ring)
    assert ring == ring_of(campaign.id, thing.id, (50, 100))


async def test_a_thing_that_joins_with_the_version_is_current(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one")
    await rig.campaign(firmware)
    await rig.following.heard(thing, Report(None, "1.4"))

    await rig.poll(thing)

    assert (await rig.update(thing, firmware)).state is S.CURRENT


async def test_a_thing_that_was_offered_the_image_before_belongs_to_the_campaign_then(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one")
    await rig.poll(thing, "1.2")
    campaign = await rig.campaign(firmware)

    offer = await rig.poll(thing, "1.2")

    update = await rig.update(thing, firmware)
    assert (update.state, update.campaign_id) == (S.OFFERED, campaign.id)
    assert offer.firmwares == (firmware,)


async def test_that_a_thing_is_no_target_is_remembered_for_a_minute(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one")
    await rig.campaign(firmware, target=BETA)
    asked, reasons = [], []

    for wait_s in (0, 59.999, 0.001):
        rig.clock.advance(wait_s)
        reasons.append((await rig.poll(thing, "1.2")).reason)
        asked.append(rig.campaigns.asked)

    assert asked == [1, 1, 2]
    assert reasons == ["not_a_target"] * 3


async def test_a_thing_that_gets_the_tag_joins_within_the_minute_after(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one")
    await rig.campaign(firmware, target=BETA)
    await rig.poll(thing, "1.2")

    rig.organisation.tags[thing.id].add("beta")
    rig.clock.advance(60)

    assert (await rig.poll(thing, "1.2")).firmwares == (firmware,)


@pytest.mark.parametrize(
    "state", [CampaignState.PREPARING, CampaignState.CANCELLED, CampaignState.REVERTED]
)
async def test_nobody_joins_what_is_being_prepared_or_has_ended(rig, state):
    firmware, thing = await rig.image("1.3"), rig.thing("one")
    campaign = await rig.campaign(firmware, state=state)
    rig.campaigns.joins.clear()

    assert await rig.membership.ring_of(campaign, thing.id) is None
    assert rig.campaigns.joins == []


async def test_things_that_join_at_once_join_together(rig):
    firmware = await rig.image("1.3")
    await rig.campaign(firmware)
    things = [rig.thing(f"thing {number}") for number in range(20)]
    for thing in things:
        await rig.following.record(thing.id, thing.product_id)
    rig.campaigns.joins.clear()

    offers = await asyncio.gather(*(rig.poll(thing, "1.2") for thing in things))

    assert all(offer.firmwares for offer in offers)
    assert rig.campaigns.joins == [20]


async def test_a_failed_joining_that_was_stored_all_the_same_is_found(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one")
    campaign = await rig.campaign(firmware)
    await rig.following.record(thing.id)
    rig.campaigns.error = StoreUnavailableError()

    with pytest.raises(StoreUnavailableError):
        await rig.membership.ring_of(campaign, thing.id)

    assert await rig.membership.ring_of(campaign, thing.id) == 0


async def test_a_thing_that_is_deleted_while_it_joins_is_no_target(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one")
    campaign = await rig.campaign(firmware)

    async def selects_and_deletes(*args):
        del rig.organisation.things[thing.id]
        return True

    rig.campaigns.selects = selects_and_deletes

    assert await rig.membership.ring_of(campaign, thing.id) is None


async def test_so_many_strangers_are_remembered_and_not_one_more(rig, monkeypatch):
    monkeypatch.setattr(membership, "_MOST_STRANGERS", 2)
    firmware = await rig.image("1.3")
    await rig.campaign(firmware, target=BETA)
    things = [rig.thing(name) for name in ("one", "two", "three")]

    for thing in [*things[:2], *things[:2], things[2], things[1], things[0]]:
        await rig.poll(thing, "1.2")

    assert rig.campaigns.asked == 4
