"""From draft to published, deprecated and revoked, and how an earlier image comes back."""

import pytest

from doubles.publishing_rig import PRIVATE_PEM, PUBLIC_PEM, PublishingRig, signed
from thingstead.features.firmware.errors import (
    FirmwareExistsError,
    FirmwareNotFoundError,
    InvalidFirmwareError,
    InvalidSignatureError,
    SignatureMissingError,
    TooManyFirmwaresError,
    WrongFirmwareStateError,
)
from thingstead.features.firmware.manifests import manifest
from thingstead.features.firmware.model import FirmwareLimits, FirmwareState
from thingstead.kernel.ids import FirmwareId
from thingstead.sealing.signatures import sign

DRAFT, PUBLISHED, DEPRECATED, REVOKED = FirmwareState
STEPS = {"release": PUBLISHED, "deprecate": DEPRECATED, "revoke": REVOKED}
WAYS = {
    DRAFT: (),
    PUBLISHED: ("release",),
    DEPRECATED: ("release", "deprecate"),
    REVOKED: ("release", "deprecate", "revoke"),
}
POSSIBLE = {
    (DRAFT, "release"),
    (PUBLISHED, "release"),
    (PUBLISHED, "deprecate"),
    (DEPRECATED, "deprecate"),
    *((state, "revoke") for state in FirmwareState),
}


@pytest.fixture
def rig():
    return PublishingRig(FirmwareLimits(images_per_product=4))


@pytest.fixture
async def product_id(rig):
    return await rig.add_product()


async def image_in(rig, product_id, state):
    firmware = await rig.publish(product_id, is_draft=True)
    for step in WAYS[state]:
        firmware = await getattr(rig.publishing, step)(firmware.id)
    assert firmware.state is state
    return firmware


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("state", FirmwareState)
async def test_images_go_forward_only(rig, product_id, state, step):
    firmware = await image_in(rig, product_id, state)

    if (state, step) in POSSIBLE:
        changed = await getattr(rig.publishing, step)(firmware.id)
        assert changed.state is STEPS[step]
    else:
        with pytest.raises(WrongFirmwareStateError, match=f"it is {state}, and cannot become"):
            await getattr(rig.publishing, step)(firmware.id)
        assert await rig.publishing.get(firmware.id) == firmware


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_that_was_done_changes_nothing(rig, product_id, step):
    firmware = await image_in(rig, product_id, STEPS[step])
    rig.clock.advance(60)

    assert await getattr(rig.publishing, step)(firmware.id) == firmware


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_is_told_to_those_who_remember(rig, product_id, step):
    firmware = await rig.publish(product_id, is_draft=step == "release")
    rig.told.clear()

    await getattr(rig.publishing, step)(firmware.id)

    assert rig.told == [str(product_id)]


@pytest.mark.parametrize("step", [*STEPS, "bring_back"])
async def test_an_image_that_is_not_there_takes_no_step(rig, step):
    with pytest.raises(FirmwareNotFoundError):
        await getattr(rig.publishing, step)(FirmwareId("missing"))


async def test_an_earlier_image_comes_back_under_a_larger_sequence(rig, product_id):
    earlier = await rig.publish(
        product_id, version="1", notes="Good", not_before_ms=5, expires_at_ms=6, is_mandatory=True
    )
    newer = await rig.publish(product_id, b"broken", version="2")
    await rig.publishing.deprecate(earlier.id)
    await rig.publishing.revoke(newer.id)
    rig.told.clear()

    back = await rig.publishing.bring_back(earlier.id)

    assert back.id not in {earlier.id, newer.id}
    assert (back.is_revert, back.state, back.version) == (True, PUBLISHED, "1")
    assert back.sequence > newer.sequence
    assert (back.size, back.digests, back.facts) == (earlier.size, earlier.digests, earlier.facts)
    assert (back.filename, back.notes, back.is_mandatory) == ("app.bin", "Good", True)
    assert (back.not_before_ms, back.expires_at_ms) == (None, None)
    assert rig.told == [str(product_id)]


async def test_bringing_back_twice_gives_one_row(rig, product_id):
    earlier = await rig.publish(product_id, version="1")
    await rig.publish(product_id, b"broken", version="2")
    back = await rig.publishing.bring_back(earlier.id)

    assert await rig.publishing.bring_back(earlier.id) == back
    assert await rig.publishing.bring_back(back.id) == back
    assert len(await rig.all()) == 3


