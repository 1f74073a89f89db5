"""Images byte by byte, as the build tools of micro-controllers lay them out."""

import hashlib
import struct
from functools import reduce
from operator import xor

ESP_CHIPS = {
    "esp32": 0x0000,
    "esp32s2": 0x0002,
    "esp32c3": 0x0005,
    "esp32s3": 0x0009,
    "esp32c2": 0x000C,
    "esp32c6": 0x000D,
    "esp32h2": 0x0010,
    "esp32p4": 0x0012,
    "esp32c61": 0x0014,
    "esp32c5": 0x0017,
    "esp32h21": 0x0019,
    "esp32h4": 0x001C,
}


def esp_descriptor(version: bytes = b"1.2.3", project: bytes = b"blinky") -> bytes:
    """`esp_app_desc_t`: 256 bytes."""
    return struct.pack(
        "<II8x32s32s16s16s32s32s80x",
        0xABCD5432,
        0,
        version,
        project,
        b"12:00:00",
        b"Jan 31 2026",
        b"v5.4.1",
        bytes(range(32)),
    )


def esp_idf_image(
    chip_id: int = 0x0000,
    *,
    version: bytes = b"1.2.3",
    project: bytes = b"blinky",
    others: tuple[int, ...] = (0, 100, 1_236),
    has_hash: bool = True,
) -> bytes:
    """Header, a segment with the descriptor and others of these sizes, checksum, hash."""
    segments = [esp_descriptor(version, project) + bytes(64), *(bytes(size) for size in others)]
    header = struct.pack(
        "<BBBBIB3sHBHH4sB",
        0xE9,
        len(segments),
        2,
        0x20,
        0x4008_1234,
        0xEE,
        bytes(3),
        chip_id,
        0,
        0,
        399,
        bytes(4),
        int(has_hash),
    )
    body = header + b"".join(struct.pack("<II", 0x3F40_0020, len(s)) + s for s in segments)
    body += bytes(15 - len(body) % 16)
    body += bytes([reduce(xor, b"".join(segments), 0xEF)])
    return body + hashlib.sha256(body).digest() if has_hash else body


def esp8266_image(size: int = 400) -> bytes:
    """A header of 8 bytes and one segment; there is no descriptor."""
    segment = bytes(index % 251 for index in range(size))
    return struct.pack("<BBBBIII", 0xE9, 1, 2, 0x40, 0x4010_0000, 0x4010_0000, size) + segment


def mcuboot_image(
    version: tuple[int, int, int, int] = (1, 2, 3, 0),
    *,
    header_bytes: int = 0x200,
    body: bytes = bytes(700),
    protected: bytes = b"",
) -> bytes:
    """Header with padding, body, protected trailer if there is one, trailer with a hash."""
    area = struct.pack("<HH", 0x6908, 4 + len(protected)) + protected if protected else b""
    header = struct.pack(
        "<IIHHIIBBHI4x", 0x96F3B83D, 0, header_bytes, len(area), len(body), 0, *version
    )
    image = header.ljust(header_bytes, b"\0") + body + area
    entry = struct.pack("<HH", 0x10, 32) + hashlib.sha256(image).digest()
    return image + struct.pack("<HH", 0x6907, 4 + len(entry)) + entry
