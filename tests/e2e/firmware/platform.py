"""The services of firmware as a server joins them, over real files and a clock set by hand."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

from doubles.clock import ManualClock
from doubles.ids import SequentialIds
from thingstead.bus.memory import MemoryBus
from thingstead.features.campaigns.engine import Engine
from thingstead.features.campaigns.service import Campaigns
from thingstead.features.firmware.catalogues import Catalogues
from thingstead.features.firmware.membership import Membership
from thingstead.features.firmware.model import Firmware, FirmwareLimits, NewFirmware
from thingstead.features.firmware.offers import Offers
from thingstead.features.firmware.publishing import Publishing
from thingstead.features.firmware.updates import Updates
from thingstead.features.firmware.watching import Watching
from thingstead.features.live.model import LiveEvent
from thingstead.features.things.model import Thing
from thingstead.features.values.model import StoredValue
from thingstead.kernel.changes import Changes
from thingstead.kernel.ids import ProductId, ThingId
from thingstead.sealing.signatures import PublicKeys
from thingstead.storage.blobs.files import FileBlobStore
from thingstead.storage.sqlite.core import CoreDatabase, open_core

LIMITS = FirmwareLimits(poll_s=1_200)


class Platform:
    """One life of the services; `leave` throws them away as a killed process would."""

    def __init__(
        self, core: CoreDatabase, blobs: FileBlobStore, clock: ManualClock, ids: SequentialIds
    ) -> None:
        self.core, self.blobs, self.clock = core, blobs, clock
        changes = Changes(core.change_signal, clock)
        self.bus = MemoryBus()
        self.publishing = Publishing(
            core.firmwares, blobs, PublicKeys(), changes, ids=ids, clock=clock, limits=LIMITS
        )
        catalogues = Catalogues(core.firmwares, changes)
        self.updates = Updates(
            core.firmware_updates, catalogues, changes, clock=clock, limits=LIMITS
        )
        membership = Membership(core.campaigns, self.updates, clock)
        self.offers = Offers(
            catalogues, self.updates, membership, blobs, clock=clock, limits=LIMITS
        )
        self.watching = Watching(self.updates, self.bus, core.firmware_updates, clock)
        self.campaigns = Campaigns(
            core.campaigns, self.publishing, core.firmwares, changes, ids=ids, clock=clock
        )
        self.engine = Engine(core.campaigns, self.updates, self.campaigns, clock)
        self._written = 0

    @classmethod
    async def open(cls, folder: Path, clock: ManualClock, ids: SequentialIds) -> "Platform":
        core = await open_core(folder / "core.db")
        platform = cls(core, FileBlobStore(folder / "firmware"), clock, ids)
        await platform.watching.start()
        return platform

    async def leave(self) -> None:
        self.watching.close()
        await self.blobs.close()
        await self.core.close()

    async def publish(self, product_id: ProductId, version: str, image: bytes) -> Firmware:
        new = NewFirmware(
            product_id=product_id, mcu="main", version=version, filename="app.bin", is_draft=True
        )
        return await self.publishing.publish(new, _pieces(image))

    def write(self, thing: Thing) -> None:
        """Announce a committed write of the thing, as the values' service does."""
        self._written += 1
        value = StoredValue("temperature", 21.5, self.clock.now_ms())
        self.bus.publish(LiveEvent(thing.id, self._written, (value,)))

    async def story(self, thing_id: ThingId) -> list[tuple[str, str]]:
        """Return the thing's timeline, oldest first: what happened and the details."""
        entries = await self.updates.timeline(thing_id, limit=200)
        return [(event.kind, event.detail) for _, event in reversed(entries)]


async def make_things(folder: Path, core: CoreDatabase, ids: list[ThingId]) -> list[Thing]:
    """Make things of one product, all at once: one transaction each would take seconds."""
    product = await core.products.add_product("Station", "hash", at_ms=1)

    def add_rows() -> None:
        database = sqlite3.connect(folder / "core.db")
        with database:
            database.executemany(
                "INSERT INTO thing (id, product_id, created_at_ms, epoch) VALUES (?, ?, 1, 0)",
                [(thing_id, product.id) for thing_id in ids],
            )
        database.close()

    await asyncio.to_thread(add_rows)
    return [Thing(thing_id, product.id, 1) for thing_id in ids]


async def _pieces(image: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(image), 10_000):
        yield image[start : start + 10_000]