async def test_what_was_brought_back_and_overtaken_can_come_back_again(rig, product_id):
    earlier = await rig.publish(product_id, version="1")
    first = await rig.publishing.bring_back(earlier.id)
    newer = await rig.publish(product_id, b"broken", version="2")

    second = await rig.publishing.bring_back(earlier.id)

    assert second.id != first.id
    assert second.sequence > newer.sequence


async def test_what_was_brought_back_and_withdrawn_can_come_back_again(rig, product_id):
    earlier = await rig.publish(product_id, version="1")
    first = await rig.publishing.bring_back(earlier.id)
    await rig.publishing.revoke(first.id)

    second = await rig.publishing.bring_back(earlier.id)

    assert (second.id != first.id, second.state) == (True, PUBLISHED)


@pytest.mark.parametrize("state", [DRAFT, REVOKED])
async def test_drafts_and_revoked_images_do_not_come_back(rig, product_id, state):
    firmware = await image_in(rig, product_id, state)

    with pytest.raises(WrongFirmwareStateError, match=f"it is {state}, and cannot be brought"):
        await rig.publishing.bring_back(firmware.id)


async def test_what_comes_back_counts_as_an_image(rig, product_id):
    for version in range(4):
        earlier = await rig.publish(product_id, version=str(version))

    with pytest.raises(TooManyFirmwaresError):
        await rig.publishing.bring_back(earlier.id)


async def test_who_brings_back_and_is_overtaken_gets_the_next_sequence(rig, product_id):
    earlier = await rig.publish(product_id, version="1")
    taken = []

    async def overtake():
        taken.append(await rig.publish(product_id, b"other", version="2"))

    rig.store.before_add = overtake

    assert (await rig.publishing.bring_back(earlier.id)).sequence == taken[0].sequence + 1


async def test_an_image_that_comes_back_leaves_its_signature_behind(rig, product_id):
    await rig.publishing.add_key(product_id, PUBLIC_PEM, "build")
    plain = await rig.publish(product_id, version="1")
    signature = signed(product_id, plain.digests.sha256, version="2")
    earlier = await rig.publish(
        product_id, version="2", sequence=2_000_000_000, signature=signature
    )

    back = await rig.publishing.bring_back(earlier.id)

    # It holds for the earlier sequence, and a device would find that it does not for this one.
    assert back.signature is None
    assert back.sequence == 2_000_000_001


async def test_where_signatures_are_demanded_it_comes_back_with_a_new_one(rig, product_id):
    await rig.publishing.add_key(product_id, PUBLIC_PEM, "build")
    earlier = await rig.publish(product_id)
    await rig.publishing.demand_signatures(product_id, is_demanded=True)
    sequence = earlier.sequence + 10
    signature = signed(product_id, earlier.digests.sha256, sequence=sequence)

    with pytest.raises(SignatureMissingError, match="sign the earlier image anew with a larger"):
        await rig.publishing.bring_back(earlier.id)
    back = await rig.publishing.bring_back(earlier.id, signature=signature, sequence=sequence)

    assert (back.signature, back.sequence) == (signature, sequence)
    assert sign(PRIVATE_PEM, manifest(back)) == signature


async def test_a_signature_to_bring_back_with_has_to_be_right(rig, product_id):
    await rig.publishing.add_key(product_id, PUBLIC_PEM, "build")
    earlier = await rig.publish(product_id)
    sequence = earlier.sequence + 10
    signature = signed(product_id, earlier.digests.sha256, sequence=sequence)

    with pytest.raises(InvalidFirmwareError, match="sequence: the one that was signed is missing"):
        await rig.publishing.bring_back(earlier.id, signature=signature)
    with pytest.raises(InvalidSignatureError, match="it was not made with the key"):
        await rig.publishing.bring_back(earlier.id, signature=signature, sequence=sequence + 1)
    assert len(await rig.all()) == 1


async def test_a_sequence_to_bring_back_with_has_to_be_larger(rig, product_id):
    earlier = await rig.publish(product_id)

    with pytest.raises(FirmwareExistsError):
        await rig.publishing.bring_back(earlier.id, sequence=earlier.sequence)
