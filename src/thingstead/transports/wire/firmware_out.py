"""What a thing is offered, as JSON (`thethings-v2.md` 3.9).

`status`, `firmwares`, `_id` and `version` are what the original's clients read; `mcu`, `name`,
`filename`, `size`, `md5` and `createdAt` are as its documentation suggests; the others are ours.
"""

import base64

import msgspec

from thingstead.features.firmware.manifests import manifest
from thingstead.features.firmware.model import Firmware, Signature
from thingstead.features.firmware.offers import Offer
from thingstead.kernel.instants import format_instant
from thingstead.transports.wire.values_out import encode


class _Signature(msgspec.Struct, gc=False):
    keyId: str  # noqa: N815  # As it stands on the wire.
    algorithm: str
    value: str


class _Firmware(msgspec.Struct, gc=False, omit_defaults=True, rename={"id": "_id"}):
    id: str
    version: str
    mcu: str
    name: str
    filename: str
    size: int
    md5: str
    createdAt: str  # noqa: N815
    sha256: str
    sequence: int
    url: str
    mandatory: bool
    notes: str | None = None
    minVersion: str | None = None  # noqa: N815
    expires: str | None = None
    manifest: str | None = None
    signature: _Signature | None = None


class _Offer(msgspec.Struct, gc=False, omit_defaults=True):
    status: str
    firmwares: list[_Firmware]
    pollAfter: int  # noqa: N815
    reason: str | None = None


def encode_offer(offer: Offer) -> bytes:
    """Return `{"status":"success","firmwares":[…],"pollAfter":…}`, and `reason` without images."""
    firmwares = [_firmware(firmware) for firmware in offer.firmwares]
    return encode(_Offer("success", firmwares, offer.poll_after_s, offer.reason))


def _firmware(firmware: Firmware) -> _Firmware:
    expires_at_ms, signature = firmware.expires_at_ms, firmware.signature
    return _Firmware(
        id=firmware.id,
        version=firmware.version,
        mcu=firmware.mcu,
        name=firmware.facts.project or firmware.filename,
        filename=firmware.filename,
        size=firmware.size,
        md5=firmware.digests.md5.hex(),
        createdAt=format_instant(firmware.created_at_ms),
        sha256=firmware.digests.sha256.hex(),
        sequence=firmware.sequence,
        # Relative to the address that was asked, whatever name or prefix that was asked under.
        url=f"download/{firmware.id}",
        mandatory=firmware.is_mandatory,
        notes=firmware.notes or None,
        minVersion=firmware.min_version,
        expires=None if expires_at_ms is None else format_instant(expires_at_ms),
        # What the signature is over, byte by byte; devices need not make it themselves.
        manifest=None if signature is None else manifest(firmware).decode("ascii"),
        signature=None if signature is None else _signature(signature),
    )


def _signature(signature: Signature) -> _Signature:
    value = base64.b64encode(signature.value).decode("ascii")
    return _Signature(signature.key_id, signature.algorithm, value)
