"""What things are offered, and why not."""

import pytest

from doubles.offer_rig import OfferRig
from thingstead.features.campaigns.model import CampaignState
from thingstead.features.campaigns.rings import ring_of
from thingstead.features.firmware.errors import UpdateNotFoundError
from thingstead.features.firmware.model import FirmwareLimits, FirmwareState, Report, UpdateState
from thingstead.features.firmware.status import parse_status
from thingstead.kernel.ids import CampaignId

S = UpdateState


@pytest.fixture
def rig():
    return OfferRig()


def in_ring(rig, firmware, ring, rings):
    """Add a thing that is in that ring of the image's campaign."""
    campaign_id = CampaignId(f"campaign of {firmware.id}")
    names = (f"thing {number}" for number in range(10_000))
    return rig.thing(next(name for name in names if ring_of(campaign_id, name, rings) == ring))


class TestWithoutCampaign:
    async def test_a_published_image_is_offered_at_once_to_every_thing(self, rig):
        firmware = await rig.image("1.3")

        for name in ("one", "two"):
            offer = await rig.poll(rig.thing(name))
            assert (offer.firmwares, offer.reason) == ((firmware,), None)

    async def test_a_product_without_images_offers_nothing(self, rig):
        offer = await rig.poll(rig.thing("one"), "1.2")

        assert (offer.firmwares, offer.reason) == ((), "no_firmware")

    async def test_of_each_mcu_the_newest_is_listed_by_name(self, rig):
        radio = await rig.image("0.9", mcu="radio")
        await rig.image("1.9")
        main = await rig.image("1.10")

        assert (await rig.poll(rig.thing("one"))).firmwares == (main, radio)

    async def test_a_report_of_one_mcu_gets_that_one_only(self, rig):
        radio = await rig.image("0.9", mcu="radio")
        await rig.image("1.9")

        assert (await rig.poll(rig.thing("one"), "0.8", "radio")).firmwares == (radio,)

    async def test_an_mcu_without_images_is_offered_nothing(self, rig):
        await rig.image("1.9")

        offer = await rig.poll(rig.thing("one"), "0.8", "radio")

        assert (offer.firmwares, offer.reason) == ((), "no_firmware")

    @pytest.mark.parametrize("version", ["1.3", "v1.3.0", "1.4"])
    async def test_a_thing_that_says_it_runs_it_or_a_newer_one_is_up_to_date(self, rig, version):
        await rig.image("1.2")
        await rig.image("1.3")

        offer = await rig.poll(rig.thing("one"), version)

        assert (offer.firmwares, offer.reason) == ((), "up_to_date")

    async def test_the_md5_of_what_runs_is_as_good_as_its_version(self, rig):
        firmware = await rig.image("1.3")

        report = Report(None, None, firmware.digests.md5.hex())
        offer = await rig.offers.latest(rig.thing("one"), report)

        assert offer.reason == "up_to_date"

    async def test_without_a_report_the_newest_is_listed_whatever_was_said_before(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing, "1.3")

        assert (await rig.poll(thing)).firmwares == (firmware,)

    @pytest.mark.parametrize("state", [FirmwareState.DEPRECATED, FirmwareState.REVOKED])
    async def test_in_place_of_a_withdrawn_image_the_one_before_is_offered(self, rig, state):
        older, newer = await rig.image("1.2"), await rig.image("1.3")
        await rig.set_state(newer, state)

        assert (await rig.poll(rig.thing("one"), "1.1")).firmwares == (older,)

    async def test_a_withdrawn_version_that_runs_is_not_replaced_by_an_older_one(self, rig):
        await rig.image("1.2")
        newer = await rig.image("1.3")
        await rig.set_state(newer, FirmwareState.REVOKED)

        assert (await rig.poll(rig.thing("one"), "1.3")).reason == "up_to_date"

    @pytest.mark.parametrize("state", [FirmwareState.DEPRECATED, FirmwareState.REVOKED])
    async def test_a_version_brought_back_replaces_a_withdrawn_one(self, rig, state):
        newer = await rig.image("1.3")
        back = await rig.image("1.2", is_revert=True)
        thing = rig.thing("one")
        before = await rig.poll(thing, "1.3")

        await rig.set_state(newer, state)

        assert before.reason == "up_to_date"
        assert (await rig.poll(thing, "1.3")).firmwares == (back,)
        assert (await rig.poll(thing, "1.2")).reason == "up_to_date"

    async def test_a_version_brought_back_goes_before_what_lies_between(self, rig):
        newer = await rig.image("1.4")
        await rig.image("1.3")
        back = await rig.image("1.2", is_revert=True)

        await rig.set_state(newer, FirmwareState.REVOKED)

        assert (await rig.poll(rig.thing("one"), "1.4")).firmwares == (back,)

    async def test_a_version_brought_back_does_not_replace_an_unknown_newer_one(self, rig):
        await rig.image("1.2", is_revert=True)

        assert (await rig.poll(rig.thing("one"), "1.3-dev")).reason == "up_to_date"

    async def test_an_image_is_offered_from_its_date_on(self, rig):
        at_ms = rig.clock.now_ms() + 1_000
        firmware, thing = await rig.image("1.3", not_before_ms=at_ms), rig.thing("one")

        rig.clock.advance(0.999)
        before = await rig.poll(thing)
        rig.clock.advance(0.001)

        assert (before.firmwares, before.reason) == ((), "not_yet")
        assert (await rig.poll(thing)).firmwares == (firmware,)

    async def test_an_image_is_offered_until_it_expires(self, rig):
        at_ms = rig.clock.now_ms() + 1_000
        firmware, thing = await rig.image("1.3", expires_at_ms=at_ms), rig.thing("one")

        rig.clock.advance(0.999)
        before = await rig.poll(thing)
        rig.clock.advance(0.001)
        after = await rig.poll(thing)

        assert before.firmwares == (firmware,)
        assert (after.firmwares, after.reason) == ((), "expired")

    async def test_an_image_may_demand_a_version(self, rig):
        firmware = await rig.image("2.0", min_version="1.5")

        offers = [await rig.poll(rig.thing(f"runs {v}"), v) for v in (None, "1.4.9", "1.5")]

        assert [offer.reason for offer in offers] == ["version_unknown", "version_too_old", None]
        assert offers[2].firmwares == (firmware,)

    async def test_for_a_demanded_version_it_is_enough_to_have_said_it_once(self, rig):
        firmware, thing = await rig.image("2.0", min_version="1.5"), rig.thing("one")
        await rig.poll(thing, "1.5")

        assert (await rig.poll(thing)).firmwares == (firmware,)

    async def test_a_thing_that_may_not_have_the_newest_gets_the_next(self, rig):
        older = await rig.image("1.5")
        await rig.image("2.0", min_version="1.5")

        assert (await rig.poll(rig.thing("one"), "1.4")).firmwares == (older,)

    async def test_a_blocked_thing_is_offered_nothing(self):
        rig = OfferRig(FirmwareLimits(attempts=2))
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        reasons = []

        for _ in range(3):
            reasons.append((await rig.poll(thing, "1.2")).reason)
            await rig.following.said(thing, firmware.id, parse_status("failed"))

        assert reasons == [None, None, "blocked"]

    async def test_the_offer_is_stored_before_it_is_returned(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")

        await rig.poll(thing)

        assert (await rig.update(thing, firmware)).state is S.OFFERED

    async def test_a_poll_with_nothing_new_reads_and_writes_nothing_and_never_waits(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing, "1.2")
        await rig.install(thing, firmware)
        await rig.following.wrote(thing.id)
        await rig.poll(thing, "1.3")
        reads, writes = rig.store.reads, rig.store.writes

        poll = rig.poll(thing, "1.3")
        with pytest.raises(StopIteration) as returned:
            poll.send(None)  # What waits for nothing ends with the first turn.

        assert returned.value.value.reason == "up_to_date"
        assert (rig.store.reads, rig.store.writes) == (reads, writes)


class TestCampaigns:
    async def test_only_open_rings_are_offered_the_image(self, rig):
        firmware = await rig.image("1.3")
        rings = (50, 100)
        inner, outer = (in_ring(rig, firmware, ring, rings) for ring in (0, 1))
        campaign = await rig.campaign(firmware, [inner, outer], rings=rings)
        before = [await rig.poll(thing, "1.2") for thing in (inner, outer)]

        await rig.change(campaign, open_ring=1)

        assert [offer.reason for offer in before] == [None, "ring_not_open"]
        assert (await rig.poll(outer, "1.2")).firmwares == (firmware,)

    async def test_a_thing_outside_its_open_ring_gets_the_image_before(self, rig):
        older = await rig.image("1.2")
        newer = await rig.image("1.3")
        outer = in_ring(rig, newer, 1, (50, 100))
        await rig.campaign(newer, [outer], rings=(50, 100))

        assert (await rig.poll(outer, "1.1")).firmwares == (older,)

    @pytest.mark.parametrize(
        ("state", "reason"),
        [
            (CampaignState.PREPARING, "ring_not_open"),
            (CampaignState.RUNNING, None),
            (CampaignState.PAUSED, "paused"),
            (CampaignState.HALTED, "halted"),
            (CampaignState.FINISHED, None),
            (CampaignState.CANCELLED, "no_firmware"),
            (CampaignState.REVERTED, "no_firmware"),
        ],
    )
    async def test_what_a_campaign_does_decides(self, rig, state, reason):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.campaign(firmware, [thing], state=state)

        assert (await rig.poll(thing, "1.2")).reason == reason

    async def test_a_thing_that_is_up_to_date_is_told_so_whatever_the_campaign_does(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.campaign(firmware, [thing], state=CampaignState.PAUSED)

        assert (await rig.poll(thing, "1.3")).reason == "up_to_date"
        assert (await rig.update(thing, firmware)).state is S.CURRENT

    async def test_the_campaigns_attempts_count_and_not_the_servers(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.campaign(firmware, [thing], attempts=1)
        await rig.poll(thing, "1.2")

        update = await rig.following.said(thing, firmware.id, parse_status("failed"))

        assert (update.state, (await rig.poll(thing, "1.2")).reason) == (S.BLOCKED, "blocked")


class TestPace:
    async def test_a_thing_with_an_update_under_way_asks_often_for_an_hour(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        idle = (await rig.poll(thing, "1.2")).poll_after_s
        await rig.following.begun(thing, firmware)

        under_way = (await rig.poll(thing, "1.2")).poll_after_s
        rig.clock.advance(3_600)
        still = (await rig.poll(thing, "1.2")).poll_after_s
        rig.clock.advance(0.001)

        assert 720 <= idle <= 1_080
        assert under_way == still
        assert 48 <= under_way <= 72
        assert (await rig.poll(thing, "1.2")).poll_after_s == idle

    async def test_a_thing_whose_ring_is_next_asks_sooner_than_one_behind(self, rig):
        firmware = await rig.image("1.3")
        rings = (30, 60, 100)
        things = [in_ring(rig, firmware, ring, rings) for ring in (1, 2)]
        await rig.campaign(firmware, things, rings=rings)

        following, behind = [(await rig.poll(thing, "1.2")).poll_after_s for thing in things]

        assert 240 <= following <= 360
        assert 720 <= behind <= 1_080


class TestActions:
    async def test_an_action_leads_to_its_update_and_image_whatever_their_states(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        await rig.set_state(firmware, FirmwareState.REVOKED)
        stored = await rig.update(thing, firmware)

        update, image = await rig.offers.action(thing, stored.action)

        assert (update, image.id) == (stored, firmware.id)

    async def test_an_action_that_was_never_offered_is_not_found(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.campaign(firmware, [thing], state=CampaignState.PAUSED)
        waiting = await rig.update(thing, firmware)

        for action in (waiting.action, waiting.action + 1):
            with pytest.raises(UpdateNotFoundError):
                await rig.offers.action(thing, action)

    async def test_what_was_withdrawn_while_a_thing_works_on_it_is_told(self, rig):
        first, second = await rig.image("1.3"), await rig.image("1.0", mcu="radio")
        thing = rig.thing("one")
        await rig.poll(thing)
        before = await rig.offers.withdrawn(thing)

        await rig.set_state(first, FirmwareState.REVOKED)
        update, image = await rig.offers.withdrawn(thing)

        assert before is None
        assert (update.firmware_id, image.id) == (first.id, first.id)
        assert second.id != first.id

    @pytest.mark.parametrize(
        ("state", "is_told"),
        [
            (CampaignState.PAUSED, False),
            (CampaignState.HALTED, True),
            (CampaignState.CANCELLED, True),
            (CampaignState.REVERTED, True),
        ],
    )
    async def test_a_campaign_that_halts_or_ends_withdraws(self, rig, state, is_told):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        campaign = await rig.campaign(firmware, [thing])
        await rig.poll(thing)

        await rig.change(campaign, state=state)

        assert (await rig.offers.withdrawn(thing) is not None) == is_told

    async def test_what_is_over_needs_no_stopping(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        await rig.set_state(firmware, FirmwareState.REVOKED)

        await rig.following.said(thing, firmware.id, parse_status("canceled"))

        assert await rig.offers.withdrawn(thing) is None
