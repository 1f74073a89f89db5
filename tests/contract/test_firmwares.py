"""What every store of images and keys promises."""

import asyncio
from dataclasses import replace

import pytest

from doubles.firmware_rig import new_firmware, stored_image
from thingstead.features.campaigns.model import CampaignState
from thingstead.features.firmware.errors import FirmwareExistsError
from thingstead.features.firmware.model import (
    FirmwareState,
    ImageFacts,
    Signature,
    SigningKey,
)
from thingstead.features.firmware.ports import StoredImage
from thingstead.features.products.errors import ProductNotFoundError
from thingstead.kernel.changes import Change, Kind

DRAFT, PUBLISHED = FirmwareState.DRAFT, FirmwareState.PUBLISHED
DEPRECATED, REVOKED = FirmwareState.DEPRECATED, FirmwareState.REVOKED
SIGNATURE = Signature("k" * 16, "ed25519", b"\x00signature")


async def add(core, product, version, *, sequence, number=1, most=1_000, mcu="main"):
    """Add an image whose id says all that tells it from others."""
    return await core.firmwares.add(
        f"{product.id} {mcu} {version} {sequence}",
        new_firmware(version, product_id=product.id, mcu=mcu),
        stored_image(number),
        sequence=sequence,
        is_revert=False,
        most=most,
        at_ms=1,
    )


def key(product, name="one", *, created_at_ms=1):
    return SigningKey(name, product.id, "ed25519", b"\x30der", f"Key {name}", created_at_ms)


async def test_all_that_was_said_about_an_image_comes_back(core, make):
    product = await make.product()
    image = stored_image(7)
    said = StoredImage(image.size, image.digests, ImageFacts("esp-idf", "1.2.3", "app", "esp32"))
    new = new_firmware(
        "1.2.3",
        product_id=product.id,
        notes="Ünicode\nnotes",
        min_version="1.0",
        is_mandatory=True,
        not_before_ms=5,
        expires_at_ms=6,
        signature=SIGNATURE,
    )

    added = await core.firmwares.add(
        "id", new, said, sequence=1 << 40, is_revert=True, most=1, at_ms=9
    )

    assert await core.firmwares.get("id") == added
    assert (added.id, added.product_id, added.mcu) == ("id", product.id, "main")
    assert (added.version, added.sequence, added.filename) == ("1.2.3", 1 << 40, "main.bin")
    assert (added.state, added.created_at_ms, added.published_at_ms) == (PUBLISHED, 9, 9)
    assert (added.size, added.digests, added.facts) == (said.size, said.digests, said.facts)
    assert (added.notes, added.min_version) == ("Ünicode\nnotes", "1.0")
    assert (added.is_mandatory, added.is_revert) == (True, True)
    assert (added.not_before_ms, added.expires_at_ms) == (5, 6)
    assert added.signature == SIGNATURE


async def test_an_image_of_which_little_was_said_holds_no_more(core, make):
    firmware = await make.firmware("1.0")

    assert await core.firmwares.get(firmware.id) == firmware
    assert (firmware.notes, firmware.min_version, firmware.signature) == (None, None, None)
    assert (firmware.is_mandatory, firmware.is_revert) == (False, False)


async def test_a_draft_is_not_published(make):
    firmware = await make.firmware("1.0", is_draft=True)

    assert (firmware.state, firmware.published_at_ms) == (DRAFT, None)


async def test_numbers_grow_over_all_products(make):
    first, second = await make.firmware("1.0"), await make.firmware("1.0")

    assert 0 < first.number < second.number


async def test_no_image_is_added_to_an_unknown_product(core):
    with pytest.raises(ProductNotFoundError):
        await core.firmwares.add(
            "id",
            new_firmware("1.0", product_id=99),
            stored_image(1),
            sequence=1,
            is_revert=False,
            most=1,
            at_ms=1,
        )


async def test_a_version_is_there_once_for_product_and_mcu(core, make):
    one, two = await make.product(), await make.product()
    await add(core, one, "1.0", sequence=1)

    with pytest.raises(FirmwareExistsError, match=r"version 1\.0"):
        await add(core, one, "1.0", sequence=2)

    assert await add(core, one, "1.0", sequence=2, mcu="radio") is not None
    assert await add(core, two, "1.0", sequence=2) is not None


