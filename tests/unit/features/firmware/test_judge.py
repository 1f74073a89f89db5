"""What reports, words and proofs mean for the updates of one thing."""

from dataclasses import replace

import pytest

from doubles.offer_rig import OfferRig
from thingstead.features.campaigns.model import CampaignState, Proof
from thingstead.features.firmware.errors import UpdateNotFoundError
from thingstead.features.firmware.judge import version_said
from thingstead.features.firmware.model import NO_REPORT, FirmwareState, Report, UpdateState
from thingstead.features.firmware.status import parse_status
from thingstead.kernel.ids import FirmwareId

S = UpdateState
GRACE_S = 30


@pytest.fixture
def rig():
    return OfferRig()


async def downloaded(rig, thing, firmware, before="1.2"):
    """Let the thing run `before`, be offered the image, and fetch all of it."""
    await rig.poll(thing, before)
    await rig.following.begun(thing, firmware)
    await rig.following.downloaded(thing, firmware)


async def state_of(rig, thing, firmware):
    return (await rig.update(thing, firmware)).state


async def test_an_update_goes_all_its_way(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one")
    states = []

    await rig.poll(thing, "1.2")
    states.append(await state_of(rig, thing, firmware))
    await rig.following.begun(thing, firmware)
    states.append(await state_of(rig, thing, firmware))
    await rig.following.downloaded(thing, firmware)
    states.append(await state_of(rig, thing, firmware))
    await rig.poll(thing, "1.3")
    states.append(await state_of(rig, thing, firmware))
    await rig.following.wrote(thing.id)
    states.append(await state_of(rig, thing, firmware))

    assert states == [S.OFFERED, S.DOWNLOADING, S.DOWNLOADED, S.REPORTED, S.SUCCEEDED]
    assert await rig.kinds(thing) == ["offered", "begun", "downloaded", "reported", "succeeded"]


async def test_the_old_version_within_the_grace_is_no_failure_and_later_is(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one")
    await downloaded(rig, thing, firmware)

    rig.clock.advance(GRACE_S)
    await rig.poll(thing, "1.2")
    at_the_end_of_the_grace = await state_of(rig, thing, firmware)
    rig.clock.advance(0.001)
    await rig.following.heard(thing, Report(None, "1.2"))

    assert at_the_end_of_the_grace is S.DOWNLOADED
    update = await rig.update(thing, firmware)
    assert (update.state, update.failures) == (S.FAILED, 1)
    assert update.reason == (
        "reports 1.2 after the download of 1.3:"
        " the update was rolled back or never started (failure 1 of 3)"
    )


async def test_a_thing_that_had_the_version_before_the_offer_is_current(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one")
    await rig.poll(thing)

    await rig.poll(thing, "1.3")

    update = await rig.update(thing, firmware)
    assert update.state is S.CURRENT
    assert update.reason == "reports 1.3, which it did not get here"


async def test_a_thing_that_got_the_version_elsewhere_after_the_offer_is_updated(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one")
    await rig.poll(thing, "1.2")

    await rig.poll(thing, "1.3")

    assert await state_of(rig, thing, firmware) is S.REPORTED


async def test_a_thing_that_runs_a_newer_version_is_current(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one")
    await downloaded(rig, thing, firmware)

    await rig.poll(thing, "1.4")

    update = await rig.update(thing, firmware)
    assert update.state is S.CURRENT
    assert update.reason == "reports 1.4, which is newer than 1.3"


async def test_a_current_thing_that_goes_back_waits_again(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one")
    await rig.poll(thing)
    await rig.poll(thing, "1.3")

    await rig.following.heard(thing, Report(None, "1.2"))

    assert await state_of(rig, thing, firmware) is S.WAITING


async def test_an_update_that_was_rolled_back_after_success_has_failed(rig):
    firmware, thing = await rig.image("1.3"), rig.thing("one")
    await rig.poll(thing, "1.2")
    await rig.install(thing, firmware)
    await rig.following.wrote(thing.id)

    await rig.following.heard(thing, Report(None, "1.2"))

    update = await rig.update(thing, firmware)
    assert (update.state, update.failures) == (S.FAILED, 1)
    assert update.reason.startswith("reports 1.2 after 1.3 had run")


async def test_the_success_of_earlier_images_stays_when_a_later_one_is_rolled_back(rig):
    first, thing = await rig.image("1.3"), rig.thing("one")
    await rig.poll(thing, "1.2")
    await rig.install(thing, first)
    await rig.following.wrote(thing.id)
    second = await rig.image("1.4")
    await rig.poll(thing, "1.3")
    await rig.install(thing, second)
    await rig.following.wrote(thing.id)

    await rig.following.heard(thing, Report(None, "1.2"))

    assert await state_of(rig, thing, first) is S.SUCCEEDED
    assert await state_of(rig, thing, second) is S.FAILED


async def test_a_thing_that_went_on_to_another_image_did_not_fail(rig):
    first, thing = await rig.image("1.4"), rig.thing("one")
    await downloaded(rig, thing, first)
    rig.clock.advance(60)
    await rig.set_state(first, FirmwareState.REVOKED)
    second = await rig.image("1.3")
    await rig.poll(thing)
    await rig.following.begun(thing, second)

    await rig.following.heard(thing, Report(None, "1.2"))

    update = await rig.update(thing, first)
    assert (update.state, update.failures) == (S.FAILED, 0)
    assert update.reason == "does not go on with 1.4: reports 1.2"


async def test_a_version_brought_back_counts_as_installed_though_a_newer_one_ran(rig):
    bad, thing = await rig.image("1.4"), rig.thing("one")
    await rig.poll(thing, "1.3")
    await rig.install(thing, bad)
    await rig.set_state(bad, FirmwareState.REVOKED)
    rig.clock.advance(1)
    back = await rig.image("1.3", is_revert=True)
    offer = await rig.poll(thing, "1.4")
    await rig.install(thing, back)

    assert offer.firmwares == (back,)
    assert await state_of(rig, thing, back) is S.REPORTED
    assert (await rig.update(thing, bad)).failures == 0


async def test_a_report_of_one_mcu_says_nothing_of_another(rig):
    main, radio = await rig.image("1.3"), await rig.image("2.0", mcu="radio")
    thing = rig.thing("one")
    await rig.poll(thing)
    for firmware in (main, radio):
        await rig.following.begun(thing, firmware)

    await rig.poll(thing, "1.3", "main")

    assert await state_of(rig, thing, main) is S.REPORTED
    assert await state_of(rig, thing, radio) is S.DOWNLOADING


class TestProofs:
    async def reported(self, rig, thing, **campaign):
        firmware = await rig.image("1.3")
        if campaign:
            await rig.campaign(firmware, [thing], **campaign)
        await rig.poll(thing, "1.2")
        await rig.install(thing, firmware)
        return firmware

    async def test_a_write_right_after_the_report_proves_outside_campaigns(self, rig):
        thing = rig.thing("one")
        firmware = await self.reported(rig, thing)

        await rig.following.wrote(thing.id)

        assert await state_of(rig, thing, firmware) is S.SUCCEEDED

    async def test_a_contact_proves_outside_campaigns_from_a_minute_on(self, rig):
        thing = rig.thing("one")
        firmware = await self.reported(rig, thing)

        rig.clock.advance(59.999)
        await rig.following.heard(thing, NO_REPORT)
        too_soon = await state_of(rig, thing, firmware)
        rig.clock.advance(0.001)
        await rig.following.heard(thing, NO_REPORT)

        assert too_soon is S.REPORTED
        assert await state_of(rig, thing, firmware) is S.SUCCEEDED

    async def test_a_write_proves_only_after_the_campaigns_soak_time(self, rig):
        thing = rig.thing("one")
        firmware = await self.reported(rig, thing, soak_s=100)

        rig.clock.advance(99.999)
        await rig.following.wrote(thing.id)
        too_soon = await state_of(rig, thing, firmware)
        rig.clock.advance(0.001)
        await rig.following.wrote(thing.id)

        assert too_soon is S.REPORTED
        assert await state_of(rig, thing, firmware) is S.SUCCEEDED

    async def test_a_contact_proves_nothing_where_writes_are_wanted(self, rig):
        thing = rig.thing("one")
        firmware = await self.reported(rig, thing, soak_s=0, proof=Proof.WRITE)

        rig.clock.advance(1_000_000)
        await rig.poll(thing, "1.3")

        assert await state_of(rig, thing, firmware) is S.REPORTED

    async def test_a_later_poll_proves_where_a_contact_is_enough(self, rig):
        thing = rig.thing("one")
        firmware = await self.reported(rig, thing, soak_s=0, proof=Proof.CONTACT)
        by_the_report_alone = await state_of(rig, thing, firmware)

        await rig.poll(thing, "1.3")

        assert by_the_report_alone is S.REPORTED
        assert await state_of(rig, thing, firmware) is S.SUCCEEDED

    async def test_a_poll_that_says_nothing_is_a_contact_too(self, rig):
        thing = rig.thing("one")
        firmware = await self.reported(rig, thing, soak_s=0, proof=Proof.CONTACT)

        await rig.poll(thing)

        assert await state_of(rig, thing, firmware) is S.SUCCEEDED

    async def test_feedback_is_a_contact_too(self, rig):
        thing = rig.thing("one")
        firmware = await self.reported(rig, thing, soak_s=0, proof=Proof.CONTACT)

        update = await rig.following.said(thing, firmware.id, parse_status("resumed"))

        assert update.state is S.REPORTED
        assert (await rig.following.said(thing, firmware.id, parse_status("installing"))).state is (
            S.SUCCEEDED
        )


class TestWords:
    async def said(self, rig, thing, firmware, *members):
        return await rig.following.said(thing, firmware.id, parse_status(*members))

    async def test_words_lead_through_the_states(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)

        states = [
            (await self.said(rig, thing, firmware, *members)).state
            for members in (
                ("scheduled",),
                ("download",),
                ("proceeding",),
                ("downloaded",),
                ("proceeding",),
                ("closed", {"finished": "success"}),
            )
        ]

        assert states == [
            S.OFFERED,
            S.DOWNLOADING,
            S.DOWNLOADING,
            S.DOWNLOADED,
            S.INSTALLING,
            S.REPORTED,
        ]

    async def test_success_is_a_report_of_the_version(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)

        await self.said(rig, thing, firmware, "closed", "success")

        (running,) = (await rig.following.record(thing.id)).running
        assert (running.mcu, running.version) == ("main", "1.3")

    async def test_failure_counts_with_the_things_own_words(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)

        update = await self.said(rig, thing, firmware, "failed", None, None, "flash\x00 worn out")

        assert (update.state, update.failures) == (S.FAILED, 1)
        assert update.reason == (
            "says that the update to 1.3 failed: flash worn out (failure 1 of 3)"
        )

    async def test_failure_said_twice_counts_once(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        await self.said(rig, thing, firmware, "failed")
        writes = rig.store.writes

        update = await self.said(rig, thing, firmware, "failed")

        assert update.failures == 1
        assert rig.store.writes == writes

    async def test_giving_up_what_is_offered_counts_as_failed(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)

        update = await self.said(rig, thing, firmware, "canceled")

        assert (update.state, update.failures) == (S.FAILED, 1)

    async def test_giving_up_what_was_withdrawn_does_not(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        campaign = await rig.campaign(firmware, [thing])
        await rig.poll(thing)
        await rig.change(campaign, state=CampaignState.HALTED)

        update = await self.said(rig, thing, firmware, "canceled")

        assert (update.state, update.failures) == (S.FAILED, 0)

    async def test_progress_is_kept_once_for_each_word(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        await rig.following.begun(thing, firmware)

        for per_cent in (10, 10, 20):
            update = await self.said(rig, thing, firmware, "download", None, per_cent)

        assert update.reason == "says download, 20 %"
        assert await rig.kinds(thing) == ["offered", "begun", "said", "said"]

    @pytest.mark.parametrize("word", ["installing", "failed", "canceled", "rejected"])
    async def test_words_after_the_end_change_nothing(self, rig, word):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing, "1.2")
        await rig.install(thing, firmware)
        await rig.following.wrote(thing.id)
        before = await rig.update(thing, firmware)

        assert await self.said(rig, thing, firmware, word) == before

    async def test_words_about_what_was_never_offered_are_refused(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.campaign(firmware, [thing], state=CampaignState.PAUSED)

        for firmware_id in (firmware.id, FirmwareId("none")):
            with pytest.raises(UpdateNotFoundError):
                await rig.following.said(thing, firmware_id, parse_status("failed"))


class TestVersionSaid:
    async def stock(self, rig, *mcus):
        for mcu in mcus:
            await rig.image("1.3", mcu=mcu)
        return await rig.catalogues.stock_of(10_001)

    async def test_without_a_name_the_only_mcu_is_meant(self, rig):
        stock = await self.stock(rig, "main")

        assert version_said(stock, Report(None, "1.2")) == ("main", "1.2")

    async def test_without_a_name_none_of_several_is_meant(self, rig):
        stock = await self.stock(rig, "main", "radio")

        assert version_said(stock, Report(None, "1.2")) is None
        assert version_said(stock, Report("radio", "1.2")) == ("radio", "1.2")

    async def test_an_mcu_that_has_no_image_yet_may_be_named(self, rig):
        stock = await self.stock(rig)

        assert version_said(stock, Report("main", "1.2")) == ("main", "1.2")

    @pytest.mark.parametrize("mcu", ["", "a b", "x" * 65, "\x00"])
    async def test_what_cannot_name_an_mcu_is_left_out(self, rig, mcu):
        assert version_said(await self.stock(rig), Report(mcu, "1.2")) is None

    async def test_the_md5_of_an_image_is_its_version_whatever_is_said(self, rig):
        firmware = await rig.image("1.3")
        stock = await rig.catalogues.stock_of(firmware.product_id)
        md5 = firmware.digests.md5.hex()

        assert version_said(stock, Report(None, None, md5)) == ("main", "1.3")
        assert version_said(stock, Report(None, "0.1", md5)) == ("main", "1.3")

    async def test_an_unknown_md5_leaves_what_is_said(self, rig):
        stock = await self.stock(rig, "main")

        assert version_said(stock, Report(None, "0.1", "ff" * 16)) == ("main", "0.1")
        assert version_said(stock, Report(None, None, "ff" * 16)) is None

    async def test_of_images_with_the_same_bytes_the_one_named_is_meant(self, rig):
        first = await rig.image("1.3")
        second = await rig.image("1.4")
        rows = rig.organisation.firmware.firmwares
        rows[second.id] = replace(second, digests=first.digests)
        stock = await rig.catalogues.stock_of(first.product_id)
        md5 = first.digests.md5.hex()

        assert version_said(stock, Report(None, "1.3", md5)) == ("main", "1.3")
        assert version_said(stock, Report(None, "0.1", md5)) == ("main", "1.4")

    async def test_a_version_is_cut_to_64_printable_characters(self, rig):
        stock = await self.stock(rig, "main")

        assert version_said(stock, Report(None, "1" * 65)) == ("main", "1" * 64)
        assert version_said(stock, Report(None, "\x1b[0m1.2")) == ("main", "[0m1.2")
        assert version_said(stock, Report(None, " \x00")) is None
