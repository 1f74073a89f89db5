"""Rounds of load, kill, restart and check on one data folder; any number of them."""

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from e2e.durability.checker import Findings, check_file, compare, read_back
from e2e.durability.coap_load import CoAPWriter
from e2e.durability.load import Ledger, Writer, load_until, send_again
from support.in_process import free_port
from support.process import ServerProcess, server_process
from support.wire import Address

# The writers of one thing go faster than a device may.
LIMITS = {
    "THINGSTEAD_LIMITS_WRITES_PER_SECOND": "1000000",
    "THINGSTEAD_LIMITS_WRITE_BURST": "1000000",
}
_THINGS = 4
WRITERS: dict[str, type[Writer]] = {"http": Writer, "coap": CoAPWriter}
"""Who writes, by the road that they take to the server."""


@dataclass(frozen=True)
class Report:
    """What a round found in the file, and what it read through the API."""

    in_file: Findings
    through_api: Findings


async def kill_and_check(
    folder: Path, *, rounds: int, seed: int, writers: int = 16, road: str = "http"
) -> list[Report]:
    """Run the rounds; everything written in all of them is checked after each."""
    chance = random.Random(seed)
    ledger = Ledger()
    tokens = make_things(folder)
    reports = []
    for number in range(rounds):
        flags = () if road == "http" else (f"--{road}-port", str(free_port()))
        with server_process(folder, *flags, env=LIMITS) as server:
            load = load_until(
                _address(server, road),
                tokens,
                ledger,
                writers=writers,
                name=f"r{number}",
                chance=chance,
                kind=WRITERS[road],
            )
            await _load_and_kill(server, load, chance)
        with server_process(folder, env=LIMITS) as server:
            await send_again(server.address, ledger)
            rows = await read_back(server.address, tokens)
            server.stop()
        reports.append(Report(check_file(folder, ledger), compare(rows, ledger)))
        _forget_doubts(ledger, rows)
    return reports


def make_things(folder: Path) -> list[str]:
    """Return the tokens of some things in the folder, which is made."""
    with server_process(folder) as server:
        [product] = server.command("product", "list")  # type: ignore[misc]
        made = [
            server.command("thing", "create", "--product", str(product["id"]))["token"]
            for _ in range(_THINGS - 1)
        ]
        server.stop()
        return [server.token, *made]


def _address(server: ServerProcess, road: str) -> Address:
    if road == "http":
        return server.address
    parts = urlsplit(server.ready[road])
    assert parts.port is not None
    return Address(server.address.host, parts.port)


async def _load_and_kill(
    server: ServerProcess, load: Coroutine[None, None, None], chance: random.Random
) -> None:
    loading = asyncio.create_task(load)
    # The moment of the kill is the round's input, not something that it waits for.
    await asyncio.sleep(chance.uniform(0.2, 1.5))
    server.kill()
    async with asyncio.timeout(60):
        await loading


def _forget_doubts(ledger: Ledger, rows: list[tuple[str, object, int]]) -> None:
    """From now on what was stored without an answer must stay stored, too."""
    found = {text for _, text, _ in rows}
    ledger.acknowledged += [sent for sent in ledger.in_doubt if sent.texts <= found]