async def test_a_revert_brings_a_version_again_as_often_as_needed(core, make):
    product = await make.product()
    first = await make.firmware("1.0", product.id)

    reverts = [await make.firmware("1.0", product.id, is_revert=True) for _ in range(2)]

    assert await core.firmwares.by_version(product.id, "main", "1.0") == reverts[-1]
    assert len({first.id, *(one.id for one in reverts)}) == 3
    with pytest.raises(FirmwareExistsError):
        await make.firmware("1.0", product.id)


@pytest.mark.parametrize("sequence", [4, 5])
async def test_a_sequence_that_does_not_grow_is_refused(core, make, sequence):
    product = await make.product()
    await add(core, product, "1.0", sequence=5)

    with pytest.raises(FirmwareExistsError, match="sequence 5"):
        await add(core, product, "2.0", sequence=sequence)

    assert await core.firmwares.newest_sequence(product.id, "main") == 5


async def test_a_sequence_that_grows_by_one_is_accepted(core, make):
    product = await make.product()
    await add(core, product, "1.0", sequence=5)

    await add(core, product, "2.0", sequence=6)

    assert await core.firmwares.newest_sequence(product.id, "main") == 6


async def test_sequences_of_other_mcus_and_products_are_their_own(core, make):
    one, two = await make.product(), await make.product()
    await add(core, one, "1.0", sequence=5)

    assert await add(core, one, "1.0", sequence=3, mcu="radio") is not None
    assert await add(core, two, "1.0", sequence=3) is not None
    assert await core.firmwares.newest_sequence(one.id, "radio") == 3
    assert await core.firmwares.newest_sequence(two.id, "radio") == 0


async def test_a_product_has_as_many_images_as_it_may_and_no_more(core, make):
    one, two = await make.product(), await make.product()
    await add(core, one, "1.0", sequence=1, most=2)

    second = await add(core, one, "1.0", sequence=1, mcu="radio", most=2)
    third = await add(core, one, "1.1", sequence=2, most=2)
    other = await add(core, two, "1.0", sequence=1, most=1)

    assert (second is None, third is None, other is None) == (False, True, False)
    assert len(await core.firmwares.page(one.id, before=None, limit=9)) == 2


async def test_of_concurrent_additions_of_one_version_one_is_stored(core, open_again, make):
    product = await make.product()
    other = await open_again()

    results = await asyncio.gather(
        *(
            add(store, product, "1.0", sequence=number, number=number)
            for number, store in enumerate([core, other] * 4, 1)
        ),
        return_exceptions=True,
    )

    refused = [one for one in results if isinstance(one, FirmwareExistsError)]
    assert len(refused) == 7
    assert len(await core.firmwares.page(product.id, before=None, limit=9)) == 1


async def test_concurrent_additions_do_not_pass_the_limit(core, make):
    product = await make.product()

    added = await asyncio.gather(
        *(add(core, product, "1.0", sequence=1, mcu=f"m{n}", most=3) for n in range(9))
    )

    assert len([one for one in added if one is not None]) == 3


async def test_what_is_unknown_is_not_found(core, make):
    product = await make.product()

    assert await core.firmwares.get("unknown") is None
    assert await core.firmwares.by_version(product.id, "main", "1.0") is None
    assert await core.firmwares.newest_sequence(product.id, "main") == 0


async def test_a_version_is_found_as_it_is_written(core, make):
    firmware = await make.firmware("1.0-RC")
    product_id = firmware.product_id

    assert await core.firmwares.by_version(product_id, "main", "1.0-RC") == firmware
    assert await core.firmwares.by_version(product_id, "main", "1.0-rc") is None
    assert await core.firmwares.by_version(product_id, "radio", "1.0-RC") is None
    assert await core.firmwares.by_version(product_id + 1, "main", "1.0-RC") is None


