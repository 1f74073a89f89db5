"""Devices and what they need, on stores in memory."""

from doubles.clock import ManualClock
from doubles.core import MemoryCore
from doubles.ids import SequentialIds
from doubles.sealing import PlainSeal
from doubles.values import MemoryValueStore
from thingstead.bus.memory import MemoryBus
from thingstead.features.devices.service import Devices, DeviceThings
from thingstead.features.magic.service import Magic
from thingstead.features.products.model import ProductChange
from thingstead.features.products.service import Products
from thingstead.features.things.service import ThingLimits, Things
from thingstead.features.values.checks import WriteLimits
from thingstead.features.values.service import Values
from thingstead.kernel.budget import Rate
from thingstead.kernel.changes import Changes
from thingstead.kernel.known_tokens import TokenLimits

LIMITS = TokenLimits(kept=3, bad=Rate(per_second=1, burst=2), spare=Rate(per_second=1, burst=3))
AMPLE = Rate(per_second=1_000, burst=1_000)
HERE = "192.0.2.1"


class Rig:
    """The service on memory stores; `restarted` is the same in another process."""

    def __init__(self, core=None, values_store=None, clock=None, ids=None):
        self.core = core or MemoryCore()
        self.clock = clock or ManualClock()
        self.ids = ids or SequentialIds()
        self.values_store = values_store or MemoryValueStore()
        seal = PlainSeal()
        changes = Changes(self.core.change_signal, self.clock)
        self.products = Products(self.core.products, seal, changes, ids=self.ids, clock=self.clock)
        self.things = Things(
            self.core.things, seal, changes, ids=self.ids, clock=self.clock, limits=ThingLimits()
        )
        values = Values(
            self.values_store, MemoryBus(), self.clock, limits=WriteLimits(), rate=AMPLE
        )
        self.values = values
        self.magic = Magic(self.values_store, max_document_bytes=16_384)
        self.devices = Devices(
            self.core.devices,
            self.core.products,
            DeviceThings(self.things, values, self.magic, seal=seal, ids=self.ids),
            changes,
            clock=self.clock,
            limits=LIMITS,
        )

    def restarted(self):
        return Rig(self.core.twin(), self.values_store, self.clock, self.ids)

    async def product(self, *, codes=0, is_automatic=True, **change):
        product = await self.products.create("Station")
        if codes:
            async for _ in self.products.create_codes(product.id, codes):
                pass
        return await self.products.change(
            product.id, ProductChange(is_automatic=is_automatic, **change)
        )

    async def thing_of(self, product, device_id, address=HERE):
        return await self.devices.thing_of(
            str(product.id), product.hash, device_id, address=address
        )

    async def unused(self, product):
        return len([code async for code in self.products.unused_codes(product.id)])
