"""What an image says about itself, and which files are no images at all.

Reads the first bytes of a file. Everything in it is hostile: texts are cut and made printable,
numbers are checked against the size before anything is read where they point. Sources:
`esp_app_format.h` and `esp_app_desc.h` of ESP-IDF 5 with its page "App Image Format", and
"Image format" in the design page of MCUboot.
"""

import re
import struct
from collections.abc import Awaitable, Callable

from thingstead.features.firmware.errors import ImageMismatchError, UnusableImageError
from thingstead.features.firmware.model import ImageFacts
from thingstead.features.firmware.versions import is_same

HEAD_BYTES = 4_096
"""So much of a file is looked at."""

Read = Callable[[int, int], Awaitable[bytes]]
"""Takes where to begin and how many bytes; gives fewer only at the end of the file."""

_ESP_MAGIC = 0xE9
_ESP_HEADER_BYTES = 24
_ESP_MAX_SEGMENTS = 16
_ESP_SEGMENT = struct.Struct("<II")  # load address, size
_ESP_CHECKSUM_BLOCK = 16  # the checksum is the last byte of a block of so many
_ESP_HASH_BYTES = 32
# Behind the header of the image and that of its first segment: magic, secure version, two
# reserved words, version, name of the project. The whole descriptor has 256 bytes.
_ESP_DESCRIPTOR = struct.Struct("<IIII32s32s")
_ESP_DESCRIPTOR_AT = _ESP_HEADER_BYTES + _ESP_SEGMENT.size
_ESP_DESCRIPTOR_MAGIC = 0xABCD5432
# Arduino's core links a descriptor that was made with its libraries; it says nothing about the
# sketch (version "esp-idf: v4.4.6 3572900934").
_ARDUINO_PROJECT = "arduino-lib-builder"
_ESP_CHIPS = {
    0x0000: "esp32",
    0x0002: "esp32s2",
    0x0005: "esp32c3",
    0x0009: "esp32s3",
    0x000C: "esp32c2",
    0x000D: "esp32c6",
    0x0010: "esp32h2",
    0x0012: "esp32p4",
    0x0014: "esp32c61",
    0x0017: "esp32c5",
    0x0019: "esp32h21",
    0x001C: "esp32h4",
}
_CHIP_NAMES = frozenset(_ESP_CHIPS.values()) | {"esp8266"}

_MCUBOOT_MAGIC = 0x96F3B83D
# Magic, load address, sizes of header and protected trailer, size without header, flags, and
# the version: major, minor, revision, build. Four bytes more are unused.
_MCUBOOT = struct.Struct("<IIHHIIBBHI")
_MCUBOOT_HEADER_BYTES = 32
_MCUBOOT_TRAILER = struct.Struct("<HH")  # magic, size with these four bytes
_MCUBOOT_TRAILER_MAGIC = 0x6907
_MCUBOOT_PROTECTED_MAGIC = 0x6908

_INTEL_HEX = re.compile(rb"\s*:(?:[0-9A-Fa-f]{2}){5,}[ \t]*(?:[\r\n]|\Z)")
_S_RECORD = re.compile(rb"\s*S[0-9](?:[0-9A-Fa-f]{2}){3,}[ \t]*(?:[\r\n]|\Z)")
_OTHER_FILES = (
    (b"\x7fELF", "an ELF file with symbols; publish what `objcopy -O binary` or the build makes"),
    (b"UF2\n\x57\x51\x5d\x9e", "a UF2 file for a USB drive; publish the raw binary it holds"),
    (b"\x1f\x8b\x08", "compressed with gzip; publish it unpacked"),
    (b"PK\x03\x04", "a zip archive; publish the raw binary in it"),
    (b"PK\x05\x06", "an empty zip archive; publish the raw binary"),
)


def facts_of(head: bytes) -> ImageFacts:
    """Return what the image says about itself; `head`: its first 4,096 bytes, or all of fewer.

    An image that begins like one of an ESP chip but has no descriptor (those of the ESP8266,
    and bootloaders) is raw: nothing is known about it.

    Raises:
        UnusableImageError: it is empty, of a kind that no bootloader takes, or ends in its header.
    """
    if not head:
        raise UnusableImageError("the file is empty")
    for magic, reason in _OTHER_FILES:
        if head.startswith(magic):
            raise UnusableImageError(f"it is {reason}")
    if _INTEL_HEX.match(head) is not None:
        raise UnusableImageError("it is Intel HEX; publish it as raw binary (`objcopy -O binary`)")
    if _S_RECORD.match(head) is not None:
        raise UnusableImageError("it is S-records; publish it as raw binary (`objcopy -O binary`)")
    if _is_esp_idf(head):
        return _esp_facts(head)
    if _is_mcuboot(head):
        return _mcuboot_facts(head)
    return ImageFacts("raw")


async def check_whole(head: bytes, size: int, read: Read) -> None:
    """Check that an image which tells its size is all there; what follows it may be anything.

    Raises:
        UnusableImageError: it is cut, or its header cannot be.
    """
    if _is_esp_idf(head):
        await _check_esp_idf(head, size, read)
    elif _is_mcuboot(head):
        await _check_mcuboot(head, size, read)


