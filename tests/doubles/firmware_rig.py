"""Products, things and images in memory, for rules about firmware and campaigns."""

import hashlib
import itertools
from collections.abc import Iterable

from doubles.campaigns import MemoryCampaignStore
from doubles.clock import ManualClock
from doubles.firmware import MemoryFirmwareStore, MemoryUpdateStore
from doubles.organisation import Organisation
from doubles.things import MemoryChangeSignal
from thingstead.features.firmware.model import Digests, Firmware, ImageFacts, NewFirmware
from thingstead.features.firmware.ports import StoredImage
from thingstead.features.products.model import Product
from thingstead.features.things.model import Thing
from thingstead.kernel.changes import Changes
from thingstead.kernel.ids import FirmwareId, ProductId, ThingId

PRODUCT = ProductId(10_001)
_DIGESTS = ("sha256", "sha1", "md5")


def new_firmware(version: str, **said: object) -> NewFirmware:
    """Say that much about an image, and of the rest what is usual."""
    usual = {"product_id": PRODUCT, "mcu": "main", "filename": "main.bin"}
    return NewFirmware(version=version, **(usual | said))


def stored_image(number: int) -> StoredImage:
    """Return an image whose bytes differ from those of another number."""
    digests = Digests(*(hashlib.new(name, b"%d" % number).digest() for name in _DIGESTS))
    return StoredImage(1_000 + number, digests, ImageFacts("raw"))


class FirmwareRig:
    """The three stores over one organisation, with one product in it.

    `changes` passes announcements on at `changes.look_now()`.
    """

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.organisation = Organisation()
        self.firmwares = MemoryFirmwareStore(self.organisation)
        self.updates = MemoryUpdateStore(self.organisation)
        self.campaigns = MemoryCampaignStore(self.organisation)
        self.changes = Changes(MemoryChangeSignal(self.organisation), self.clock)
        self._numbers = itertools.count(1)
        self.product()

    def product(self, product_id: int = PRODUCT) -> Product:
        product = Product(ProductId(product_id), "Station", f"hash {product_id}", 1)
        self.organisation.products[product.id] = product
        return product

    def thing(self, name: str, product_id: int = PRODUCT, tags: Iterable[str] = ()) -> Thing:
        thing = Thing(ThingId(name), ProductId(product_id), 1)
        self.organisation.things[thing.id] = thing
        self.organisation.tags[thing.id] = set(tags)
        return thing

    async def firmware(
        self,
        version: str,
        *,
        mcu: str = "main",
        product_id: int = PRODUCT,
        sequence: int | None = None,
        is_revert: bool = False,
        **said: object,
    ) -> Firmware:
        """Add an image whose id is `MCU-VERSION-NUMBER`; `said` are members of `NewFirmware`."""
        number = next(self._numbers)
        new = new_firmware(version, mcu=mcu, product_id=ProductId(product_id), **said)
        firmware = await self.firmwares.add(
            FirmwareId(f"{mcu}-{version}-{number}"),
            new,
            stored_image(number),
            sequence=number if sequence is None else sequence,
            is_revert=is_revert,
            most=1_000,
            at_ms=self.clock.now_ms(),
        )
        assert firmware is not None
        return firmware
