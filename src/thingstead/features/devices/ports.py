"""What the rules of devices need from storage."""

from typing import Protocol

from thingstead.features.devices.model import Device, DeviceId
from thingstead.features.things.model import SealedToken
from thingstead.kernel.ids import ProductId, ThingId


class DeviceStore(Protocol):
    """Keeps which thing each device id means; deleting the thing frees the id."""

    async def device(self, product_id: ProductId, device_id: DeviceId) -> Device | None:
        """Return the device of that id, if there is one."""
        ...

    async def activate_device(
        self,
        product_id: ProductId,
        device_id: DeviceId,
        *,
        thing_id: ThingId,
        token: SealedToken,
        at_ms: int,
    ) -> Device | None:
        """Use one code of the product up for a thing of that device id, in one transaction.

        Durable on return. A device that is known already is returned as it is and uses nothing
        up, so that any number of concurrent calls make one thing. None, and no change, when the
        product has no unused code.
        """
        ...

    async def note_named(self, product_id: ProductId, device_id: DeviceId, *, at_ms: int) -> None:
        """Note that the thing bears the id as its name; twice is the same as once."""
        ...
