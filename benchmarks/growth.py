"""Whether it stays quick as it fills: 100 thousand values beside 20 million, and retention.

First a small and a large store are open in one process and measured alternately: reads of the
newest hundred, and durable writes. Then the large one is served and its old half is deleted
by age while somebody writes. See README.md for how to read the tables.
"""

import argparse
import asyncio
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from support import fleet, load, machine, processes, report, servers, steady
from thingstead.features.values.model import NewValue, Window, Write
from thingstead.kernel.ids import ThingId
from thingstead.storage.sqlite.value_store import SQLiteValueStore, ValueStoreLimits

_SMALL_VALUES = 100_000
_WRITERS = 64
_NEWEST = 100
_STARTS = 3
_SWEPT = "retention deleted"
_LONGEST_SWEEP_S = 1_800.0


@dataclass(slots=True)
class Measured:
    """What was found about one store; lists have one member a round."""

    values: int
    fill_s: float = 0.0
    bytes_a_value: float = 0.0
    starts_s: list[float] = field(default_factory=list)
    read_p50_ms: list[float] = field(default_factory=list)
    read_p99_ms: list[float] = field(default_factory=list)
    writes_per_s: list[float] = field(default_factory=list)
    write_p99_ms: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    report.add_options(parser)
    parser.add_argument("--values", type=int, default=20_000_000, help="in the large store")
    parser.add_argument("--things", type=int, default=1_000, help="each has one series")
    parser.add_argument("--days", type=float, default=100.0, help="that the values cover")
    parser.add_argument("--keep-days", type=int, default=50, help="that retention leaves")
    parser.add_argument("--run", type=int, default=50, help="values of a thing in one write")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reads", type=int, default=2_000, help="a round")
    parser.add_argument("--writes", type=int, default=20_000, help="a round")
    parser.add_argument("--writes-beside", type=float, default=1_000.0, help="per second")
    parser.add_argument("--skip-retention", action="store_true")
    options = parser.parse_args()
    machine.prepare()
    processes.end_in_order()
    folder = Path(tempfile.mkdtemp(prefix="growth-", dir=options.folder))
    try:
        _run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, options: argparse.Namespace) -> None:
    facts = machine.facts(folder)
    fleets: dict[str, fleet.Fleet] = {}
    found: dict[str, Measured] = {}
    for name, values in (("small", _SMALL_VALUES), ("large", options.values)):
        fleets[name] = fleet.make_fleet(folder / name, options.things)
        found[name] = _filled(fleets[name], values, options)
    for _ in range(_STARTS):
        for name, one in fleets.items():
            begun = time.monotonic()
            with servers.thingstead(one.data, core=None):
                found[name].starts_s.append(time.monotonic() - begun)
    others_cores = asyncio.run(_compare(fleets, found, options))
    print(report.describe(facts, is_markdown=options.markdown))
    problems = _tell_growth(found, options)
    swept: dict[str, object] = {}
    if median(others_cores) > report.DISTURBED_CORES:
        print(report.DISTURBED)
    if not options.skip_retention:
        swept = _retention(fleets["large"], options)
    report.finish(
        "growth",
        {
            "machine": facts,
            "options": {name: str(value) for name, value in vars(options).items()},
            "stores": {name: asdict(one) for name, one in found.items()},
            "others_cores": others_cores,
            "retention": swept,
        },
        to=options.json,
    )
    report.end_with(problems)


def _filled(things: fleet.Fleet, values: int, options: argparse.Namespace) -> Measured:
    until_ms = time.time_ns() // 1_000_000
    writes = fleet.writes_over_time(
        things.things,
        each=values // options.things,
        run=options.run,
        from_ms=until_ms - int(options.days * 86_400_000),
        until_ms=until_ms,
    )
    load.say(f"filling with {values:,} values …")
    begun = time.monotonic()
    total = asyncio.run(fleet.fill(things.data, _with_progress(writes, values)))
    filled = Measured(total, fill_s=time.monotonic() - begun)
    filled.bytes_a_value = _file_bytes(things.data) / total
    return filled


