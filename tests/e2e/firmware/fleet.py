"""Simulated devices with two slots for firmware, bad networks and worse power."""

import asyncio
import hashlib
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from e2e.firmware.platform import Platform
from thingstead.features.firmware.errors import FirmwareNotFoundError
from thingstead.features.firmware.model import Firmware, Report
from thingstead.features.things.model import Thing

STEP_S = 60
_AT_ONCE = 500
_PIECE = 4_096
_CUTS = 0.15
"""So many of a hundred requests end before their last byte."""
OLD_IMAGE = b"the image that came with the device"


class Doing(Enum):
    ASK = auto()
    LOAD = auto()
    FLASH = auto()


@dataclass(slots=True)
class Device:
    """Boots the other slot when that holds what was announced, else the one it ran."""

    thing: Thing
    random: random.Random
    power_cuts: int = 0
    """How often it still loses power while it flashes."""
    comes_back: bool = True
    """Whether it does after that."""
    version: str = "1.0"
    slots: list[bytes] = field(default_factory=lambda: [OLD_IMAGE, b""])
    active: int = 0
    due_ms: float = 0
    power_failures: int = 0
    whole_downloads: int = 0
    bytes_taken: int = 0
    _doing: Doing = Doing.ASK
    _wanted: Firmware | None = None
    _loaded: bytes = b""

    @property
    def runs(self) -> bytes:
        return self.slots[self.active]

    async def live(self, platform: Platform) -> None:
        """Do the next thing, and decide when to do the one after it."""
        wait_s = await _STEPS[self._doing](self, platform)
        self.due_ms = platform.clock.now_ms() + 1_000 * wait_s

    async def _ask(self, platform: Platform) -> float:
        offer = await platform.offers.latest(self.thing, Report("main", self.version))
        platform.write(self.thing)
        if not offer.firmwares:
            return offer.poll_after_s
        (self._wanted,) = offer.firmwares
        self._loaded = b""
        self._doing = Doing.LOAD
        return self.random.uniform(1, 20)

    async def _load(self, platform: Platform) -> float:
        """Fetch one range, of which not all may arrive."""
        wanted = self._wanted
        assert wanted is not None
        start = len(self._loaded)
        end = min(wanted.size, start + self.random.randint(6_000, 16_000))
        try:
            firmware = await platform.offers.find(self.thing, wanted.id)
        except FirmwareNotFoundError:
            self._forget_image()
            return self.random.uniform(60, 600)
        arrives_to = self.random.randint(start, end) if self.random.random() < _CUTS else end
        async with platform.offers.download(self.thing, firmware) as download:
            await download.begun()
            at = start
            while at < arrives_to:
                size = min(_PIECE, arrives_to - at)
                piece = download.blob.read_now(at, size) or await download.blob.read(at, size)
                self._loaded += piece
                at += len(piece)
            # The last byte may be on its way, as far as the server can tell, and never arrive.
            if end == firmware.size and (arrives_to == end or self.random.random() < 0.5):
                await download.finished()
        self.bytes_taken += arrives_to - start
        if len(self._loaded) < wanted.size:
            return self.random.uniform(1, 15)
        assert hashlib.sha256(self._loaded).digest() == wanted.digests.sha256
        self.whole_downloads += 1
        self._doing = Doing.FLASH
        return self.random.uniform(1, 30)

    async def _flash(self, _platform: Platform) -> float:
        """Write the other slot, and boot what can be booted; the power may fail at any byte."""
        wanted, image = self._wanted, self._loaded
        assert wanted is not None
        self._forget_image()
        other = 1 - self.active
        if self.power_cuts > 0:
            self.power_cuts -= 1
            self.power_failures += 1
            self.slots[other] = image[: self.random.randrange(len(image))]
            if not self.comes_back:
                return math.inf
        else:
            self.slots[other] = image
        if hashlib.sha256(self.slots[other]).digest() == wanted.digests.sha256:
            self.active, self.version = other, wanted.version
            return self.random.uniform(20, 60)
        return self.random.uniform(60, 900)

    def _forget_image(self) -> None:
        self._wanted, self._loaded, self._doing = None, b"", Doing.ASK


_STEPS: dict[Doing, Callable[[Device, Platform], Awaitable[float]]] = {
    Doing.ASK: Device._ask,
    Doing.LOAD: Device._load,
    Doing.FLASH: Device._flash,
}


async def live(platform: Platform, devices: Sequence[Device]) -> None:
    """Have time pass by one step: what is due is done at once, then the engine looks after it."""
    platform.clock.advance(STEP_S)
    now_ms = platform.clock.now_ms()
    due = [device for device in devices if device.due_ms <= now_ms]
    for start in range(0, len(due), _AT_ONCE):
        await asyncio.gather(*(one.live(platform) for one in due[start : start + _AT_ONCE]))
    await platform.watching.settle()
    await platform.engine.tick()
