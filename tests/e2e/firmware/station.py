"""A product of a server's process, its images and its things."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.commands import beside, comes
from support.process import ServerProcess
from support.wire import Answer, ask


@dataclass(frozen=True)
class Thing:
    server: ServerProcess
    id: str
    token: str

    @property
    def firmwares(self) -> str:
        return f"/v2/things/{self.token}/firmwares"

    @property
    def url(self) -> str:
        return self.server.url + self.firmwares

    async def latest(self, query: str = "") -> Any:
        return (await ask(self.server.address, "GET", f"{self.firmwares}/latest{query}")).json

    async def download(self, firmware: str, **headers: str) -> Answer:
        path = f"{self.firmwares}/download/{firmware}"
        return await ask(self.server.address, "GET", path, headers=headers)

    async def is_offered(self, *wanted: str, query: str = "") -> bool:
        """Whether it comes to be offered these."""

        async def offered() -> list[str]:
            return [each["_id"] for each in (await self.latest(query))["firmwares"]]

        return await comes(offered, [*wanted])

    async def sees(self, version: str, mcu: str) -> bool:
        """Whether the version comes to be the newest that it may have."""

        async def newest() -> list[str]:
            offer = await self.latest(f"?mcu={mcu}")
            return [each["version"] for each in offer["firmwares"]]

        return await comes(newest, [version])

    async def is_told(self, reason: str) -> bool:
        """Whether it comes to be told why it is offered nothing."""

        async def told() -> str | None:
            return (await self.latest()).get("reason")

        return await comes(told, reason)

    async def may_load(self, firmware: str, status: int) -> bool:
        """Whether a request for its first byte comes to be answered like that."""

        async def answered() -> int:
            return (await self.download(firmware, Range="bytes=0-0")).status

        return await comes(answered, status)

    def kinds(self) -> list[str]:
        """What its timeline says that happened, the oldest first."""
        told: Any = beside(self.server, "firmware", "timeline", "--thing", self.id)
        return [event["kind"] for event in reversed(told["events"])]

    def states(self) -> list[str]:
        told: Any = beside(self.server, "firmware", "timeline", "--thing", self.id)
        return [update["state"] for update in told["updates"]]

    async def comes_to(self, *states: str) -> bool:
        """Whether its updates come to these states."""

        async def reached() -> list[str]:
            return self.states()

        return await comes(reached, [*states])


@dataclass(frozen=True)
class Station:
    server: ServerProcess
    product: str
    folder: Path

    def command(self, *words: str) -> Any:
        return beside(self.server, *words)

    def publish(self, content: bytes, version: str, *words: str, mcu: str = "main") -> str:
        file = self.folder / f"{version}.bin"
        file.write_bytes(content)
        what = ("--product", self.product, "--mcu", mcu, "--version", version)
        published: Any = self.command("firmware", "publish", str(file), *what, *words)
        return str(published["id"])

    def campaign(self, firmware: str) -> str:
        """A campaign for all things that there are, at once."""
        words = ("--name", "all", "--rings", "100", "--soak", "0s", "--stop-percent", "off")
        return str(self.command("campaign", "create", "--firmware", firmware, *words)["id"])

    def thing(self) -> Thing:
        made: Any = self.command("thing", "create", "--product", self.product)
        return Thing(self.server, made["id"], made["token"])
