"""Taking a datagram apart: `HEADER | PAYLOAD | [HMAC-SHA1(KEY, PAYLOAD)]`.

Pure. The layout of both headers: `thethings-v2.md` 5.4, docs/udp.md.
"""

import hashlib
import hmac
from dataclasses import dataclass

from thingstead.kernel.ids import TOKEN_LENGTH
from thingstead.transports.udp.statuses import RefusedDatagramError, Status

HMAC_BYTES = 20
_HASH_LENGTH = 14
_BY_DEVICE, _BY_TOKEN = 0x00, 0x01
_MAX_PRODUCT_BYTES = 8


@dataclass(frozen=True, slots=True)
class ByToken:
    """The sender named by a thing token."""

    token: str


@dataclass(frozen=True, slots=True)
class ByDevice:
    """The sender named by a product, its hash, and the device's own id."""

    product_id: str
    product_hash: str
    device_id: str


@dataclass(frozen=True, slots=True)
class Datagram:
    """What was sent; `rest` is the payload, and the HMAC if the product has a key."""

    sender: ByToken | ByDevice
    rest: bytes


def parse_datagram(data: bytes) -> Datagram:
    """Return the datagram's parts.

    Raises:
        RefusedDatagramError: the first byte is unknown, a length does not fit, or the payload
            is empty.
    """
    kind = data[:1]
    if kind == bytes([_BY_TOKEN]):
        token, rest = _cut(data[1:], TOKEN_LENGTH)
        sender: ByToken | ByDevice = ByToken(token.decode("latin-1"))
    elif kind == bytes([_BY_DEVICE]):
        sender, rest = _by_device(data[1:])
    else:
        raise RefusedDatagramError(Status.INVALID_PROTOCOL)
    if not rest:
        raise RefusedDatagramError(Status.INVALID_MESSAGE)
    return Datagram(sender, rest)


def signed_payload(rest: bytes, key: bytes) -> bytes:
    """Return the payload without its HMAC, which is right.

    Raises:
        RefusedDatagramError: the HMAC is missing or wrong, or nothing is left without it.
    """
    payload, sent = rest[:-HMAC_BYTES], rest[-HMAC_BYTES:]
    right = hmac.digest(key, payload, hashlib.sha1)
    if not hmac.compare_digest(right, sent):
        raise RefusedDatagramError(Status.INVALID_HMAC)
    if not payload:
        raise RefusedDatagramError(Status.INVALID_MESSAGE)
    return payload


def _by_device(data: bytes) -> tuple[ByDevice, bytes]:
    product_id, data = _counted(data)
    if len(product_id) > _MAX_PRODUCT_BYTES:
        raise RefusedDatagramError(Status.INVALID_PRODUCT)
    product_hash, data = _cut(data, _HASH_LENGTH)
    device_id, data = _counted(data)
    try:
        name = device_id.decode("ascii")
    except UnicodeDecodeError as exc:
        raise RefusedDatagramError(Status.INVALID_MESSAGE) from exc
    number = int.from_bytes(product_id, "big")
    # Any byte is a character in this encoding; a hash with a strange one is a wrong hash.
    return ByDevice(str(number), product_hash.decode("latin-1"), name), data


def _counted(data: bytes) -> tuple[bytes, bytes]:
    """Return as many bytes as the first byte says, and what follows them."""
    if not data or data[0] == 0:
        raise RefusedDatagramError(Status.INVALID_MESSAGE)
    return _cut(data[1:], data[0])


def _cut(data: bytes, length: int) -> tuple[bytes, bytes]:
    if len(data) < length:
        raise RefusedDatagramError(Status.INVALID_MESSAGE)
    return data[:length], data[length:]