async def test_pages_go_from_the_newest_to_the_oldest(core, make):
    one, two = await make.product(), await make.product()
    made = [await make.firmware(f"{n}.0", (one, two)[n % 2].id) for n in range(4)]

    first = await core.firmwares.page(None, before=None, limit=3)
    rest = await core.firmwares.page(None, before=first[-1].number, limit=3)
    of_two = await core.firmwares.page(two.id, before=made[3].number, limit=3)

    assert first == made[:0:-1]
    assert rest == [made[0]]
    assert of_two == [made[1]]


async def test_a_state_changes_from_those_named_only(core, make):
    firmware = await make.firmware("1.0", is_draft=True)

    kept = await core.firmwares.change_state(
        firmware.id, DEPRECATED, from_states=[PUBLISHED], at_ms=8
    )
    changed = await core.firmwares.change_state(
        firmware.id, PUBLISHED, from_states=[PUBLISHED, DRAFT], at_ms=9
    )

    assert kept is None
    assert changed == replace(firmware, state=PUBLISHED, published_at_ms=9)
    assert await core.firmwares.get(firmware.id) == changed
    assert (
        await core.firmwares.change_state("?", REVOKED, from_states=[*FirmwareState], at_ms=9)
        is None
    )


async def test_when_it_was_published_first_stays_known(core, make):
    firmware = await make.firmware("1.0", at_ms=4)

    again = await core.firmwares.change_state(
        firmware.id, PUBLISHED, from_states=[PUBLISHED], at_ms=9
    )
    revoked = await core.firmwares.change_state(
        firmware.id, REVOKED, from_states=[PUBLISHED], at_ms=10
    )

    assert again == firmware
    assert revoked == replace(firmware, state=REVOKED)


async def test_a_catalogue_lists_all_but_drafts_by_sequence(core, make):
    product, other = await make.product(), await make.product()
    first = await make.firmware("2.0", product.id, sequence=20)
    radio = await make.firmware("1.0", product.id, sequence=30, mcu="radio")
    revoked = await make.firmware("2.5", product.id, sequence=25)
    await make.firmware("3.0", product.id, is_draft=True, sequence=40)
    await make.firmware("9.0", other.id, sequence=50)
    revoked = await core.firmwares.change_state(
        revoked.id, REVOKED, from_states=[PUBLISHED], at_ms=1
    )

    catalogue = await core.firmwares.catalogue(product.id)

    assert catalogue.firmwares == (radio, revoked, first)
    assert catalogue.campaigns == ()


async def test_a_catalogue_holds_the_newest_campaign_of_each_image(core, make):
    product = await make.product()
    one, two, three = [await make.firmware(f"{n}.0", product.id) for n in (1, 2, 3)]
    draft = await make.firmware("4.0", product.id, is_draft=True)
    # The later campaign has the smaller id and time: only the order of making counts.
    ended = await make.campaign("z", one, at_ms=9)
    await core.campaigns.change(replace(ended, state=CampaignState.CANCELLED))
    newest = await make.campaign("a", one, at_ms=8)
    of_two = await make.campaign("b", two)
    await make.campaign("c", draft)

    catalogue = await core.firmwares.catalogue(product.id)

    assert catalogue.firmwares == (three, two, one)
    assert catalogue.campaigns == (of_two, newest)


async def test_the_catalogue_of_an_unknown_product_is_empty(core):
    catalogue = await core.firmwares.catalogue(99)

    assert (catalogue.firmwares, catalogue.campaigns) == ((), ())


async def test_a_catalogue_ends_with_the_thousandth_image(core, make):
    product = await make.product()
    for sequence in range(1, 1_002):
        await core.firmwares.add(
            f"{sequence}",
            new_firmware(f"{sequence}", product_id=product.id),
            stored_image(sequence),
            sequence=sequence,
            is_revert=False,
            most=2_000,
            at_ms=1,
        )

    catalogue = await core.firmwares.catalogue(product.id)

    assert [one.sequence for one in catalogue.firmwares] == list(range(1_001, 1, -1))


async def test_keys_come_the_oldest_first(core, make):
    product, other = await make.product(), await make.product()
    keys = [key(product, "new", created_at_ms=2), key(product, "old"), key(other, "old")]

    added = [await core.firmwares.add_key(one) for one in keys]

    assert added == [True, True, True]
    assert await core.firmwares.keys(product.id) == [keys[1], keys[0]]


