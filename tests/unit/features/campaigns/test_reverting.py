"""Taking an image back: revoked, the one before under a new sequence, once whatever crashes."""

import pytest

from doubles.campaign_rig import CampaignRig
from thingstead.features.campaigns.errors import InvalidCampaignError, WrongCampaignStateError
from thingstead.features.campaigns.model import CampaignState
from thingstead.features.firmware.errors import (
    FirmwareNotFoundError,
    SignatureMissingError,
    WrongFirmwareStateError,
)
from thingstead.features.firmware.manifests import manifest_of
from thingstead.features.firmware.model import FirmwareState
from thingstead.features.firmware.publishing import Publishing
from thingstead.kernel.ids import FirmwareId
from thingstead.sealing.signatures import create_pair, sign

S = CampaignState


class CrashError(Exception):
    """The process has gone."""


class CrashingPublishing:
    """Publishing in a process that dies before or after the call with that number."""

    def __init__(self, publishing: Publishing, at: int, *, before: bool) -> None:
        self._publishing = publishing
        self._left = at
        self._before = before

    def __getattr__(self, name):
        if name not in {"revoke", "bring_back"}:
            return getattr(self._publishing, name)

        async def call(*arguments, **keywords):
            self._left -= 1
            if self._left == 0 and self._before:
                raise CrashError
            result = await getattr(self._publishing, name)(*arguments, **keywords)
            if self._left == 0:
                raise CrashError
            return result

        return call


@pytest.fixture
async def rig():
    return CampaignRig()


@pytest.fixture
async def good(rig):
    return await rig.firmware("1.0")


@pytest.fixture
async def bad(rig, good):
    return await rig.firmware("1.1")


async def _images(rig):
    return [(one.version, one.state, one.is_revert) async for one in rig.publishing.all()]


TAKEN_BACK = [
    ("1.0", FirmwareState.PUBLISHED, True),
    ("1.1", FirmwareState.REVOKED, False),
    ("1.0", FirmwareState.PUBLISHED, False),
]


async def test_the_image_is_revoked_and_the_one_before_is_back(rig, good, bad):
    campaign = await rig.begun(bad)

    reverted, back = await rig.service.revert(campaign.id)

    assert reverted.state is S.REVERTED
    assert await _images(rig) == TAKEN_BACK
    assert back.digests == good.digests
    assert back.sequence > bad.sequence
    assert reverted.reason == (
        f"reverted by an operator: version 1.1 is revoked, 1.0 is back under sequence"
        f" {back.sequence}: 0 of 0 things succeeded and 0 failed so far"
    )


async def test_repeating_a_revert_brings_nothing_back_twice(rig, good, bad):
    campaign = await rig.begun(bad)
    once = await rig.service.revert(campaign.id)

    again = await rig.service.revert(campaign.id)

    assert again == once
    assert await _images(rig) == TAKEN_BACK


async def test_repeating_a_revert_later_does_not_touch_what_was_published_since(rig, good, bad):
    campaign = await rig.begun(bad)
    _, back = await rig.service.revert(campaign.id)
    await rig.publishing.deprecate(back.id)
    rig.clock.advance(10)
    await rig.firmware("1.2", sequence=back.sequence + 1)

    assert (await rig.service.revert(campaign.id))[1].id == back.id
    assert len(await _images(rig)) == 4


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("at", [1, 2])
async def test_a_revert_that_crashed_is_finished_by_repeating_it(rig, good, bad, at, before):
    campaign = await rig.begun(bad)
    crashing = rig.make_service(CrashingPublishing(rig.publishing, at, before=before))
    with pytest.raises(CrashError):
        await crashing.revert(campaign.id)

    # Others go on publishing, and the revert still is to be finished only.
    await rig.firmware("1.2", sequence=4_000_000_000)
    reverted, back = await rig.service.revert(campaign.id)

    images = await _images(rig)
    assert sorted(one for one in images if one[0] != "1.2") == sorted(TAKEN_BACK)
    assert reverted.state is S.REVERTED
    assert back.is_revert


async def test_a_revert_that_crashed_before_it_was_noted_is_finished_by_repeating_it(
    rig, good, bad
):
    campaign = await rig.begun(bad)

    async def crash():
        raise CrashError

    rig.store.interferes = 1
    rig.store.before_change = crash
    with pytest.raises(CrashError):
        await rig.service.revert(campaign.id)

    reverted, _ = await rig.service.revert(campaign.id)

    assert reverted.state is S.REVERTED
    assert await _images(rig) == TAKEN_BACK


