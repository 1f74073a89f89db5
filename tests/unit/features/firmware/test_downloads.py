"""Which images a thing may fetch, and how many downloads there may be."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from doubles.offer_rig import OfferRig
from thingstead.features.campaigns.model import CampaignState, Target
from thingstead.features.firmware.errors import FirmwareNotFoundError, TooManyDownloadsError
from thingstead.features.firmware.model import FirmwareLimits, FirmwareState, UpdateState
from thingstead.features.firmware.status import parse_status
from thingstead.kernel.errors import StoreUnavailableError
from thingstead.kernel.ids import FirmwareId

S = UpdateState


@pytest.fixture
def rig():
    return OfferRig(FirmwareLimits(downloads_per_thing=2, downloads=3))


async def may_have(rig, thing, firmware) -> bool:
    try:
        found = await rig.offers.find(thing, firmware.id)
    except FirmwareNotFoundError:
        return False
    assert found.id == firmware.id
    return True


class TestFinding:
    async def test_an_image_is_found_whatever_version_runs(self, rig):
        older, newer, thing = await rig.image("1.2"), await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing, "1.3")

        assert await may_have(rig, thing, newer)
        assert await may_have(rig, thing, older)

    async def test_unknown_images_and_those_of_other_products_are_not_found(self, rig):
        rig.product(7)
        firmware = await rig.image("1.3")

        assert not await may_have(rig, rig.thing("other", 7), firmware)
        with pytest.raises(FirmwareNotFoundError):
            await rig.offers.find(rig.thing("one"), FirmwareId("none"))

    @pytest.mark.parametrize("word", ["download", "downloaded"])
    async def test_words_alone_give_no_right_to_finish_what_never_began(self, rig, word):
        deprecated, paused, thing = await rig.image("1.3"), await rig.image("1.4"), rig.thing("one")
        campaign = await rig.campaign(paused, [thing])
        await rig.poll(thing)
        await rig.following.offered(thing, deprecated, None)
        await rig.change(campaign, state=CampaignState.PAUSED)
        await rig.set_state(deprecated, FirmwareState.DEPRECATED)

        for firmware in (deprecated, paused):
            await rig.following.said(thing, firmware.id, parse_status(word))

            assert not await may_have(rig, thing, firmware)

    @pytest.mark.parametrize("is_target", [False, True])
    async def test_words_alone_open_no_ring(self, rig, is_target):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        campaign = await rig.campaign(
            firmware, [thing] if is_target else [], target=Target(tags=("beta",))
        )
        await rig.change(campaign, open_ring=-1)
        rig.following.forget(thing.id)

        await rig.following.said(thing, firmware.id, parse_status("downloaded"))

        assert not await may_have(rig, thing, firmware)

    async def test_a_draft_is_not_found(self, rig):
        firmware = await rig.image("1.3", is_draft=True)

        assert not await may_have(rig, rig.thing("one"), firmware)

    @pytest.mark.parametrize("has_begun", [False, True])
    @pytest.mark.parametrize("state", [FirmwareState.DEPRECATED, FirmwareState.REVOKED])
    async def test_of_withdrawn_images_only_a_deprecated_one_may_be_finished(
        self, rig, state, has_begun
    ):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)
        if has_begun:
            await rig.following.begun(thing, firmware)

        await rig.set_state(firmware, state)

        allowed = has_begun and state is FirmwareState.DEPRECATED
        assert await may_have(rig, thing, firmware) == allowed

    @pytest.mark.parametrize(
        ("state", "anew", "begun"),
        [
            (CampaignState.PREPARING, False, True),
            (CampaignState.RUNNING, True, True),
            (CampaignState.PAUSED, False, True),
            (CampaignState.HALTED, False, False),
            (CampaignState.FINISHED, True, True),
            (CampaignState.CANCELLED, False, False),
            (CampaignState.REVERTED, False, False),
        ],
    )
    async def test_what_a_campaign_does_decides(self, rig, state, anew, begun):
        firmware, new, old = await rig.image("1.3"), rig.thing("new"), rig.thing("old")
        campaign = await rig.campaign(firmware, [new, old])
        await rig.following.begun(old, firmware)

        await rig.change(campaign, state=state)

        assert await may_have(rig, new, firmware) == anew
        assert await may_have(rig, old, firmware) == begun

    async def test_parts_of_a_finished_download_may_follow_for_an_hour(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        campaign = await rig.campaign(firmware, [thing])
        await rig.following.begun(thing, firmware)
        await rig.following.downloaded(thing, firmware)
        await rig.change(campaign, state=CampaignState.PAUSED)

        rig.clock.advance(3_600)
        at_the_end = await may_have(rig, thing, firmware)
        rig.clock.advance(0.001)

        assert at_the_end
        assert not await may_have(rig, thing, firmware)

    async def test_an_expired_image_is_not_finished_either(self, rig):
        at_ms = rig.clock.now_ms() + 1_000
        firmware, thing = await rig.image("1.3", expires_at_ms=at_ms), rig.thing("one")
        await rig.following.begun(thing, firmware)

        rig.clock.advance(0.999)
        before = await may_have(rig, thing, firmware)
        rig.clock.advance(0.001)

        assert before
        assert not await may_have(rig, thing, firmware)

    async def test_a_thing_outside_the_open_ring_or_the_target_finds_nothing(self, rig):
        firmware = await rig.image("1.3")
        await rig.campaign(firmware, target=Target(tags=("beta",)))

        assert not await may_have(rig, rig.thing("stranger"), firmware)
        assert await may_have(rig, rig.thing("late", tags=["beta"]), firmware)

    async def test_a_blocked_thing_finds_nothing(self):
        rig = OfferRig(FirmwareLimits(attempts=1))
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        await rig.poll(thing)

        await rig.following.said(thing, firmware.id, parse_status("failed"))

        assert not await may_have(rig, thing, firmware)

    async def test_a_demanded_version_is_that_of_the_last_report(self, rig):
        firmware, thing = await rig.image("2.0", min_version="1.5"), rig.thing("one")
        unknown = await may_have(rig, thing, firmware)

        await rig.poll(thing, "1.5")

        assert not unknown
        assert await may_have(rig, thing, firmware)


class TestDownloading:
    async def test_a_download_gives_bytes_and_is_noted(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")

        async with rig.offers.download(thing, firmware) as download:
            states = [rig.following.known(thing.id)]
            await download.begun()
            states.append((await rig.update(thing, firmware)).state)
            size = len(await download.blob.read(0, firmware.size))
            await download.finished()
            states.append((await rig.update(thing, firmware)).state)

        assert size == firmware.size
        assert states == [None, S.DOWNLOADING, S.DOWNLOADED]
        assert rig.blobs.opened == rig.blobs.closed == 1

    async def test_of_many_ranges_only_the_first_is_written_down(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")

        for _ in range(10):
            async with rig.offers.download(thing, firmware) as download:
                await download.begun()

        assert rig.store.writes == 1

    async def test_a_thing_has_so_many_downloads_and_not_one_more(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")

        async with AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(rig.offers.download(thing, firmware))
            with pytest.raises(TooManyDownloadsError, match="2 of one thing") as refusal:
                await stack.enter_async_context(rig.offers.download(thing, firmware))

        assert refusal.value.retry_after_s == 30
        async with rig.offers.download(thing, firmware):
            pass

    async def test_the_server_has_so_many_downloads_and_not_one_more(self, rig):
        firmware = await rig.image("1.3")

        async with AsyncExitStack() as stack:
            for number in range(3):
                thing = rig.thing(f"thing {number}")
                await stack.enter_async_context(rig.offers.download(thing, firmware))
            with pytest.raises(TooManyDownloadsError, match="at most 3 at a time"):
                await stack.enter_async_context(rig.offers.download(rig.thing("one"), firmware))

        async with rig.offers.download(rig.thing("one"), firmware):
            pass

    @pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
    async def test_places_are_given_back_after_errors(self, rig, error):
        firmware, thing = await rig.image("1.3"), rig.thing("one")

        for _ in range(5):
            with pytest.raises(error):
                async with rig.offers.download(thing, firmware):
                    raise error

        assert rig.blobs.opened == rig.blobs.closed == 5

    async def test_places_are_given_back_when_the_bytes_cannot_be_opened(self, rig):
        firmware, thing = await rig.image("1.3"), rig.thing("one")
        rig.blobs.is_broken = True

        for _ in range(5):
            with pytest.raises(StoreUnavailableError):
                async with rig.offers.download(thing, firmware):
                    pass

        rig.blobs.is_broken = False
        async with rig.offers.download(thing, firmware):
            pass