def check_match(facts: ImageFacts, mcu: str, version: str) -> None:
    """Check that the image is what its publisher says, as far as it says anything.

    The chip matters only where the MCU has the name of one (`ESP32-S3`, `esp32_s3`).

    Raises:
        ImageMismatchError: it is for another chip, or another version.
    """
    named = re.sub(r"[._-]", "", mcu).lower()
    if facts.chip is not None and named in _CHIP_NAMES and named != facts.chip:
        raise ImageMismatchError(f"the image is for the chip {facts.chip}, not for {mcu}")
    if facts.version is not None and not is_same(facts.version, version):
        raise ImageMismatchError(f"the image says version {facts.version}, not {version}")


def _is_esp_idf(head: bytes) -> bool:
    magic = head[_ESP_DESCRIPTOR_AT : _ESP_DESCRIPTOR_AT + 4]
    return head[:1] == bytes([_ESP_MAGIC]) and magic == _ESP_DESCRIPTOR_MAGIC.to_bytes(4, "little")


def _is_mcuboot(head: bytes) -> bool:
    return head.startswith(_MCUBOOT_MAGIC.to_bytes(4, "little"))


def _esp_facts(head: bytes) -> ImageFacts:
    if len(head) < _ESP_DESCRIPTOR_AT + _ESP_DESCRIPTOR.size:
        raise UnusableImageError("it is cut: it ends within its descriptor")
    *_, version, project = _ESP_DESCRIPTOR.unpack_from(head, _ESP_DESCRIPTOR_AT)
    chip = _ESP_CHIPS.get(int.from_bytes(head[12:14], "little"))
    name = _text(project)
    if name == _ARDUINO_PROJECT:
        return ImageFacts("esp-idf", chip=chip)
    return ImageFacts("esp-idf", _text(version), name, chip)


def _mcuboot_facts(head: bytes) -> ImageFacts:
    if len(head) < _MCUBOOT_HEADER_BYTES:
        raise UnusableImageError("it is cut: it ends within its header")
    *_, major, minor, revision, build = _MCUBOOT.unpack_from(head)
    if (major, minor, revision, build) == (0, 0, 0, 0):
        # What is signed without a version has this one.
        return ImageFacts("mcuboot")
    version = f"{major}.{minor}.{revision}"
    return ImageFacts("mcuboot", f"{version}+{build}" if build else version)


def _text(field: bytes) -> str | None:
    """Return the text before the first NUL, without anything that does more than show."""
    shown = "".join(
        chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in field.partition(b"\0")[0]
    ).strip()
    return shown or None


async def _check_esp_idf(head: bytes, size: int, read: Read) -> None:
    segments, has_hash = head[1], head[_ESP_HEADER_BYTES - 1] == 1
    if not 1 <= segments <= _ESP_MAX_SEGMENTS:
        raise UnusableImageError(
            f"its header tells of {segments} segments, 1 to {_ESP_MAX_SEGMENTS} are possible"
        )
    end = _ESP_HEADER_BYTES
    for _ in range(segments):
        header = await read(end, _ESP_SEGMENT.size) if end < size else b""
        if len(header) < _ESP_SEGMENT.size:
            raise _cut(size, end + _ESP_SEGMENT.size)
        end += _ESP_SEGMENT.size + _ESP_SEGMENT.unpack(header)[1]
    end = (end // _ESP_CHECKSUM_BLOCK + 1) * _ESP_CHECKSUM_BLOCK
    if has_hash:
        end += _ESP_HASH_BYTES
    if size < end:
        raise _cut(size, end)


async def _check_mcuboot(head: bytes, size: int, read: Read) -> None:
    _, _, header, protected, body, *_ = _MCUBOOT.unpack_from(head)
    if header < _MCUBOOT_HEADER_BYTES:
        raise UnusableImageError(f"its header says that it has {header} bytes, it needs 32")
    end = header + body
    if protected:
        end = await _after_trailer(end, _MCUBOOT_PROTECTED_MAGIC, size, read)
    # The bootloader takes no image without a hash, which stands in here.
    end = await _after_trailer(end, _MCUBOOT_TRAILER_MAGIC, size, read)
    if size < end:
        raise _cut(size, end)


async def _after_trailer(start: int, magic: int, size: int, read: Read) -> int:
    found = await read(start, _MCUBOOT_TRAILER.size) if start < size else b""
    if len(found) < _MCUBOOT_TRAILER.size:
        raise _cut(size, start + _MCUBOOT_TRAILER.size)
    found_magic, trailer = _MCUBOOT_TRAILER.unpack(found)
    if found_magic != magic or trailer < _MCUBOOT_TRAILER.size:
        raise UnusableImageError(
            f"it has no trailer at byte {start}; publish what `imgtool sign` makes"
        )
    return start + int(trailer)


def _cut(size: int, needed: int) -> UnusableImageError:
    return UnusableImageError(f"it is cut: it has {size} bytes and needs {needed} at least")
