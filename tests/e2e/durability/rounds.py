"""Rounds of load, kill, restart and check on one data folder; any number of them."""

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

from e2e.durability.checker import Findings, check_file, compare, read_back
from e2e.durability.load import Ledger, load_until, send_again
from support.process import ServerProcess, server_process

# The writers of one thing go faster than a device may.
_LIMITS = {
    "THINGSTEAD_LIMITS_WRITES_PER_SECOND": "1000000",
    "THINGSTEAD_LIMITS_WRITE_BURST": "1000000",
}
_THINGS = 4


@dataclass(frozen=True)
class Report:
    """What a round found in the file, and what it read through the API."""

    in_file: Findings
    through_api: Findings


async def kill_and_check(
    folder: Path, *, rounds: int, seed: int, writers: int = 16
) -> list[Report]:
    """Run the rounds; everything written in all of them is checked after each."""
    chance = random.Random(seed)
    ledger = Ledger()
    tokens = _make_things(folder)
    reports = []
    for number in range(rounds):
        with server_process(folder, env=_LIMITS) as server:
            await _load_and_kill(server, tokens, ledger, f"r{number}", chance, writers)
        with server_process(folder, env=_LIMITS) as server:
            await send_again(server.address, ledger)
            rows = await read_back(server.address, tokens)
            server.stop()
        reports.append(Report(check_file(folder, ledger), compare(rows, ledger)))
        _forget_doubts(ledger, rows)
    return reports


def _make_things(folder: Path) -> list[str]:
    with server_process(folder) as server:
        [product] = server.command("product", "list")  # type: ignore[misc]
        made = [
            server.command("thing", "create", "--product", str(product["id"]))["token"]
            for _ in range(_THINGS - 1)
        ]
        server.stop()
        return [server.token, *made]


async def _load_and_kill(
    server: ServerProcess,
    tokens: list[str],
    ledger: Ledger,
    name: str,
    chance: random.Random,
    writers: int,
) -> None:
    killed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    loading = asyncio.create_task(
        load_until(
            server.address, tokens, ledger, writers=writers, name=name, chance=chance, stop=killed
        )
    )
    # The moment of the kill is the round's input, not something that it waits for.
    await asyncio.sleep(chance.uniform(0.2, 1.5))
    server.kill()
    killed.set_result(None)
    async with asyncio.timeout(60):
        await loading


def _forget_doubts(ledger: Ledger, rows: list[tuple[str, object, int]]) -> None:
    """From now on what was stored without an answer must stay stored, too."""
    found = {text for _, text, _ in rows}
    ledger.acknowledged += [sent for sent in ledger.in_doubt if sent.texts <= found]
