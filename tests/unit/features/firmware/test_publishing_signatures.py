"""Which signatures make an image welcome, and the keys that they are made with."""

import hashlib

import pytest

from doubles.publishing_rig import IMAGE, PRIVATE_PEM, PUBLIC_PEM, PublishingRig, signed
from thingstead.features.firmware.errors import (
    FirmwareExistsError,
    InvalidFirmwareError,
    InvalidKeyError,
    InvalidSignatureError,
    KeyNotFoundError,
    SignatureMissingError,
)
from thingstead.features.firmware.model import FirmwareState
from thingstead.features.firmware.signing import MAX_KEYS
from thingstead.features.products.errors import ProductNotFoundError
from thingstead.kernel.ids import ProductId
from thingstead.sealing.signatures import create_pair

SHA256 = hashlib.sha256(IMAGE).digest()
SEQUENCE = 2_000_000_000
OTHER_PRIVATE_PEM, OTHER_PUBLIC_PEM = create_pair("ecdsa-p256-sha256")


@pytest.fixture
def rig():
    return PublishingRig()


@pytest.fixture
async def product_id(rig):
    return await rig.add_product()


@pytest.fixture
async def key(rig, product_id):
    return await rig.publishing.add_key(product_id, PUBLIC_PEM, "build")


async def publish_signed(rig, product_id, signature, **said):
    return await rig.publish(product_id, signature=signature, **({"sequence": SEQUENCE} | said))


async def test_a_signed_image_keeps_signature_and_sequence(rig, product_id, key):
    signature = signed(product_id, SHA256)

    firmware = await publish_signed(rig, product_id, signature)

    assert (firmware.signature, firmware.sequence) == (signature, SEQUENCE)


async def test_any_of_several_keys_will_do(rig, product_id, key):
    rig.clock.advance(1)
    await rig.publishing.add_key(product_id, OTHER_PUBLIC_PEM, "spare")
    signature = signed(product_id, SHA256, private_pem=OTHER_PRIVATE_PEM)

    firmware = await publish_signed(rig, product_id, signature)

    assert firmware.signature.algorithm == "ecdsa-p256-sha256"


@pytest.mark.parametrize(
    "other",
    [
        {"digest": bytes(32)},
        {"size": len(IMAGE) + 1},
        {"version": "1.2.4"},
        {"version": "v1.2.3"},
        {"mcu": "radio"},
        {"sequence": SEQUENCE + 1},
        {"product_id": ProductId(99)},
    ],
)
async def test_a_signature_for_anything_else_is_refused(rig, product_id, key, other):
    signature = signed(**({"product_id": product_id, "digest": SHA256} | other))

    with pytest.raises(InvalidSignatureError, match=f"it was not made with the key {key.id} over"):
        await publish_signed(rig, product_id, signature)

    assert rig.shows_nothing()
    assert await rig.all() == []


async def test_a_signature_with_a_key_nobody_added_is_refused_before_any_byte(rig, product_id):
    with pytest.raises(InvalidSignatureError, match="does not have the key"):
        await publish_signed(rig, product_id, signed(product_id, SHA256))

    assert rig.blobs.begun == 0


async def test_a_signature_with_the_key_of_another_product_is_refused(rig, product_id, key):
    other = await rig.add_product()

    with pytest.raises(InvalidSignatureError, match="does not have the key"):
        await publish_signed(rig, other, signed(other, SHA256))


async def test_a_signature_with_a_revoked_key_is_refused(rig, product_id, key):
    await rig.publishing.revoke_key(product_id, key.id)

    with pytest.raises(InvalidSignatureError, match=f"the key {key.id} is revoked"):
        await publish_signed(rig, product_id, signed(product_id, SHA256))


async def test_a_signature_without_its_sequence_is_refused(rig, product_id, key):
    with pytest.raises(InvalidFirmwareError, match="sequence: the one that was signed is missing"):
        await publish_signed(rig, product_id, signed(product_id, SHA256), sequence=None)


async def test_an_unsigned_image_is_welcome_until_signatures_are_demanded(rig, product_id):
    assert not await rig.publishing.demands_signatures(product_id)
    await rig.publish(product_id, version="1")

    await rig.publishing.demand_signatures(product_id, is_demanded=True)

    assert await rig.publishing.demands_signatures(product_id)
    with pytest.raises(SignatureMissingError):
        await rig.publish(product_id, b"other", version="2")
    assert rig.blobs.begun == 1


async def test_a_demand_holds_for_its_product_until_it_is_dropped(rig, product_id):
    await rig.publishing.demand_signatures(product_id, is_demanded=True)
    await rig.publish(await rig.add_product())

    await rig.publishing.demand_signatures(product_id, is_demanded=False)

    await rig.publish(product_id)


async def test_a_signed_image_meets_the_demand(rig, product_id, key):
    await rig.publishing.demand_signatures(product_id, is_demanded=True)

    firmware = await publish_signed(rig, product_id, signed(product_id, SHA256))

    assert firmware.state is FirmwareState.PUBLISHED


async def test_no_signature_can_be_demanded_for_a_product_that_is_not_there(rig):
    with pytest.raises(ProductNotFoundError):
        await rig.publishing.demand_signatures(ProductId(99), is_demanded=True)


