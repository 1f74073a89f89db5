"""A catalogue in the order in which images are looked for, with what is worth computing once.

Made once for each loaded catalogue, because parsing versions at every poll would cost more than
all the rest of it.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from thingstead.features.campaigns.model import Campaign
from thingstead.features.firmware.model import Firmware
from thingstead.features.firmware.ports import Catalogue
from thingstead.features.firmware.versions import VersionKey, version_key
from thingstead.kernel.ids import FirmwareId

key_of = lru_cache(maxsize=4_096)(version_key)
"""As `version_key`, for the versions of things, of which many are the same."""


@dataclass(frozen=True, slots=True)
class Item:
    """An image, and the newest campaign that brings it, if any."""

    firmware: Firmware
    campaign: Campaign | None
    key: VersionKey
    min_key: VersionKey | None


class Stock:
    """What a product has to offer; `by_mcu` has the newest version first, by name of MCU.

    `serial`: another one for each load, so that what was concluded from it is not mixed up.
    """

    __slots__ = ("by_id", "by_mcu", "catalogue", "serial", "with_reverts")

    def __init__(self, catalogue: Catalogue, serial: int = 0) -> None:
        campaigns = {campaign.firmware_id: campaign for campaign in catalogue.campaigns}
        by_mcu: dict[str, list[Item]] = defaultdict(list)
        for firmware in catalogue.firmwares:
            lowest = firmware.min_version
            by_mcu[firmware.mcu].append(
                Item(
                    firmware,
                    campaigns.get(firmware.id),
                    version_key(firmware.version),
                    None if lowest is None else version_key(lowest),
                )
            )
        self.catalogue = catalogue
        self.serial = serial
        self.by_mcu: Mapping[str, tuple[Item, ...]] = {
            mcu: tuple(sorted(by_mcu[mcu], key=_rank, reverse=True)) for mcu in sorted(by_mcu)
        }
        self.by_id: Mapping[FirmwareId, Item] = {
            item.firmware.id: item for items in self.by_mcu.values() for item in items
        }

        self.with_reverts = frozenset(
            firmware.mcu for firmware in catalogue.firmwares if firmware.is_revert
        )

    def mcu_meant(self, named: str | None) -> str | None:
        """Return the MCU that a report is about, or None when that cannot be told.

        A report that names none is about the only one there is.
        """
        if named is None and len(self.by_mcu) == 1:
            return next(iter(self.by_mcu))
        return named

    def newest_of(self, mcu: str, key: VersionKey) -> Item | None:
        """Return the newest image of that version."""
        # Of equal versions the one with the largest sequence comes first.
        return next((item for item in self.by_mcu.get(mcu, ()) if item.key == key), None)

    def version_with_md5(self, mcu: str, md5: str, named: str | None) -> str | None:
        """Return the version whose image has that MD5, in hexadecimal.

        Of several images with the same bytes, the one whose version is `named` goes first.
        """
        found = [
            item.firmware.version
            for item in self.by_mcu.get(mcu, ())
            if item.firmware.digests.md5.hex() == md5
        ]
        return named if named in found else next(iter(found), None)


def _rank(item: Item) -> tuple[VersionKey, int]:
    return item.key, item.firmware.sequence
