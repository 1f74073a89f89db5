"""How bytes become an image, and what keeps them from it."""

import hashlib
from dataclasses import replace

import pytest

from doubles.publishing_rig import IMAGE, PublishingRig, chunks, new
from support.images import esp_idf_image
from thingstead.features.firmware.errors import (
    FirmwareExistsError,
    FirmwareNotFoundError,
    ImageMismatchError,
    ImageTooLargeError,
    InvalidFirmwareError,
    TooManyFirmwaresError,
    UnusableImageError,
)
from thingstead.features.firmware.intake import MAX_NOTES_CHARACTERS
from thingstead.features.firmware.manifests import MAX_SEQUENCE
from thingstead.features.firmware.model import FirmwareLimits, FirmwareState
from thingstead.features.products.errors import ProductNotFoundError
from thingstead.kernel.errors import StorageFullError
from thingstead.kernel.ids import FirmwareId, ProductId

LIMITS = FirmwareLimits(image_bytes=10_000, images_per_product=5)
DAY_S = 24 * 60 * 60


@pytest.fixture
def rig():
    return PublishingRig(LIMITS)


@pytest.fixture
async def product_id(rig):
    return await rig.add_product()


async def test_what_is_published_is_kept_with_its_digests(rig, product_id):
    firmware = await rig.publish(product_id, notes="Fixes\tit\r\n", is_mandatory=True)

    assert firmware.state is FirmwareState.PUBLISHED
    assert firmware.size == len(IMAGE)
    assert firmware.digests.sha256 == hashlib.sha256(IMAGE).digest()
    assert firmware.digests.sha1 == hashlib.sha1(IMAGE).digest()
    assert firmware.digests.md5 == hashlib.md5(IMAGE).digest()
    assert firmware.facts.kind == "raw"
    assert (firmware.notes, firmware.is_mandatory) == ("Fixes\tit\r\n", True)
    assert rig.blobs.kept == {firmware.digests.sha256: IMAGE}
    assert await rig.publishing.get(firmware.id) == firmware
    assert rig.told == [str(product_id)]


async def test_the_bytes_are_durable_before_the_row_is_there(rig, product_id):
    async def look():
        assert list(rig.blobs.kept.values()) == [IMAGE]
        assert await rig.all() == []

    rig.store.before_add = look

    await rig.publish(product_id)

    assert rig.store.before_add is None


@pytest.mark.parametrize("size", [1, 7, 4_096, 10_000])
async def test_the_pieces_that_bytes_come_in_do_not_matter(rig, product_id, size):
    image = esp_idf_image(version=b"1.2.3", project=b"p")

    firmware = await rig.publishing.publish(new(product_id), chunks(image, size))

    assert firmware.facts.project == "p"
    assert rig.blobs.kept == {hashlib.sha256(image).digest(): image}


async def test_a_draft_is_kept_and_not_published(rig, product_id):
    firmware = await rig.publish(product_id, is_draft=True)

    assert (firmware.state, firmware.published_at_ms) == (FirmwareState.DRAFT, None)


async def test_an_image_of_exactly_the_largest_size_is_taken(rig, product_id):
    assert (await rig.publish(product_id, bytes(10_000))).size == 10_000


async def test_one_byte_more_is_refused_and_leaves_nothing(rig, product_id):
    with pytest.raises(ImageTooLargeError, match="more than 10000 bytes"):
        await rig.publish(product_id, bytes(10_001))

    assert rig.shows_nothing()
    assert await rig.all() == []


async def test_an_endless_image_is_not_read_to_its_end(rig, product_id):
    async def endless():
        while True:
            yield bytes(1_000)

    with pytest.raises(ImageTooLargeError):
        await rig.publishing.publish(new(product_id), endless())

    assert rig.shows_nothing()


async def test_a_full_disk_leaves_nothing(rig, product_id):
    rig.blobs.full_after = 3_500

    with pytest.raises(StorageFullError):
        await rig.publish(product_id)

    assert rig.shows_nothing()
    assert await rig.all() == []
    assert rig.told == []


async def test_an_upload_that_breaks_off_leaves_nothing(rig, product_id):
    async def broken():
        yield IMAGE
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await rig.publishing.publish(new(product_id), broken())

    assert rig.shows_nothing()
    assert await rig.all() == []


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (b"", UnusableImageError),
        (b"\x7fELF" + bytes(100), UnusableImageError),
        (esp_idf_image()[:-1], UnusableImageError),
        (esp_idf_image(version=b"1.2.4"), ImageMismatchError),
    ],
)
async def test_what_is_no_such_image_leaves_nothing(rig, product_id, image, error):
    with pytest.raises(error):
        await rig.publish(product_id, image)

    assert rig.shows_nothing()


async def test_a_mismatch_can_be_allowed_and_stays_visible(rig, product_id):
    image = esp_idf_image(9, version=b"1.2.4")

    firmware = await rig.publish(product_id, image, mcu="esp32", allows_mismatch=True)

    assert (firmware.version, firmware.facts.version) == ("1.2.3", "1.2.4")
    assert firmware.facts.chip == "esp32s3"