async def test_an_unsigned_draft_is_not_published_once_signatures_are_demanded(rig, product_id):
    draft = await rig.publish(product_id, is_draft=True)
    await rig.publishing.demand_signatures(product_id, is_demanded=True)

    with pytest.raises(SignatureMissingError):
        await rig.publishing.release(draft.id)

    assert (await rig.publishing.get(draft.id)).state is FirmwareState.DRAFT


async def test_a_draft_whose_key_was_revoked_is_not_published(rig, product_id, key):
    draft = await publish_signed(rig, product_id, signed(product_id, SHA256), is_draft=True)
    await rig.publishing.revoke_key(product_id, key.id)

    with pytest.raises(InvalidSignatureError, match="is revoked"):
        await rig.publishing.release(draft.id)


async def test_a_signed_draft_is_published(rig, product_id, key):
    draft = await publish_signed(rig, product_id, signed(product_id, SHA256), is_draft=True)

    assert (await rig.publishing.release(draft.id)).state is FirmwareState.PUBLISHED


async def test_an_image_that_is_there_unsigned_is_not_signed_later(rig, product_id, key):
    await rig.publish(product_id, sequence=SEQUENCE)

    with pytest.raises(FirmwareExistsError, match="is there without a signature"):
        await publish_signed(rig, product_id, signed(product_id, SHA256))


async def test_publishing_a_signed_image_again_changes_nothing(rig, product_id, key):
    signature = signed(product_id, SHA256)
    firmware = await publish_signed(rig, product_id, signature)

    assert await publish_signed(rig, product_id, signature) == firmware
    assert await rig.publish(product_id) == firmware


async def test_what_was_published_stays_when_its_key_is_revoked(rig, product_id, key):
    firmware = await publish_signed(rig, product_id, signed(product_id, SHA256))

    await rig.publishing.revoke_key(product_id, key.id)

    assert await rig.publishing.get(firmware.id) == firmware


async def test_a_key_is_kept_with_name_and_time(rig, product_id, key):
    assert (key.name, key.algorithm, key.created_at_ms) == ("build", "ed25519", rig.clock.now_ms())
    assert key.revoked_at_ms is None
    assert await rig.publishing.keys(product_id) == [key]
    assert await rig.publishing.keys(ProductId(99)) == []


async def test_adding_a_key_again_changes_nothing(rig, product_id, key):
    rig.clock.advance(60)

    assert await rig.publishing.add_key(product_id, PUBLIC_PEM, "another name") == key
    assert await rig.publishing.keys(product_id) == [key]


async def test_a_revoked_key_stays_revoked(rig, product_id, key):
    await rig.publishing.revoke_key(product_id, key.id)
    (revoked,) = await rig.publishing.keys(product_id)
    rig.clock.advance(60)

    await rig.publishing.revoke_key(product_id, key.id)
    with pytest.raises(InvalidKeyError, match=f"{key.id} is revoked, and stays so"):
        await rig.publishing.add_key(product_id, PUBLIC_PEM, "build")

    assert revoked.revoked_at_ms == rig.clock.now_ms() - 60_000
    assert await rig.publishing.keys(product_id) == [revoked]


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\0b"])
async def test_a_key_needs_a_name(rig, product_id, name):
    with pytest.raises(InvalidKeyError, match="name: must not"):
        await rig.publishing.add_key(product_id, PUBLIC_PEM, name)


async def test_a_name_of_100_characters_is_possible(rig, product_id):
    assert (await rig.publishing.add_key(product_id, PUBLIC_PEM, "x" * 100)).name == "x" * 100


@pytest.mark.parametrize("pem", [b"", PRIVATE_PEM])
async def test_what_is_no_public_key_is_not_kept(rig, product_id, pem):
    with pytest.raises(InvalidKeyError):
        await rig.publishing.add_key(product_id, pem, "build")

    assert await rig.publishing.keys(product_id) == []


async def test_a_product_has_100_keys_at_most(rig, product_id):
    for number in range(MAX_KEYS):
        await rig.publishing.add_key(product_id, create_pair("ed25519")[1], str(number))

    with pytest.raises(InvalidKeyError, match="may have 100 keys"):
        await rig.publishing.add_key(product_id, PUBLIC_PEM, "build")
    assert len(await rig.publishing.keys(product_id)) == MAX_KEYS


async def test_a_key_of_a_product_that_is_not_there_is_refused(rig):
    with pytest.raises(ProductNotFoundError):
        await rig.publishing.add_key(ProductId(99), PUBLIC_PEM, "build")


async def test_a_key_that_is_not_there_cannot_be_revoked(rig, product_id, key):
    other = await rig.add_product()

    for owner, key_id in [(product_id, "0" * 16), (other, key.id)]:
        with pytest.raises(KeyNotFoundError):
            await rig.publishing.revoke_key(owner, key_id)


async def test_changes_of_keys_and_demands_are_told_to_those_who_remember(rig, product_id, key):
    await rig.publishing.revoke_key(product_id, key.id)
    await rig.publishing.demand_signatures(product_id, is_demanded=True)

    assert rig.told == [str(product_id)] * 3
