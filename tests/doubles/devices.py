"""Device ids in memory."""

from dataclasses import replace

from doubles.organisation import Organisation
from doubles.products import MemoryProductStore
from doubles.things import MemoryThingStore
from thingstead.features.devices.model import Device, DeviceId
from thingstead.features.things.model import SealedToken
from thingstead.kernel.ids import ProductId, ThingId


class MemoryDeviceStore:
    """Keeps which thing each device id means."""

    def __init__(
        self, products: MemoryProductStore, things: MemoryThingStore, organisation: Organisation
    ) -> None:
        self._products = products
        self._things = things
        self._devices = organisation.devices

    async def device(self, product_id: ProductId, device_id: DeviceId) -> Device | None:
        return self._devices.get((product_id, device_id))

    async def activate_device(
        self,
        product_id: ProductId,
        device_id: DeviceId,
        *,
        thing_id: ThingId,
        token: SealedToken,
        at_ms: int,
    ) -> Device | None:
        known = self._devices.get((product_id, device_id))
        if known is not None:
            return known
        unused = await self._products.unused_codes(product_id, after=None, limit=1)
        if not unused:
            return None
        ((_, code, _),) = unused
        await self._things.activate(
            code.digest, product_id, thing_id=thing_id, token=token, at_ms=at_ms
        )
        self._devices[product_id, device_id] = Device(thing_id, is_named=False)
        return self._devices[product_id, device_id]

    async def note_named(self, product_id: ProductId, device_id: DeviceId, *, at_ms: int) -> None:
        known = self._devices.get((product_id, device_id))
        if known is not None:
            self._devices[product_id, device_id] = replace(known, is_named=True)
