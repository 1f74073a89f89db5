"""The engines that the suite of `ValueStore` runs on. A new engine joins by adding its opener."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

from doubles.values import KeptValues, MemoryValueStore
from thingstead.features.live.ports import ValueReplay
from thingstead.features.values.model import NewValue, Position, Write
from thingstead.features.values.ports import Deliveries, ValueArchive, ValueStore
from thingstead.kernel.ids import ThingId
from thingstead.storage.sqlite.value_store import SQLiteValueStore, ValueStoreLimits

THING = ThingId("one")
OTHER_THING = ThingId("two")


class OpenValueStore(ValueStore, Protocol):
    """A store with its archive, that a test can purge and close."""

    @property
    def archive(self) -> ValueArchive: ...

    @property
    def replay(self) -> ValueReplay: ...

    @property
    def deliveries(self) -> Deliveries: ...

    async def purge(self, thing_id: ThingId) -> bool: ...

    async def purge_epoch(self, thing_id: ThingId, epoch: int) -> bool: ...

    async def close(self) -> None: ...


class Opener(Protocol):
    """Opens the same data again, as a new process would."""

    def __call__(self, **limits: int) -> Awaitable[OpenValueStore]:
        """Take `waiting_values`, `keys_per_thing` and `replay_values`."""
        ...


def _sqlite(folder: Path) -> Opener:
    async def opened(**limits: int):
        return await SQLiteValueStore.open(folder / "values.db", ValueStoreLimits(**limits))

    return opened


def _memory(_folder: Path) -> Opener:
    kept = KeptValues()

    async def opened(
        *,
        waiting_values: int = 10_000,
        keys_per_thing: int = 1_000,
        replay_values: int = 1_000_000,
    ):
        return MemoryValueStore(
            kept,
            max_waiting_values=waiting_values,
            max_keys=keys_per_thing,
            replay_values=replay_values,
        )

    return opened


ENGINES: dict[str, Callable[[Path], Opener]] = {"sqlite": _sqlite, "memory": _memory}


@asynccontextmanager
async def value_stores(engine: str, folder: Path) -> AsyncIterator[Opener]:
    """Give an opener of the engine, and close at the end what it opened."""
    opener = ENGINES[engine](folder)
    async with AsyncExitStack() as stack:

        async def opened(**limits: int):
            store = await opener(**limits)
            stack.push_async_callback(store.close)
            return store

        yield opened


def value(
    key: str = "t", value: object = 1, at_ms: int = 1_000, position: Position | None = None
) -> NewValue:
    """Make a value with the server's time."""
    return NewValue(key, value, at_ms, position)


def timed(
    key: str = "t", value: object = 1, at_ms: int = 1_000, position: Position | None = None
) -> NewValue:
    """Make a value with a time of its own."""
    return NewValue(key, value, at_ms, position, has_own_time=True)


def write(*values: NewValue, thing: ThingId = THING, epochs: tuple[int, ...] = (0,)) -> Write:
    """Make a request that writes the values to a thing, in the last of its epochs."""
    return Write(thing, values, epochs=epochs)
