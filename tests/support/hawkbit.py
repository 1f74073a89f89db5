"""One who speaks hawkBit's API for devices, and images for it."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from support.in_process import Served
from support.wire import PATIENCE_SECONDS, Answer, connect
from thingstead.features.firmware.model import Firmware, NewFirmware, Update
from thingstead.features.products.model import Product
from thingstead.features.things.model import NewThing


async def in_pieces(image: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(image), 1_000):
        yield image[start : start + 1_000]


async def publish(
    served: Served, product: Product, image: bytes, version: str, **said: Any
) -> Firmware:
    """An image of the product, offered to all of its things."""
    members = {"mcu": "main", "filename": f"main-{version}.bin"} | said
    new = NewFirmware(product_id=product.id, version=version, **members)
    return await served.platform.administration.publishing.publish(new, in_pieces(image))


def feedback(
    execution: str, finished: str = "none", *details: str, **result: object
) -> dict[str, object]:
    """A body as most agents send it."""
    status: dict[str, object] = {
        "execution": execution,
        "result": {"finished": finished, **result},
    }
    if details:
        status["details"] = list(details)
    return {"time": "20260131T120000", "status": status}


@dataclass
class Agent:
    """The agent of one thing."""

    served: Served
    product: Product
    new: NewThing
    tenant: str = "DEFAULT"
    id: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.id = self.id or self.new.thing.id
        self.headers = self.headers or {"Authorization": f"TargetToken {self.new.token}"}

    @property
    def root(self) -> str:
        return f"/{self.tenant}/controller/v1/{self.id}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.served.address.port}"

    def path(self, url: str) -> str:
        """The path of a URL that the agent was given, which must lead here."""
        base = f"http://{self.host}"
        assert url.startswith(f"{base}/"), url
        return url.removeprefix(base)

    async def ask(self, method: str, path: str = "", body: object = None, **headers: str) -> Answer:
        """A call below the agent's root, or of a whole path."""
        target = path if path.startswith("/DEFAULT") else self.root + path
        sent = {"Host": self.host, **self.headers, **headers}
        async with connect(self.served.address) as wire:
            return await wire.ask(method, target, body, sent)

    async def links(self) -> dict[str, str]:
        """The links of a poll, by their relations, as paths."""
        got = await self.ask("GET")
        assert got.status == 200, got.body
        return {name: self.path(link["href"]) for name, link in got.json["_links"].items()}

    async def deployment(self) -> tuple[int, dict[str, Any]]:
        """The action that is to be installed, and its one file."""
        got = await self.ask("GET", (await self.links())["deploymentBase"])
        assert got.status == 200, got.body
        (chunk,) = got.json["deployment"]["chunks"]
        (artifact,) = chunk["artifacts"]
        return int(got.json["id"]), artifact

    async def download(self) -> tuple[int, bytes]:
        """Fetch what is to be installed; its action and its bytes."""
        action, artifact = await self.deployment()
        got = await self.ask("GET", self.path(artifact["_links"]["download-http"]["href"]))
        assert got.status == 200, got.body
        # That the last byte was given out is noted after the answer.
        await self.leaves("downloading")
        return action, got.body

    async def say(self, action: int, *said: str, kind: str = "deploymentBase") -> int:
        """Give feedback; the status of the answer."""
        got = await self.ask("POST", f"/{kind}/{action}/feedback", feedback(*said))
        return got.status

    async def configure(self, **data: str) -> int:
        return (await self.ask("PUT", "/configData", {"data": data})).status

    async def update(self) -> Update:
        """The thing's newest update, as it is stored."""
        record = await self.served.platform.administration.updates.record(self.new.thing.id)
        return max(record.updates, key=lambda one: one.action)

    async def leaves(self, state: str) -> None:
        """Wait until the thing's newest update is in another state."""
        changed = asyncio.Event()
        self.served.platform.administration.updates.on_change(lambda _update: changed.set())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.state() == state:
                await changed.wait()
                changed.clear()

    async def state(self) -> str:
        return (await self.update()).state.value


async def new_agent(served: Served, product: Product | None = None) -> Agent:
    """An agent of a new thing; without a product, of a new one."""
    product = product or await served.platform.products.create("of an agent")
    thing = await served.platform.things.create(product.id)
    assert thing is not None
    return Agent(served, product, thing)


def is_json(answer: Answer) -> bool:
    """Whether an answer is labelled as what agents parse."""
    return answer.get("Content-Type") == "application/json" and json.loads(answer.body) is not None
