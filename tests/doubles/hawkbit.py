"""An image and one who asks for it, to make hawkBit's documents and links of."""

from typing import Any

from thingstead.features.firmware.model import Digests, Firmware, FirmwareState, ImageFacts
from thingstead.features.things.model import Thing
from thingstead.kernel.ids import FirmwareId, ProductId, ThingId
from thingstead.transports.http.ddi.auth import Controller
from thingstead.transports.http.ddi.links import Links

THING = Thing(ThingId("T" * 43), ProductId(10_001), 1)


def firmware(**said: Any) -> Firmware:
    members: dict[str, Any] = {
        "number": 12,
        "id": FirmwareId("image"),
        "product_id": ProductId(10_001),
        "mcu": "main",
        "version": "1.3.0",
        "sequence": 5,
        "state": FirmwareState.PUBLISHED,
        "size": 123_456,
        "digests": Digests(b"\xab" * 32, b"\xcd" * 20, b"\xef" * 16),
        "filename": "station-1.3.0.swu",
        "facts": ImageFacts("raw"),
        "created_at_ms": 1,
    }
    return Firmware(**(members | said))


def links(
    base: str = "http://server:8000", tenant: str = "default", controller_id: str = THING.id
) -> Links:
    return Links(base, Controller(THING, tenant, controller_id))
