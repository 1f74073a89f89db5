"""What a device id is, and what its product says about its messages."""

from dataclasses import dataclass
from typing import NewType

from thingstead.features.devices.decoding import Decoder
from thingstead.features.products.model import Product
from thingstead.kernel.ids import ThingId

DeviceId = NewType("DeviceId", str)
"""By what a network calls a device: of one product, and not secret."""

MAX_DEVICE_ID_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class Device:
    """Which thing a device id means; `is_named` once the thing bears the id as its name."""

    thing_id: ThingId
    is_named: bool


@dataclass(frozen=True, slots=True)
class DeviceProduct:
    """A product as its devices' messages need it; `udp_key` are the bytes of the HMAC's key."""

    product: Product
    decoder: Decoder | None
    udp_key: bytes | None
