"""Manifests: the few bytes that a signature of an image is made over, and signature files.

A manifest names product, MCU, version, sequence, size and SHA-256 (RFC 9124 has reasons for
each), so that a signature is good for nothing but that one image in that one place. It is
canonical: what stands in a row makes the same bytes again, and devices check it with the plain
text that `latest` gives them. Knows no keys; those are checked in `publishing.py`.
"""

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass

from thingstead.features.firmware.errors import InvalidSignatureError
from thingstead.features.firmware.model import Firmware, Signature
from thingstead.kernel.ids import ProductId

ALGORITHMS = ("ed25519", "ecdsa-p256-sha256")
MAX_SEQUENCE = 2**53 - 1
"""Larger whole numbers are changed by JSON parsers that know floating point only (RFC 8259, 6)."""
MAX_SIGNATURE_FILE_BYTES = 16 * 1024
_MAX_SIGNATURE_BYTES = 128  # Ed25519: 64; ECDSA on P-256 in DER: 72 at most
_KEY_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class SignatureFile:
    """A `.sig` file: what was signed, and the signature."""

    signature: Signature
    sequence: int
    """The one in the manifest; the image has to be published with it."""
    manifest: str


def manifest(firmware: Firmware) -> bytes:
    """Return the image's manifest."""
    return manifest_of(
        product_id=firmware.product_id,
        mcu=firmware.mcu,
        version=firmware.version,
        sequence=firmware.sequence,
        size=firmware.size,
        sha256=firmware.digests.sha256,
    )


def manifest_of(
    *, product_id: ProductId, mcu: str, version: str, sequence: int, size: int, sha256: bytes
) -> bytes:
    """Return the manifest: JSON in ASCII, its members in alphabetical order, without blanks."""
    members = {
        "mcu": mcu,
        "product": product_id,
        "sequence": sequence,
        "sha256": sha256.hex(),
        "size": size,
        "version": version,
    }
    return json.dumps(members, sort_keys=True, separators=(",", ":")).encode("ascii")


def key_id(public_der: bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a SubjectPublicKeyInfo."""
    return hashlib.sha256(public_der).hexdigest()[:16]


def signature_file(manifest: bytes, signature: Signature) -> bytes:
    """Return the `.sig` file of a signed manifest, JSON with an end of line."""
    members = {
        "manifest": manifest.decode("ascii"),
        "signature": base64.b64encode(signature.value).decode("ascii"),
        "keyId": signature.key_id,
        "algorithm": signature.algorithm,
    }
    return (json.dumps(members, indent=2) + "\n").encode("ascii")


def parse_signature_file(content: bytes) -> SignatureFile:
    """Return what a `.sig` file says; whether it is true is checked when the image is published.

    Raises:
        InvalidSignatureError: it is no such file; the text says what is wrong.
    """
    if len(content) > MAX_SIGNATURE_FILE_BYTES:
        raise InvalidSignatureError(f"the file is larger than {MAX_SIGNATURE_FILE_BYTES} bytes")
    members = _members(content, "the file")
    text = _text(members, "manifest")
    signed = _members(text.encode("utf-8", "replace"), "the manifest in the file")
    return SignatureFile(_signature(members), _sequence(signed), text)


def _members(content: bytes, what: str) -> dict[str, object]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise InvalidSignatureError(f"{what} is no JSON") from exc
    if not isinstance(found, dict):
        raise InvalidSignatureError(f"{what} is no JSON object")
    return found


def _text(members: dict[str, object], name: str) -> str:
    found = members.get(name)
    if not isinstance(found, str):
        raise InvalidSignatureError(f"{name}: a text is expected in the file")
    return found


def _signature(members: dict[str, object]) -> Signature:
    key, algorithm = _text(members, "keyId"), _text(members, "algorithm")
    if _KEY_ID.fullmatch(key) is None:
        raise InvalidSignatureError("keyId: 16 hexadecimal digits in lower case are expected")
    if algorithm not in ALGORITHMS:
        raise InvalidSignatureError(f"algorithm: one of {', '.join(ALGORITHMS)} is expected")
    try:
        value = base64.b64decode(_text(members, "signature"), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidSignatureError("signature: base64 is expected") from exc
    if not 1 <= len(value) <= _MAX_SIGNATURE_BYTES:
        raise InvalidSignatureError(f"signature: 1 to {_MAX_SIGNATURE_BYTES} bytes are expected")
    return Signature(key, algorithm, value)


def _sequence(signed: dict[str, object]) -> int:
    found = signed.get("sequence")
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= MAX_SEQUENCE:
        raise InvalidSignatureError(
            f"sequence: a whole number from 1 to {MAX_SEQUENCE} is expected in the manifest"
        )
    return found