async def test_a_cut_image_cannot_be_allowed(rig, product_id):
    with pytest.raises(UnusableImageError):
        await rig.publish(product_id, esp_idf_image()[:-1], allows_mismatch=True)


async def test_the_same_bytes_as_another_version_are_stored_once(rig, product_id):
    first = await rig.publish(product_id)
    second = await rig.publish(product_id, version="1.2.4")

    assert first.id != second.id
    assert first.digests == second.digests
    assert len(rig.blobs.kept) == 1


async def test_other_bytes_under_a_version_that_is_there_are_refused(rig, product_id):
    first = await rig.publish(product_id)

    with pytest.raises(FirmwareExistsError, match="for main is there with other bytes"):
        await rig.publish(product_id, b"other")

    assert await rig.all() == [first]
    assert list(rig.blobs.kept) == [first.digests.sha256]


async def test_the_same_version_for_another_mcu_or_product_is_another_image(rig, product_id):
    await rig.publish(product_id)
    await rig.publish(product_id, b"other", mcu="radio")
    await rig.publish(await rig.add_product(), b"third")

    assert len(await rig.all()) == 3


async def test_publishing_the_same_again_mends_bytes_that_were_lost(rig, product_id):
    firmware = await rig.publish(product_id)
    await rig.blobs.delete(firmware.digests.sha256)

    again = await rig.publish(product_id)

    assert again == firmware
    assert rig.blobs.kept == {firmware.digests.sha256: IMAGE}


async def test_publishing_the_same_again_changes_nothing(rig, product_id):
    first = await rig.publish(product_id)
    rig.clock.advance(60)

    assert await rig.publish(product_id) == first
    assert await rig.publish(product_id, is_draft=True) == first
    assert await rig.publish(product_id, sequence=first.sequence) == first
    assert await rig.all() == [first]
    assert rig.blobs.begun == rig.blobs.ended


async def test_publishing_a_draft_once_more_publishes_it(rig, product_id):
    draft = await rig.publish(product_id, is_draft=True)
    again = await rig.publish(product_id, is_draft=True)

    published = await rig.publish(product_id)

    assert again == draft
    assert (published.id, published.state) == (draft.id, FirmwareState.PUBLISHED)


@pytest.mark.parametrize("step", ["deprecate", "revoke"])
async def test_what_was_withdrawn_does_not_come_back_by_itself(rig, product_id, step):
    firmware = await rig.publish(product_id)
    withdrawn = await getattr(rig.publishing, step)(firmware.id)

    with pytest.raises(FirmwareExistsError, match=f"is there, and {withdrawn.state}"):
        await rig.publish(product_id)


async def test_the_same_with_another_sequence_is_refused(rig, product_id):
    first = await rig.publish(product_id)

    with pytest.raises(FirmwareExistsError, match=f"with the sequence {first.sequence}"):
        await rig.publish(product_id, sequence=first.sequence + 1)


async def test_a_publisher_who_was_overtaken_with_the_same_image_gets_it(rig, product_id):
    overtaking = []

    async def overtake():
        overtaking.append(await rig.publish(product_id))

    rig.store.before_add = overtake

    assert [await rig.publish(product_id)] == overtaking == await rig.all()


async def test_a_publisher_who_was_overtaken_with_other_bytes_is_refused(rig, product_id):
    rig.store.before_add = lambda: rig.publish(product_id, b"other")

    with pytest.raises(FirmwareExistsError, match="other bytes"):
        await rig.publish(product_id)


async def test_a_publisher_whose_sequence_was_taken_gets_the_next(rig, product_id):
    taken = []

    async def overtake():
        taken.append(await rig.publish(product_id, b"other", version="9"))

    # The sequence was chosen before; the other image has a larger one by then.
    rig.store.before_add = overtake

    firmware = await rig.publish(product_id)

    assert firmware.sequence == taken[0].sequence + 1


async def test_a_store_that_takes_no_sequence_is_not_asked_for_ever(rig, product_id):
    rig.store.always_taken = True

    with pytest.raises(FirmwareExistsError):
        await rig.publish(product_id)


async def test_a_sequence_is_the_time_in_seconds(rig, product_id):
    firmware = await rig.publish(product_id)

    assert firmware.sequence == rig.clock.now_ms() // 1_000


async def test_sequences_grow_even_when_the_clock_does_not(rig, product_id):
    first = await rig.publish(product_id, version="1")
    rig.clock.advance(-3_600)
    second = await rig.publish(product_id, version="2")

    assert second.sequence == first.sequence + 1


async def test_a_sequence_of_ones_own_has_to_be_larger_than_all_before(rig, product_id):
    await rig.publish(product_id, version="1", sequence=100)

    with pytest.raises(FirmwareExistsError, match="sequence 100"):
        await rig.publish(product_id, version="2", sequence=100)
    assert (await rig.publish(product_id, version="2", sequence=101)).sequence == 101


async def test_a_product_has_as_many_images_as_it_may(rig, product_id):
    for version in range(5):
        await rig.publish(product_id, version=str(version))

    with pytest.raises(TooManyFirmwaresError, match="may have 5"):
        await rig.publish(product_id, version="5")
    assert len(await rig.all()) == 5
    await rig.publish(await rig.add_product())


