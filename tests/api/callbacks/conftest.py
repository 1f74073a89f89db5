"""Products whose devices send, and what their things then hold."""

from dataclasses import dataclass
from urllib.parse import urlencode

import pytest_asyncio

from support.in_process import Served
from support.wire import Answer, Wire
from thingstead.features.products.model import Product, ProductChange


@dataclass
class Provider:
    """A network that calls for one product."""

    wire: Wire
    server: Served
    product: Product

    def address(self, kind: str, product_hash: str | None = None, **query: object) -> str:
        """The address of a call; `product_hash` another one than the right one."""
        path = f"/{kind}/{self.product.id}/{product_hash or self.product.hash}"
        return f"{path}?{urlencode(query)}" if query else path

    async def post(self, kind: str, body: object, **query: object) -> Answer:
        return await self.wire.ask("POST", self.address(kind, **query), body)

    async def get(self, kind: str, **query: object) -> Answer:
        return await self.wire.ask("GET", self.address(kind, **query))

    async def change(self, **change: object) -> None:
        self.product = await self.server.platform.products.change(
            self.product.id, ProductChange(**change)
        )

    async def add_codes(self, count: int) -> None:
        async for _ in self.server.platform.products.create_codes(self.product.id, count):
            pass

    async def things(self) -> dict[str, str]:
        """The tokens of the product's things by their names."""
        platform = self.server.platform
        found = {}
        async for new in platform.things.all(self.product.id):
            found[await platform.magic.read(new.thing, "$settings.name")] = new.token
        return found

    async def kept(self, device_id: str) -> dict[str, list[object]]:
        """What the device's thing holds: the values of each key, newest first."""
        token = (await self.things())[device_id]
        got = await self.wire.ask("GET", f"/v2/things/{token}/all_resources?limit=100")
        return {one["key"]: [value["value"] for value in one["values"]] for one in got.json}

    async def newest(self, device_id: str, key: str) -> dict[str, object]:
        token = (await self.things())[device_id]
        return (await self.wire.ask("GET", f"/v2/things/{token}/resources/{key}")).json[0]


@pytest_asyncio.fixture(loop_scope="module")
async def provider(server, wire):
    """A provider whose product makes up to five things by itself."""
    product = await server.platform.products.create("of a provider")
    provider = Provider(wire, server, product)
    await provider.change(is_automatic=True)
    await provider.add_codes(5)
    return provider
