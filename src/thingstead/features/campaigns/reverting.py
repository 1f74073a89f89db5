"""How an image is taken back: revoked, and the one before given out under a new sequence.

Each step finds out whether it was done, so that a crash between any two is mended by repeating.
"""

import asyncio
from dataclasses import dataclass

from thingstead.features.campaigns.errors import InvalidCampaignError
from thingstead.features.campaigns.model import Campaign, CampaignState
from thingstead.features.campaigns.ports import CampaignStore
from thingstead.features.firmware.errors import (
    FirmwareNotFoundError,
    SignatureMissingError,
    WrongFirmwareStateError,
)
from thingstead.features.firmware.model import Firmware, FirmwareState, Signature
from thingstead.features.firmware.ports import FirmwareStore
from thingstead.features.firmware.publishing import Publishing
from thingstead.kernel.ids import FirmwareId

_KEPT = frozenset({FirmwareState.PUBLISHED, FirmwareState.DEPRECATED})


@dataclass(frozen=True, slots=True)
class _Relatives:
    """Other images of the product and MCU."""

    same_bytes: tuple[Firmware, ...]
    """Published or deprecated ones with the bytes of the image."""
    brought_back: tuple[Firmware, ...]
    """Later ones that brought an earlier version back, the first one first."""


class Reverting:
    """Takes images of campaigns back."""

    def __init__(
        self, store: CampaignStore, publishing: Publishing, firmwares: FirmwareStore
    ) -> None:
        self._store = store
        self._publishing = publishing
        self._firmwares = firmwares
        # Two that look for what was brought back at the same time would both bring it back.
        self._one_at_a_time = asyncio.Lock()

    async def revert(
        self,
        campaign: Campaign,
        to: FirmwareId | None,
        *,
        signature: Signature | None,
        sequence: int | None,
    ) -> tuple[Firmware, str]:
        """Revoke the campaign's image and bring the earlier one back, each unless it was done.

        Returns the image that is back, and what was done in words.
        """
        async with self._one_at_a_time:
            image = await self._get(campaign.firmware_id)
            relatives = await self._relatives(image)
            if campaign.state is CampaignState.REVERTED and relatives.brought_back:
                back = relatives.brought_back[0]
                return back, _words(image, back)
            earlier = await self._earlier(image, to)
            done = _brought_back(earlier, relatives)
            if done is None and signature is None:
                await self._check_unsigned_will_do(image)
            for revoked in (image, *relatives.same_bytes):
                await self._publishing.revoke(revoked.id)
            back = done or await self._publishing.bring_back(
                earlier.id, signature=signature, sequence=sequence
            )
            return back, _words(image, back)

    async def _earlier(self, image: Firmware, to: FirmwareId | None) -> Firmware:
        wanted = await self._store.earlier(image) if to is None else to
        if wanted is None:
            raise FirmwareNotFoundError(f"no published image is earlier than {image.version}")
        earlier = await self._get(wanted)
        if (earlier.product_id, earlier.mcu) != (image.product_id, image.mcu):
            raise InvalidCampaignError(f"the image {earlier.id} is of another product or MCU")
        if earlier.sequence >= image.sequence:
            raise InvalidCampaignError(
                f"the image {earlier.id} has sequence {earlier.sequence}, which is not earlier"
                f" than {image.sequence}"
            )
        if earlier.digests.sha256 == image.digests.sha256:
            raise InvalidCampaignError(f"the image {earlier.id} holds the same bytes")
        if earlier.state not in _KEPT:
            raise WrongFirmwareStateError(f"the image {earlier.id} is {earlier.state}")
        return earlier

    async def _check_unsigned_will_do(self, image: Firmware) -> None:
        if await self._publishing.demands_signatures(image.product_id):
            raise SignatureMissingError(
                "the image that is brought back gets a new sequence and needs a new signature;"
                " nothing was changed"
            )

    async def _relatives(self, image: Firmware) -> _Relatives:
        same_bytes: list[Firmware] = []
        brought_back: list[Firmware] = []
        async for other in self._publishing.all(image.product_id):
            if other.mcu != image.mcu or other.id == image.id:
                continue
            if other.digests.sha256 == image.digests.sha256:
                if other.state in _KEPT:
                    same_bytes.append(other)
            elif other.is_revert and other.sequence > image.sequence:
                brought_back.append(other)
        return _Relatives(same_bytes=tuple(same_bytes), brought_back=tuple(reversed(brought_back)))

    async def _get(self, firmware_id: FirmwareId) -> Firmware:
        firmware = await self._firmwares.get(firmware_id)
        if firmware is None:
            raise FirmwareNotFoundError(f"id {firmware_id[:64]}")
        return firmware


def _brought_back(earlier: Firmware, relatives: _Relatives) -> Firmware | None:
    """Return the image that an attempt before this one brought back."""
    return next(
        (
            other
            for other in relatives.brought_back
            if other.digests.sha256 == earlier.digests.sha256
            and other.state is FirmwareState.PUBLISHED
        ),
        None,
    )


def _words(image: Firmware, back: Firmware) -> str:
    return (
        f"reverted by an operator: version {image.version} is revoked, {back.version} is back"
        f" under sequence {back.sequence}"
    )