def _with_progress(writes: Iterator[Write], expected: int) -> Iterator[Write]:
    begun = time.monotonic()
    shown = begun
    done = 0
    for write in writes:
        yield write
        done += len(write.values)
        now = time.monotonic()
        if now - shown >= 1.0 or done == expected:
            shown = now
            share = done / expected
            bar = ("#" * int(share * 30)).ljust(30, ".")
            rate = done / (now - begun)
            load.show_progress(f"filling [{bar}] {share:4.0%}  {rate:,.0f} values/s")
    load.end_progress()


async def _compare(
    fleets: dict[str, fleet.Fleet], found: dict[str, Measured], options: argparse.Namespace
) -> list[float]:
    """Measure both stores alternately, each round beginning with the other one.

    Returns what other processes used meanwhile, in cores, for each round.
    """
    others_cores: list[float] = []
    async with contextlib.AsyncExitStack() as stack:
        stores = {
            name: await stack.enter_async_context(_opened(one.data)) for name, one in fleets.items()
        }
        draw = random.Random(2)
        # The first reads of the large store fetch pages that were not read for long.
        for name, store in stores.items():
            await _read(store, fleets[name].things, 500, draw)
        for number in range(options.rounds):
            names = list(stores)[:: 1 if number % 2 == 0 else -1]
            with load.watching() as watch:
                for name in names:
                    one, things = found[name], fleets[name].things
                    latencies = await _read(stores[name], things, options.reads, draw)
                    one.read_p50_ms.append(report.percentile(latencies, 0.5))
                    one.read_p99_ms.append(report.percentile(latencies, 0.99))
                for name in names:
                    one, things = found[name], fleets[name].things
                    rate, latencies = await _write(stores[name], things, options.writes)
                    one.writes_per_s.append(rate)
                    one.write_p99_ms.append(report.percentile(latencies, 0.99))
                    load.say(
                        f"round {number + 1}/{options.rounds}  {name}: newest {_NEWEST} p99"
                        f" {one.read_p99_ms[-1]:.3f} ms, {rate:,.0f} durable writes/s"
                    )
            others_cores.append(watch.others_cores)
            load.say(f"round {number + 1}/{options.rounds}  others {watch.others_cores:.2f} cores")
    return others_cores


@contextlib.asynccontextmanager
async def _opened(data: Path) -> AsyncIterator[SQLiteValueStore]:
    # Nothing is kept in memory for repeated reads: the file is what is measured.
    store = await SQLiteValueStore.open(data / "values.db", ValueStoreLimits(kept_bytes=0))
    try:
        yield store
    finally:
        await store.close(timeout_s=60.0)


async def _read(
    store: SQLiteValueStore, things: list[ThingId], number: int, draw: random.Random
) -> list[float]:
    """Read one after the other; return what each took, in ms, with both hand-overs."""
    latencies: list[float] = []
    window = Window(_NEWEST)
    for _ in range(number):
        thing = draw.choice(things)
        begun = time.perf_counter()
        reading = await store.newest(thing, (0,), fleet.KEY, window)
        latencies.append((time.perf_counter() - begun) * 1e3)
        if reading is None or len(reading.rows) != _NEWEST:
            raise RuntimeError("a series is not as it was filled")
    return latencies


