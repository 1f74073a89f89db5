"""The engines that the contract suite runs on. A new engine joins by adding its opener here."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from doubles.core import MemoryCore
from thingstead.features.products.model import Product, SealedCode
from thingstead.features.products.ports import ProductStore
from thingstead.features.tags.ports import TagStore
from thingstead.features.things.model import SealedToken, Thing
from thingstead.features.things.ports import ChangeSignal, ThingStore
from thingstead.kernel.ids import ThingId, digest
from thingstead.storage.sqlite.core import open_core


class PurgeList(Protocol):
    """Remembers deleted things until their values are gone."""

    async def pending(self, limit: int) -> list[ThingId]: ...

    async def done(self, thing_id: ThingId) -> None: ...


class Core(Protocol):
    """What every engine gives for the organisation's data."""

    @property
    def products(self) -> ProductStore: ...

    @property
    def things(self) -> ThingStore: ...

    @property
    def tags(self) -> TagStore: ...

    @property
    def purge_list(self) -> PurgeList: ...

    @property
    def change_signal(self) -> ChangeSignal: ...

    async def close(self) -> None: ...


Opener = Callable[[], Awaitable[Core]]


def _sqlite(folder: Path) -> Opener:
    async def opened() -> Core:
        return await open_core(folder / "core.db")

    return opened


def _memory(_folder: Path) -> Opener:
    core = MemoryCore()

    async def opened() -> Core:
        return core.twin()

    return opened


ENGINES = {"sqlite": _sqlite, "memory": _memory}


@pytest.fixture(params=ENGINES)
async def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opener]:
    """Open the same data as often as asked, each time as another process would."""
    opener = ENGINES[request.param](tmp_path)
    async with AsyncExitStack() as stack:

        async def opened() -> Core:
            core = await opener()
            stack.push_async_callback(core.close)
            return core

        yield opened


@pytest.fixture
async def core(open_again: Opener) -> Core:
    """One opened store, empty."""
    return await open_again()


@dataclass
class Maker:
    """Fills a store with what a test is not about."""

    core: Core

    def __post_init__(self) -> None:
        self._count = itertools.count(1)

    def code(self, text: str) -> SealedCode:
        return SealedCode(digest(text), f"sealed {text}".encode())

    def token(self, text: str) -> SealedToken:
        return SealedToken(digest(text), f"sealed {text}".encode())

    async def product(self, name: str = "Weather station") -> Product:
        return await self.core.products.add_product(
            name, f"hash{next(self._count):010d}", at_ms=1_000
        )

    async def thing(self, name: str, product: Product | None = None) -> Thing:
        """Make a thing whose id is the name and whose token is `token of NAME`."""
        product = product or await self.product()
        thing = await self.core.things.add_thing(
            product.id, thing_id=ThingId(name), token=self.token(f"token of {name}"), at_ms=2_000
        )
        assert thing is not None
        return thing


@pytest.fixture
def make(core: Core) -> Maker:
    """Fill the store that `core` is."""
    return Maker(core)