async def test_other_images_with_the_same_bytes_are_revoked_too(rig, good, bad):
    worse = await rig.firmware("1.2")
    first = await rig.begun(bad)
    second = await rig.begun(worse)
    _, again_bad = await rig.service.revert(second.id)
    assert again_bad.version == "1.1"

    _, back = await rig.service.revert(first.id)

    assert back.version == "1.0"
    published = [one async for one in rig.publishing.all() if one.state is FirmwareState.PUBLISHED]
    assert {one.digests.sha256 for one in published} == {good.digests.sha256}


async def test_a_revoked_image_with_the_same_bytes_stays_as_it_is(rig, good, bad):
    worse = await rig.firmware("1.2")
    first = await rig.begun(bad)
    second = await rig.begun(worse)
    _, again_bad = await rig.service.revert(second.id)
    revoked = await rig.publishing.revoke(again_bad.id)

    await rig.service.revert(first.id)

    assert await rig.publishing.get(again_bad.id) == revoked


@pytest.mark.parametrize("move", ["pause", "cancel", "advance"])
async def test_a_campaign_in_any_state_after_its_beginning_can_be_reverted(rig, good, bad, move):
    campaign = await rig.begun(bad)
    await getattr(rig.service, move)(campaign.id)

    reverted, _ = await rig.service.revert(campaign.id)

    assert reverted.state is S.REVERTED


async def test_a_campaign_that_is_being_prepared_cannot_be_reverted(rig, good, bad):
    campaign = await rig.created(bad)

    with pytest.raises(WrongCampaignStateError, match="cancel it, or wait"):
        await rig.service.revert(campaign.id)


async def test_another_earlier_image_can_be_named(rig, good, bad):
    worse = await rig.firmware("1.2")
    await rig.publishing.deprecate(good.id)
    campaign = await rig.begun(worse)

    _, back = await rig.service.revert(campaign.id, good.id)

    assert back.version == "1.0"


async def test_without_an_earlier_image_nothing_is_changed(rig):
    only = await rig.firmware("1.0")
    campaign = await rig.begun(only)

    with pytest.raises(FirmwareNotFoundError, match=r"no published image is earlier than 1\.0"):
        await rig.service.revert(campaign.id)

    assert (await rig.publishing.get(only.id)).state is FirmwareState.PUBLISHED
    assert (await rig.service.get(campaign.id)).state is S.RUNNING


async def test_what_cannot_be_gone_back_to_is_refused_and_nothing_is_changed(rig, good, bad):
    campaign = await rig.begun(bad)
    later = await rig.firmware("2.0")
    elsewhere = await rig.firmware("0.1", mcu="radio", sequence=1)
    await rig.publishing.revoke(good.id)
    refusals = [
        (FirmwareId("none"), FirmwareNotFoundError, "id none"),
        (elsewhere.id, InvalidCampaignError, "another product or MCU"),
        (later.id, InvalidCampaignError, "not earlier"),
        (bad.id, InvalidCampaignError, "not earlier"),
        (good.id, WrongFirmwareStateError, "is revoked"),
    ]

    for firmware_id, error, why in refusals:
        with pytest.raises(error, match=why):
            await rig.service.revert(campaign.id, firmware_id)

    assert (await rig.publishing.get(bad.id)).state is FirmwareState.PUBLISHED


async def test_the_same_bytes_are_nothing_to_go_back_to(rig, good, bad):
    first = await rig.begun(bad)
    _, back = await rig.service.revert(first.id)
    campaign = await rig.begun(back)

    with pytest.raises(InvalidCampaignError, match="the same bytes"):
        await rig.service.revert(campaign.id, good.id)


async def test_where_signatures_are_demanded_a_revert_needs_one(rig, good, bad):
    campaign = await rig.begun(bad)
    private, public = create_pair("ed25519")
    await rig.publishing.add_key(bad.product_id, public, "release")
    await rig.publishing.demand_signatures(bad.product_id, is_demanded=True)

    with pytest.raises(SignatureMissingError, match="nothing was changed"):
        await rig.service.revert(campaign.id)
    assert (await rig.publishing.get(bad.id)).state is FirmwareState.PUBLISHED
    message = manifest_of(
        product_id=good.product_id,
        mcu=good.mcu,
        version=good.version,
        sequence=77,
        size=good.size,
        sha256=good.digests.sha256,
    )
    signature = sign(private, message)
    _, back = await rig.service.revert(campaign.id, signature=signature, sequence=77)

    assert (back.sequence, back.signature) == (77, signature)
    assert (await rig.service.revert(campaign.id))[1] == back