async def _write(
    store: SQLiteValueStore, things: list[ThingId], number: int
) -> tuple[float, list[float]]:
    """Have many write at once, one value each; return writes in a second, and ms of each."""
    left = iter(range(number))
    latencies: list[float] = []

    async def writer() -> None:
        for at in left:
            begun = time.perf_counter()
            value = NewValue(fleet.KEY, 21.5 + at % 50, time.time_ns() // 1_000_000)
            await store.append(Write(things[at % len(things)], (value,)))
            latencies.append((time.perf_counter() - begun) * 1e3)

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(_WRITERS):
            group.create_task(writer())
    return number / (time.perf_counter() - begun), latencies


def _tell_growth(found: dict[str, Measured], options: argparse.Namespace) -> list[str]:
    small, large = found["small"], found["large"]
    heading = ["store", "bytes a value", "start s", f"newest {_NEWEST} p50 ms", "p99 ms"]
    heading += ["durable writes/s", "p99 ms", "p99 of reads, raw", "writes, raw, thousand/s"]
    rows = [
        [
            f"{one.values:,} values",
            f"{one.bytes_a_value:.1f}",
            f"{median(one.starts_s):.2f}",
            f"{median(one.read_p50_ms):.3f}",
            f"{median(one.read_p99_ms):.3f}",
            f"{median(one.writes_per_s):,.0f}",
            f"{median(one.write_p99_ms):.2f}",
            " ".join(f"{p99:.3f}" for p99 in one.read_p99_ms),
            " ".join(f"{rate / 1e3:.1f}" for rate in one.writes_per_s),
        ]
        for one in found.values()
    ]
    print(report.table(heading, rows, is_markdown=options.markdown), "\n")
    reads = median(large.read_p99_ms) / median(small.read_p99_ms)
    writes = median(large.writes_per_s) / median(small.writes_per_s)
    targets = [
        [
            f"p99 of newest {_NEWEST}, large : small",
            "≤ 2",
            f"{reads:.2f}",
            report.verdict(holds=reads <= 2),
        ],
        [
            "durable writes, large : small",
            "≥ 0.7",
            f"{writes:.2f}",
            report.verdict(holds=writes >= 0.7),
        ],
    ]
    print(report.table(["target", "wanted", "found", ""], targets, is_markdown=options.markdown))
    rate = large.values / large.fill_s
    print(f"\nfilled {large.values:,} values in {large.fill_s:.0f} s, {rate:,.0f} values/s")
    return [] if large.values > small.values else ["the large store is not larger"]


def _retention(things: fleet.Fleet, options: argparse.Namespace) -> dict[str, object]:
    """Serve the large store twice, with a steady writer: as it is, and while old values go."""
    core = max(machine.usable_cores())
    load.say("writes beside nothing, for comparison …")
    with (
        servers.thingstead(things.data, core=None) as server,
        steady.writing(
            server, things.tokens_file, per_s=options.writes_beside, core=core
        ) as before,
        load.watching(server.pid, before.pid) as watch_before,
    ):
        time.sleep(15.0)
    size_before = _file_bytes(things.data)
    stored_before = fleet.stored_values(things.data)
    log = things.data.parent / f"{things.data.name}.log"
    log.write_text("")
    flags = ("--retention-days", str(options.keep_days), "--log-level", "info")
    with servers.thingstead(things.data, core=None, flags=flags) as server:
        begun = time.monotonic()
        taken = 0.0
        load.say("sweeping …")
        with (
            steady.writing(
                server, things.tokens_file, per_s=options.writes_beside, core=core
            ) as meanwhile,
            load.watching(server.pid, meanwhile.pid) as watch_meanwhile,
        ):
            while _SWEPT not in log.read_text():
                if time.monotonic() - begun > _LONGEST_SWEEP_S:
                    sys.exit("the sweep did not end")
                time.sleep(0.2)
                taken = time.monotonic() - begun
                load.show_progress(f"sweeping {taken:6.0f} s, {_file_bytes(things.data):,} bytes")
            load.end_progress()
    size_after = _file_bytes(things.data)
    stored_after = fleet.stored_values(things.data)
    written = int(meanwhile.told["answered"])
    rows = [
        ["values", f"{stored_before:,}", f"{stored_after:,} ({written:,} of them written now)"],
        ["file, MiB", f"{size_before / 2**20:,.0f}", f"{size_after / 2**20:,.0f}"],
        ["writes", before.line(), meanwhile.line()],
    ]
    heading = [f"keeping {options.keep_days} of {options.days:g} days", "before", "sweep"]
    print("\n" + report.table(heading, rows, is_markdown=options.markdown))
    deleted = stored_before + written - stored_after
    print(f"\nthe sweep took {taken:.0f} s, {deleted / taken:,.0f} values a second")
    others_cores = [watch_before.others_cores, watch_meanwhile.others_cores]
    if max(others_cores) > report.DISTURBED_CORES:
        print(report.DISTURBED)
    return {
        "seconds": taken,
        "deleted": deleted,
        "bytes_before": size_before,
        "bytes_after": size_after,
        "others_cores": others_cores,
        "writes_before": before.told,
        "writes_meanwhile": meanwhile.told,
    }


def _file_bytes(data: Path) -> int:
    """Return the size of the values' file with its journal."""
    return sum(path.stat().st_size for path in data.glob("values.db*") if path.suffix != ".db-shm")


if __name__ == "__main__":
    main()