async def test_an_unknown_product_has_no_images(rig):
    with pytest.raises(ProductNotFoundError):
        await rig.publish(ProductId(99))


@pytest.mark.parametrize(
    "filename", ["../../etc/passwd", "a\0b\r\n", "x" * 300, "\u202egnp.bin", "", "con"]
)
async def test_a_hostile_file_name_is_made_harmless(rig, product_id, filename):
    firmware = await rig.publish(product_id, filename=filename)

    assert 1 <= len(firmware.filename) <= 100
    assert set(firmware.filename).isdisjoint("/\\\0\r\n\u202e")
    assert firmware.filename not in {"", "con", ".", ".."}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"version": "1 2"}, "version: "),
        ({"mcu": "a/b"}, "mcu: "),
        ({"min_version": ""}, "min_version: 1 to 64"),
        ({"min_version": "1.2.4"}, "min_version: it is newer"),
        ({"sequence": 0}, "sequence: it has to be within"),
        ({"sequence": MAX_SEQUENCE + 1}, "sequence: it has to be within"),
        ({"notes": "x" * (MAX_NOTES_CHARACTERS + 1)}, "notes: at most 10000"),
        ({"notes": "a\0b"}, "notes: they must not contain control"),
        ({"notes": "\x1b[31m"}, "notes: they must not contain control"),
        ({"not_before_ms": -1}, "not_before: "),
        ({"expires_at_ms": -1}, "expires: it has to be in 1970"),
        ({"not_before_ms": 5, "expires_at_ms": 5}, "expires: it has to be later"),
    ],
)
async def test_what_cannot_be_said_about_an_image_is_refused_at_once(rig, product_id, said, reason):
    with pytest.raises(InvalidFirmwareError) as refused:
        await rig.publish(product_id, **said)

    assert refused.value.detail.startswith(reason)
    assert rig.blobs.begun == 0


@pytest.mark.parametrize(
    "said",
    [
        {"min_version": "1.2.3"},
        {"sequence": 1},
        {"sequence": MAX_SEQUENCE},
        {"notes": "x" * MAX_NOTES_CHARACTERS},
        {"not_before_ms": 0, "expires_at_ms": 1},
    ],
)
async def test_what_can_be_said_about_it_is_kept(rig, product_id, said):
    firmware = await rig.publish(product_id, **said)

    assert {name: getattr(firmware, name) for name in said} == said


async def test_an_image_that_is_not_there_is_not_found(rig):
    with pytest.raises(FirmwareNotFoundError):
        await rig.publishing.get(FirmwareId("missing"))


async def test_all_images_come_newest_first():
    rig = PublishingRig(replace(LIMITS, images_per_product=1_000))
    product_id, other = await rig.add_product(), await rig.add_product()
    for version in range(101):
        await rig.publish(product_id, version=str(version))
    await rig.publish(other)

    assert [f.version for f in await rig.all(product_id)] == [str(v) for v in range(100, -1, -1)]
    assert len(await rig.all()) == 102
    assert len(await rig.all(other)) == 1


async def test_tidying_deletes_bytes_that_no_row_names_for_a_day(rig, product_id):
    kept = await rig.publish(product_id)
    await rig.publishing.revoke(kept.id)
    rig.blobs.keep(b"unused" * 5, b"content")

    rig.clock.advance(DAY_S)
    await rig.publishing.tidy()
    assert len(rig.blobs.kept) == 2

    rig.clock.advance(0.001)
    await rig.publishing.tidy()
    assert list(rig.blobs.kept) == [kept.digests.sha256]


async def test_tidying_deletes_what_uploads_of_the_dead_left(rig, product_id):
    upload = await rig.blobs.begin()
    await upload.write(IMAGE)
    rig.blobs.break_off()

    await rig.publishing.tidy()

    assert rig.shows_nothing()


async def test_tidying_looks_at_more_images_than_fit_into_one_question(rig, product_id):
    for number in range(1_001):
        rig.blobs.keep(number.to_bytes(32, "big"), b"content")
    kept = await rig.publish(product_id)
    rig.clock.advance(DAY_S + 1)

    await rig.publishing.tidy()

    assert list(rig.blobs.kept) == [kept.digests.sha256]


async def test_bytes_that_a_publisher_has_just_kept_again_outlive_tidying(rig, product_id):
    digest = hashlib.sha256(IMAGE).digest()
    rig.blobs.keep(digest, IMAGE)
    rig.clock.advance(DAY_S + 1)

    rig.store.before_add = rig.publishing.tidy
    firmware = await rig.publish(product_id)

    assert list(rig.blobs.kept) == [firmware.digests.sha256]


async def test_bytes_that_are_kept_again_while_it_tidies_stay(rig):
    rig.blobs.keep(b"unused" * 5, b"content")
    rig.clock.advance(DAY_S + 1)

    rig.store.before_look = lambda: rig.blobs.keep(b"unused" * 5, b"content")
    await rig.publishing.tidy()

    assert list(rig.blobs.kept) == [b"unused" * 5]
