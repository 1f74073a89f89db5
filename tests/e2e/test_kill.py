"""What was acknowledged survives `kill -9`, whole requests only; and it was on the disk."""

import asyncio
import os
import random
import re
import secrets
import signal
from pathlib import Path

import pytest

from e2e.durability.checker import check_file, compare
from e2e.durability.load import Ledger, Sent
from e2e.durability.mqtt_rounds import kill_mqtt_and_check
from e2e.durability.rounds import kill_and_check
from support.process import PATIENCE_SECONDS, server_process
from support.wire import connect


@pytest.mark.parametrize(("road", "rounds"), [("http", 5), ("coap", 3)])
async def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path, road, rounds):
    seed = int(os.environ.get("THINGSTEAD_TEST_SEED", "0")) or secrets.randbits(32)
    print(f"THINGSTEAD_TEST_SEED={seed}")  # noqa: T201

    reports = await kill_and_check(tmp_path / "folder", rounds=rounds, seed=seed, road=road)

    assert [report.in_file.problems for report in reports] == [{}] * rounds, seed
    assert [report.through_api.problems for report in reports] == [{}] * rounds, seed
    counts = [report.in_file.acknowledged for report in reports]
    assert counts == sorted(set(counts)), "a round wrote nothing"
    assert [report.through_api.stored for report in reports] == [
        report.in_file.stored for report in reports
    ]


async def test_mqtt_neither_loses_nor_doubles_anything_when_the_server_is_killed(tmp_path):
    rounds = 3
    seed = int(os.environ.get("THINGSTEAD_TEST_SEED", "0")) or secrets.randbits(32)
    print(f"THINGSTEAD_TEST_SEED={seed}")  # noqa: T201

    reports = await kill_mqtt_and_check(tmp_path / "folder", rounds=rounds, seed=seed)

    assert [report.in_file.problems for report in reports] == [{}] * rounds, seed
    assert [report.through_api.problems for report in reports] == [{}] * rounds, seed
    counts = [report.in_file.acknowledged for report in reports]
    assert counts == sorted(set(counts)), "a round wrote nothing"
    assert [report.in_file.stored for report in reports] == counts


def sent(number, count=2, at=None):
    values = tuple(("state", f"w:{number}:{n}:{count}:state", at) for n in range(count))
    return Sent("token", values)


def rows_of(*requests):
    return [(key, text, 0) for each in requests for key, text, _ in each.values]


def test_the_checker_finds_what_is_lost():
    good, lost = sent(1), sent(2)
    ledger = Ledger(sent=[good, lost], acknowledged=[good, lost])

    assert compare(rows_of(good), ledger).lost == tuple(sorted(lost.texts))


def test_the_checker_finds_what_is_invented_doubled_halved_and_misplaced():
    one, two, three = sent(1), sent(2), sent(3, at="2026-01-01T00:00:00.000Z")
    ledger = Ledger(sent=[one, two, three])
    rows = [*rows_of(one, one), *rows_of(two)[:1], *rows_of(sent(9)), *rows_of(three)]

    found = compare(rows, ledger)

    assert found.duplicates == tuple(sorted(one.texts))
    assert found.halves == (min(two.texts),)
    assert found.invented == tuple(sorted(sent(9).texts))
    assert found.misplaced == tuple(sorted(three.texts))
    assert found.lost == ()


@pytest.mark.needs_tool("strace")
async def test_every_acknowledged_write_was_flushed_to_the_disk(tmp_path):
    traced = tmp_path / "strace"
    around = ("strace", "-f", "-c", "-e", "trace=fdatasync,fsync", "-o", str(traced))
    commits = 25
    ledger = Ledger()
    with server_process(tmp_path / "folder", around=around) as server:
        async with connect(server.address) as wire:
            for number in range(commits):
                # One at a time, so that each acknowledgement stands for a commit of its own.
                each = Sent(server.token, sent(number, random.Random(number).randint(1, 5)).values)
                ledger.sent.append(each)
                await wire.send(each.raw())
                assert (await wire.read()).status == 201
                ledger.acknowledged.append(each)
        for child in children(server.process.pid):
            os.kill(child, signal.SIGTERM)
        assert await asyncio.to_thread(server.process.wait, PATIENCE_SECONDS) == 0

    found = check_file(tmp_path / "folder", ledger)
    assert found.problems == {}
    assert found.acknowledged == found.stored
    assert flushes(traced) >= commits


def children(pid):
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    return [int(child) for child in listed.split()]


def flushes(traced):
    """The calls that strace counted, both names together."""
    counted = re.compile(r"(?:\s*[\d.]+){3}\s+(\d+)\s+(?:\d+\s+)?f\w*sync")
    found = map(counted.fullmatch, traced.read_text("utf-8").splitlines())
    return sum(int(match[1]) for match in found if match)
