"""Images, things and what they ask, on a server that a test has in its loop."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

from support.in_process import Served
from support.wire import Answer, Wire
from thingstead.features.campaigns.model import Campaign, CampaignPlan
from thingstead.features.firmware.model import Firmware, NewFirmware
from thingstead.features.products.model import Product
from thingstead.features.things.model import NewThing


def content_of(size: int, seed: int = 1) -> bytes:
    """Bytes that look like no file format, the same for the same seed."""
    return b"\x00raw" + random.Random(seed).randbytes(size - 4)


async def pieces(content: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@dataclass
class Fleet:
    """A product of its own, whose images and things nobody else touches."""

    server: Served
    product: Product

    @property
    def publishing(self):
        return self.server.platform.administration.publishing

    @property
    def campaigns(self):
        return self.server.platform.administration.campaigns

    async def publish(
        self, content: bytes, version: str = "1.2.3", *, mcu: str = "main", **said: object
    ) -> Firmware:
        said = {"filename": "station.bin"} | said
        new = NewFirmware(product_id=self.product.id, mcu=mcu, version=version, **said)
        return await self.publishing.publish(new, pieces(content))

    async def thing(self) -> NewThing:
        thing = await self.server.platform.things.create(self.product.id)
        assert thing is not None
        return thing

    async def campaign(self, firmware: Firmware, **said: object) -> Campaign:
        """Begin a campaign for all things that there are."""
        plan = CampaignPlan(firmware_id=firmware.id, name="suite", **({"rings": (100,)} | said))
        return await self.campaigns.prepare(await self.campaigns.create(plan))


async def fleet_of(server: Served) -> Fleet:
    return Fleet(server, await server.platform.products.create("fleet"))


@dataclass
class Device:
    """A thing and its connection."""

    wire: Wire
    token: str
    id: str

    @property
    def firmwares(self) -> str:
        return f"/v2/things/{self.token}/firmwares"

    async def latest(self, query: str = "", **headers: str) -> Answer:
        return await self.wire.ask("GET", f"{self.firmwares}/latest{query}", headers=headers)

    async def download(
        self, firmware: Firmware | str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> Answer:
        name = firmware if isinstance(firmware, str) else firmware.id
        return await self.wire.ask(method, f"{self.firmwares}/download/{name}", headers=headers)

    async def say(self, **body: object) -> Answer:
        return await self.wire.ask("POST", f"{self.firmwares}/status", body)
