"""What images say about themselves, and which files are none."""

import gzip
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.images import ESP_CHIPS, esp8266_image, esp_idf_image, mcuboot_image
from thingstead.features.firmware.errors import ImageMismatchError, UnusableImageError
from thingstead.features.firmware.images import HEAD_BYTES, check_match, check_whole, facts_of
from thingstead.features.firmware.model import ImageFacts

ESP = esp_idf_image()
MCUBOOT = mcuboot_image(protected=bytes(12))


def reader(image):
    async def read(start, size):
        assert start >= 0
        return image[start : start + size]

    return read


async def checked(image):
    """Do what is done with an upload."""
    head = image[:HEAD_BYTES]
    facts = facts_of(head)
    await check_whole(head, len(image), reader(image))
    return facts


@pytest.mark.parametrize(("chip", "chip_id"), ESP_CHIPS.items())
async def test_an_image_of_esp_idf_tells_chip_version_and_project(chip, chip_id):
    image = esp_idf_image(chip_id, version=b"v2.0-rc1", project=b"weather")

    assert await checked(image) == ImageFacts("esp-idf", "v2.0-rc1", "weather", chip)


async def test_a_chip_that_is_not_known_yet_is_no_reason_to_refuse():
    assert (await checked(esp_idf_image(0x7777))).chip is None


async def test_an_image_of_the_arduino_core_says_nothing_about_its_version():
    image = esp_idf_image(9, version=b"esp-idf: v4.4.6 3572900934", project=b"arduino-lib-builder")

    assert await checked(image) == ImageFacts("esp-idf", chip="esp32s3")


async def test_an_image_of_the_esp8266_is_raw():
    assert await checked(esp8266_image()) == ImageFacts("raw")


@pytest.mark.parametrize(
    "image", [b"\xe9", b"\xff" * 100, b"0", bytes(5_000), b":not hex", b"S1", b"S0 is text", b"PK"]
)
async def test_anything_else_is_raw(image):
    assert await checked(image) == ImageFacts("raw")


@pytest.mark.parametrize(
    ("version", "text"),
    [((1, 2, 3, 0), "1.2.3"), ((255, 0, 65_535, 2**32 - 1), "255.0.65535+4294967295")],
)
async def test_an_image_of_mcuboot_tells_its_version(version, text):
    assert await checked(mcuboot_image(version)) == ImageFacts("mcuboot", text)


async def test_an_image_of_mcuboot_that_was_signed_without_a_version_says_none():
    assert await checked(mcuboot_image((0, 0, 0, 0))) == ImageFacts("mcuboot")


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "the file is empty"),
        (b"\x7fELF\x01\x01\x01" + bytes(100), "an ELF file with symbols; publish what `objcopy"),
        (struct.pack("<II", 0x0A324655, 0x9E5D5157) + bytes(504), "a UF2 file for a USB drive"),
        (gzip.compress(ESP), "compressed with gzip; publish it unpacked"),
        (b"PK\x03\x04" + bytes(100), "a zip archive"),
        (b"PK\x05\x06" + bytes(18), "an empty zip archive"),
        (b":10010000214601360121470136007EFE09D2190140\r\n:00000001FF\r\n", "it is Intel HEX"),
        (b"\r\n:020000040800F2\n", "it is Intel HEX"),
        (b":00000001FF", "it is Intel HEX"),
        (b"S00F000068656C6C6F202020202000003C\n", "it is S-records"),
        (b"S9030000FC", "it is S-records"),
    ],
)
async def test_what_no_bootloader_takes_is_refused_with_what_to_send_instead(image, reason):
    with pytest.raises(UnusableImageError) as refused:
        await checked(image)

    assert reason in refused.value.detail


def ends_of_esp():
    """Where parts of the image end: a cut there is the hardest to see.

    Of fewer than 36 bytes nobody can tell what they were to be.
    """
    ends, at = [36, 100, 111], 24
    for _ in range(4):
        ends += [at + 4, at + 8]
        at += 8 + int.from_bytes(ESP[at + 4 : at + 8], "little")
        ends += [at - 1, at]
    ends = [end for end in ends if end >= 36]
    return [*ends, len(ESP) - 33, len(ESP) - 32, len(ESP) - 31, len(ESP) - 1]


@pytest.mark.parametrize("size", ends_of_esp())
async def test_an_image_of_esp_idf_that_is_cut_is_refused(size):
    with pytest.raises(UnusableImageError, match="it is cut"):
        await checked(ESP[:size])


@given(st.integers(36, len(ESP) - 1))
async def test_wherever_an_image_of_esp_idf_is_cut_that_is_seen(size):
    with pytest.raises(UnusableImageError, match="it is cut"):
        await checked(ESP[:size])


@pytest.mark.parametrize("last", [*range(17)])
async def test_every_size_of_the_last_segment_is_whole_with_its_checksum(last):
    image = esp_idf_image(others=(last,), has_hash=False)

    assert (await checked(image)).kind == "esp-idf"
    with pytest.raises(UnusableImageError, match="it is cut"):
        await checked(image[:-1])


async def test_what_follows_an_image_is_not_looked_at():
    assert (await checked(ESP + b"\xff" * 5_000)).kind == "esp-idf"
    assert (await checked(MCUBOOT + b"\xff" * 5_000)).kind == "mcuboot"