async def test_a_key_is_there_once_and_stays_revoked(core, make):
    product = await make.product()
    await core.firmwares.add_key(key(product))

    revoked = [await core.firmwares.revoke_key(product.id, "one", at_ms=at_ms) for at_ms in (5, 6)]
    added = await core.firmwares.add_key(key(product))

    assert (revoked, added) == ([True, True], False)
    assert await core.firmwares.keys(product.id) == [replace(key(product), revoked_at_ms=5)]


async def test_keys_of_other_products_are_not_revoked(core, make):
    one, two = await make.product(), await make.product()
    await core.firmwares.add_key(key(one))

    assert not await core.firmwares.revoke_key(two.id, "one", at_ms=5)
    assert not await core.firmwares.revoke_key(one.id, "two", at_ms=5)
    assert await core.firmwares.keys(one.id) == [key(one)]


async def test_no_key_is_added_to_an_unknown_product(core, make):
    product = await make.product()

    with pytest.raises(ProductNotFoundError):
        await core.firmwares.add_key(replace(key(product), product_id=99))


async def test_a_hundred_keys_are_listed(core, make):
    product = await make.product()
    for number in range(101):
        await core.firmwares.add_key(key(product, f"{number:03d}", created_at_ms=number))

    names = [one.id for one in await core.firmwares.keys(product.id)]

    assert names == [f"{number:03d}" for number in range(100)]


async def test_a_product_demands_signatures_when_told_so(core, make):
    one, two = await make.product(), await make.product()

    before = await core.firmwares.needs_signature(one.id)
    changed = await core.firmwares.set_needs_signature(one.id, is_needed=True)

    assert (before, changed) == (False, True)
    assert await core.firmwares.needs_signature(one.id)
    assert not await core.firmwares.needs_signature(two.id)
    assert await core.firmwares.set_needs_signature(one.id, is_needed=False)
    assert not await core.firmwares.needs_signature(one.id)


async def test_an_unknown_product_demands_nothing(core):
    assert not await core.firmwares.needs_signature(99)
    assert not await core.firmwares.set_needs_signature(99, is_needed=True)


async def test_digests_in_use_are_told_from_others(core, make):
    firmware = await make.firmware("1.0")
    await core.firmwares.change_state(firmware.id, REVOKED, from_states=[PUBLISHED], at_ms=1)
    used = firmware.digests.sha256
    unused = [number.to_bytes(32) for number in range(1_200)]

    assert await core.firmwares.used_digests([*unused, used]) == {used}
    assert await core.firmwares.used_digests([]) == set()


async def test_each_change_is_announced_with_the_product(core, open_again, make):
    product = await make.product()
    other = await open_again()
    calls = {
        "add": lambda: make.firmware("1.0", product.id, is_draft=True),
        "change_state": lambda: core.firmwares.change_state(
            "1.0 2", PUBLISHED, from_states=[DRAFT], at_ms=1
        ),
        "add_key": lambda: core.firmwares.add_key(key(product)),
        "revoke_key": lambda: core.firmwares.revoke_key(product.id, "one", at_ms=1),
        "set_needs_signature": lambda: core.firmwares.set_needs_signature(
            product.id, is_needed=True
        ),
    }
    seen = {}
    for name, call in calls.items():
        other.change_signal.changes()

        assert await call()

        seen[name] = other.change_signal.changes()

    change = Change(Kind.FIRMWARE, str(product.id))
    assert seen == {name: [change] for name in calls}


async def test_what_changes_nothing_is_not_announced(core, open_again, make):
    product = await make.product()
    firmware = await make.firmware("1.0", product.id)
    await core.firmwares.add_key(key(product))
    other = await open_again()

    await core.firmwares.change_state(firmware.id, REVOKED, from_states=[DRAFT], at_ms=1)
    await core.firmwares.add_key(key(product))
    await core.firmwares.revoke_key(product.id, "unknown", at_ms=1)
    with pytest.raises(FirmwareExistsError):
        await make.firmware("1.0", product.id)

    assert list(other.change_signal.changes()) == []
