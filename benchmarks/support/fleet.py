"""Things with tokens in a data folder, and values in their series, before a server starts."""

import asyncio
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from thingstead.bootstrap import open_administration
from thingstead.features.values.model import NewValue, Write
from thingstead.kernel.ids import ThingId
from thingstead.settings import Settings
from thingstead.storage.sqlite.value_store import SQLiteValueStore, ValueStoreLimits

_DAY_MS = 86_400_000
KEY = "temperature"


@dataclass(frozen=True, slots=True)
class Fleet:
    """Things of one data folder; `tokens_file` has one token a line."""

    data: Path
    things: list[ThingId]
    tokens: list[str]
    tokens_file: Path


def make_fleet(data: Path, count: int) -> Fleet:
    """Make the data folder with a product and its things."""

    async def work() -> tuple[list[ThingId], list[str]]:
        things: list[ThingId] = []
        tokens: list[str] = []
        async with open_administration(Settings(data=str(data))) as administration:
            product = await administration.products.create("benchmark")
            for _ in range(count):
                made = await administration.things.create(product.id)
                if made is None:
                    raise RuntimeError("the product that was just made is gone")
                things.append(made.thing.id)
                tokens.append(made.token)
        return things, tokens

    things, tokens = asyncio.run(work())
    tokens_file = data.parent / f"{data.name}.tokens"
    tokens_file.write_text("".join(f"{token}\n" for token in tokens))
    return Fleet(data, things, tokens, tokens_file)


def writes_over_time(
    things: list[ThingId], *, each: int, run: int, from_ms: int, until_ms: int
) -> Iterator[Write]:
    """Yield writes of `run` values, thing after thing, as time goes by.

    The things take turns, as devices do: a series filled in one go would lie in the file
    more densely than any real one.
    """
    step_ms = (until_ms - from_ms) / each
    draw = random.Random(1)
    for begin in range(0, each, run):
        numbers = range(begin, min(begin + run, each))
        times = [from_ms + int(number * step_ms) for number in numbers]
        for thing in things:
            level = draw.random() * 30.0
            yield Write(
                thing,
                tuple(
                    [
                        NewValue(KEY, round(level + at % 977 / 100, 2), at_ms)
                        for at, at_ms in enumerate(times)
                    ]
                ),
            )


async def fill(data: Path, writes: Iterator[Write], *, waiting: int = 60_000) -> int:
    """Append the writes by the store itself; return how many values they held."""
    store = await SQLiteValueStore.open(
        data / "values.db", ValueStoreLimits(waiting_values=2 * waiting)
    )
    total = 0
    queued = 0
    last = None
    try:
        for write in writes:
            last = store.append(write)
            total += len(write.values)
            queued += len(write.values)
            if queued >= waiting:
                await last
                queued = 0
        if last is not None:
            await last
    finally:
        await store.close(timeout_s=60.0)
    return total


def stored_values(data: Path) -> int:
    """Count the values in a data folder whose server has stopped."""
    with closing(sqlite3.connect(f"file:{data / 'values.db'}?mode=ro", uri=True)) as database:
        (count,) = database.execute("SELECT count(*) FROM value").fetchone()
    return int(count)


def fill_evenly(things: Fleet, *, each: int, days: float = 10.0) -> int:
    """Give every thing `each` values over the last days; return how many that makes."""
    until_ms = time.time_ns() // 1_000_000
    writes = writes_over_time(
        things.things,
        each=each,
        run=50,
        from_ms=until_ms - int(days * _DAY_MS),
        until_ms=until_ms,
    )
    return asyncio.run(fill(things.data, writes))