async def test_segments_are_followed_beyond_what_was_read_first():
    image = esp_idf_image(others=(10_000, 20_000, 5))

    assert (await checked(image)).kind == "esp-idf"
    with pytest.raises(UnusableImageError, match=f"has {len(image) - 1} bytes and needs"):
        await checked(image[:-1])


@pytest.mark.parametrize(("segments", "is_possible"), [(0, False), (1, True), (17, False)])
async def test_an_image_of_esp_idf_has_1_to_16_segments(segments, is_possible):
    image = bytearray(esp_idf_image(others=()))
    image[1] = segments

    if is_possible:
        assert (await checked(bytes(image))).kind == "esp-idf"
    else:
        with pytest.raises(UnusableImageError, match=f"{segments} segments, 1 to 16"):
            await checked(bytes(image))


async def test_sixteen_segments_are_possible():
    assert (await checked(esp_idf_image(others=(4,) * 15))).kind == "esp-idf"


async def test_a_segment_beyond_the_end_of_the_world_is_cut():
    image = bytearray(ESP)
    image[28:32] = b"\xff\xff\xff\xff"

    with pytest.raises(UnusableImageError, match="it is cut"):
        await checked(bytes(image))


@pytest.mark.parametrize("image", [MCUBOOT, mcuboot_image(header_bytes=32)])
async def test_wherever_an_image_of_mcuboot_is_cut_that_is_seen(image):
    for size in range(4, len(image)):
        with pytest.raises(UnusableImageError, match="it is cut"):
            await checked(image[:size])
    assert (await checked(image)).kind == "mcuboot"


async def test_an_image_of_mcuboot_without_its_trailer_is_refused():
    image = mcuboot_image()
    body_end = 0x200 + 700

    with pytest.raises(UnusableImageError, match=f"no trailer at byte {body_end}; publish what"):
        await checked(image[:body_end] + bytes(500))


@pytest.mark.parametrize(("size", "is_possible"), [(3, False), (4, True)])
async def test_a_trailer_of_mcuboot_has_4_bytes_at_least(size, is_possible):
    image = mcuboot_image()[: 0x200 + 700] + struct.pack("<HH", 0x6907, size)

    if is_possible:
        assert (await checked(image)).kind == "mcuboot"
    else:
        with pytest.raises(UnusableImageError, match="no trailer"):
            await checked(image)


async def test_an_image_of_mcuboot_without_its_protected_trailer_is_refused():
    image = bytearray(mcuboot_image())
    image[10:12] = (16).to_bytes(2, "little")

    with pytest.raises(UnusableImageError, match="no trailer"):
        await checked(bytes(image))


@pytest.mark.parametrize(("size", "is_possible"), [(31, False), (32, True)])
async def test_a_header_of_mcuboot_has_32_bytes_at_least(size, is_possible):
    image = bytearray(mcuboot_image(header_bytes=32))
    image[8:10] = size.to_bytes(2, "little")

    if is_possible:
        assert (await checked(bytes(image))).kind == "mcuboot"
    else:
        with pytest.raises(UnusableImageError, match="it has 31 bytes, it needs 32"):
            await checked(bytes(image))


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (b"\x1b[31mred\r\n", "?[31mred??"),
        ("1.2\u202e".encode(), "1.2???"),
        (b"1.2.3\0hidden", "1.2.3"),
        (b"\xff" * 32, "?" * 32),
        (b"9" * 32, "9" * 32),
        (b"", None),
        (b"   ", None),
    ],
)
async def test_text_in_an_image_is_bounded_and_printable(field, text):
    facts = await checked(esp_idf_image(version=field, project=field))

    assert (facts.version, facts.project) == (text, text)


@given(
    st.sampled_from([ESP, MCUBOOT, b"", b":", b"S1"]),
    st.binary(max_size=300),
    st.integers(0, 300),
)
async def test_no_file_whatsoever_is_too_much(start, noise, at):
    image = start[:at] + noise + start[at + len(noise) :]

    said = []
    try:
        facts = await checked(image)
        said += [facts.version or "", facts.project or "", facts.chip or ""]
    except UnusableImageError as refused:
        said.append(refused.detail)

    assert all(text.isascii() and text.isprintable() for text in said)


@pytest.mark.parametrize("mcu", ["esp32s3", "ESP32-S3", "esp32_s3", "main", "esp32s3-board"])
def test_an_image_for_the_mcus_chip_matches(mcu):
    check_match(ImageFacts("esp-idf", chip="esp32s3"), mcu, "1")


@pytest.mark.parametrize("mcu", ["esp32", "ESP32-C3", "esp8266", "esp32.s2"])
def test_an_image_for_another_chip_does_not(mcu):
    with pytest.raises(ImageMismatchError, match=f"for the chip esp32s3, not for {mcu}"):
        check_match(ImageFacts("esp-idf", chip="esp32s3"), mcu, "1")


@pytest.mark.parametrize("version", ["1.2.3", "v1.2.3", "1.2.3.0", "1.2.3+5"])
def test_an_image_of_the_same_version_matches(version):
    check_match(ImageFacts("esp-idf", version="1.2.3"), "esp32", version)


def test_an_image_of_another_version_does_not():
    with pytest.raises(ImageMismatchError, match=r"the image says version 1.2.4, not 1.2.3$"):
        check_match(ImageFacts("esp-idf", version="1.2.4"), "esp32", "1.2.3")


def test_an_image_that_says_nothing_matches_everything():
    check_match(ImageFacts("raw"), "esp32", "1.2.3")
