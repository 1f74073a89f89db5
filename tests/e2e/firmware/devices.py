"""Simulated devices on sockets, which remember all that the server ever told them."""

import asyncio
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, auto

from e2e.durability.load import Ledger, Sent
from support.wire import Address, Answer, Wire, connect, request

OLD, NEW = "1.0", "2.0"
_CUTS = 0.1
"""So many of a hundred ranges are cut by the device itself."""


class Come(IntEnum):
    """How far the present attempt has come at least, by what the device was told."""

    NOWHERE = auto()
    OFFERED = auto()
    BEGUN = auto()
    DOWNLOADED = auto()
    REPORTED = auto()


@dataclass(frozen=True)
class Image:
    id: str
    sha256: str
    content: bytes


@dataclass
class Device:
    """Polls, loads in ranges, flashes, reports and writes; some say once that flashing failed."""

    id: str
    token: str
    image: Image
    chance: random.Random
    ledger: Ledger
    fails_first: bool = False
    largest_range: int = 3_000
    version: str = OLD
    come: Come = Come.NOWHERE
    told: set[str] = field(default_factory=set)
    """Kinds of entries that its timeline must have from now on."""
    failures: int = 0
    doubtful_failures: int = 0
    whole_downloads: int = 0
    _have: bytearray = field(default_factory=bytearray)
    _etag: str | None = None
    _is_wanted: bool = False
    _loaded_on: Wire | None = None
    _written: int = 0

    async def live(self, address: Address, until: asyncio.Event) -> None:
        """Go on until told to stop, on as many connections as it takes; the server may die."""
        while not until.is_set():
            try:
                async with connect(address) as wire:
                    while not until.is_set() and await self._step(wire):
                        pass
            except (OSError, asyncio.IncompleteReadError):
                if until.is_set():
                    return
                await asyncio.sleep(0)

    async def _step(self, wire: Wire) -> bool:
        """Do the next thing; return whether the connection is still there."""
        if not self._is_wanted:
            await self._poll(wire)
            await self._write(wire)
            return True
        if len(self._have) < len(self.image.content):
            return await self._load(wire)
        await self._poll(wire)
        if self._loaded_on is wire:
            # What is asked next on the connection of the last byte finds the download noted.
            self._took("downloaded", Come.DOWNLOADED)
        await self._flash(wire)
        return True

    async def _poll(self, wire: Wire) -> None:
        got = await self._ask(wire, f"latest?mcu=main&version={self.version}")
        assert got.status == 200, got
        offers = got.json["firmwares"]
        if self.version == NEW:
            assert (offers, got.json["reason"]) == ([], "up_to_date")
            self._took("reported", Come.REPORTED)
            return
        if not offers:
            assert self.come is Come.NOWHERE, f"{self.id} was offered it, and is not any more"
            assert got.json["reason"] == "ring_not_open"
            return
        (offer,) = offers
        assert (offer["_id"], offer["sha256"], offer["size"], offer["version"]) == (
            self.image.id,
            self.image.sha256,
            len(self.image.content),
            NEW,
        )
        self._is_wanted = True
        self._took("offered", Come.OFFERED)

    async def _load(self, wire: Wire) -> bool:
        start = len(self._have)
        end = min(len(self.image.content), start + self.chance.choice([500, self.largest_range]))
        headers = {"Range": f"bytes={start}-{end - 1}"}
        if self._etag:
            headers["If-Range"] = self._etag
        path = f"/v2/things/{self.token}/firmwares/download/{self.image.id}"
        await wire.send(request("GET", path, headers=headers))
        head = await wire.read_head()
        assert head.status == 206, head
        assert head.get("Content-Range") == f"bytes {start}-{end - 1}/{len(self.image.content)}"
        self._etag = head.get("ETag")
        self._took("begun", Come.BEGUN)
        is_cut = self.chance.random() < _CUTS
        left = self.chance.randrange(end - start) if is_cut else end - start
        while left:
            piece = await wire.reader.read(left)
            if not piece:
                raise ConnectionError
            self._have += piece
            left -= len(piece)
        self._loaded_on = wire
        return not is_cut

    async def _flash(self, wire: Wire) -> None:
        content, self._have = bytes(self._have), bytearray()
        assert hashlib.sha256(content).hexdigest() == self.image.sha256
        self.whole_downloads += 1
        self._is_wanted, self._etag = False, None
        if not self.fails_first or self.failures or self.doubtful_failures:
            self.version = NEW
            return
        self.come = Come.NOWHERE
        self.doubtful_failures += 1
        said = {"id": self.image.id, "state": "failure", "error": "the flash is worn out"}
        got = await wire.ask("POST", f"/v2/things/{self.token}/firmwares/status", said)
        assert got.status == 200, got
        self.doubtful_failures -= 1
        self.failures += 1
        self.told.add("failed")

    async def _write(self, wire: Wire) -> None:
        self._written += 1
        sent = Sent(self.token, (("count", f"{self.id}:{self._written}:0:1:count", None),))
        self.ledger.sent.append(sent)
        await wire.send(sent.raw())
        got = await wire.read()
        assert got.status == 201, got
        self.ledger.acknowledged.append(sent)

    async def _ask(self, wire: Wire, path: str) -> Answer:
        return await wire.ask("GET", f"/v2/things/{self.token}/firmwares/{path}")

    def _took(self, kind: str, come: Come) -> None:
        self.told.add(kind)
        self.come = max(self.come, come)


async def live_all(devices: Sequence[Device], address: Address, until: asyncio.Event) -> None:
    """Have all of them live; what one of them finds wrong ends all."""
    async with asyncio.TaskGroup() as group:
        for device in devices:
            group.create_task(device.live(address, until))
