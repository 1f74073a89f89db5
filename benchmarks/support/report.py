"""Results: medians with their raw values, tables to read or paste, and a JSON file of it all."""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from support.load import Round, say
from support.machine import RESULTS

# With more than this used by others, in cores, the figures describe them too.
DISTURBED_CORES = 0.05
DISTURBED = "DISTURBED: other processes were at work; do not quote these figures."


def percentile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that is not less than `part` (0 to 1) of all."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def middle(rounds: Sequence[Round], value: Callable[[Round], float]) -> float:
    """Return the median over the rounds."""
    return median(value(one) for one in rounds)


def per_s(one: Round) -> float:
    """Return the rate of a round."""
    return one.per_s


def turned(names: Sequence[str], number: int) -> list[str]:
    """Let another one begin in each round, so that none always follows the same one."""
    at = number % len(names)
    return [*names[at:], *names[:at]]


def verdict(*, holds: bool) -> str:
    """Return how a target is reported."""
    return "met" if holds else "MISSED"


def is_disturbed(rounds: Sequence[Round]) -> bool:
    """Return whether other processes were at work in the typical round."""
    return middle(rounds, lambda one: one.others_cores) > DISTURBED_CORES


def rate_rows(
    rounds_of: Mapping[str, Sequence[Round]], references: Sequence[str], *, unit: str = "request"
) -> tuple[list[str], list[list[str]]]:
    """Return heading and rows of a table of rates; one column of shares for each reference.

    `unit`: what a round counts.
    """
    heading = ["server", f"{unit}s/s", *(f"share of {name}" for name in references)]
    heading += ["p50 ms", "p99 ms", "longest ms", f"CPU µs/{unit}", "raw, thousand/s"]
    rows: list[list[str]] = []
    for name, rounds in rounds_of.items():
        rate = middle(rounds, per_s)
        shares = [
            "1" if name == one else f"{rate / middle(rounds_of[one], per_s):.3f}"
            for one in references
        ]
        rows.append(
            [
                name,
                f"{rate:,.0f}",
                *shares,
                f"{middle(rounds, lambda one: one.p50_ms):.2f}",
                f"{middle(rounds, lambda one: one.p99_ms):.2f}",
                f"{max(one.longest_ms for one in rounds):.0f}",
                f"{middle(rounds, lambda one: one.cpu_us):.1f}",
                " ".join(f"{one.per_s / 1e3:.1f}" for one in rounds),
            ]
        )
    return heading, rows


def table(heading: Sequence[str], rows: Sequence[Sequence[str]], *, is_markdown: bool) -> str:
    """Return a table for a terminal, or one to paste into a Markdown page."""
    if is_markdown:
        lines = ["| " + " | ".join(heading) + " |", "|" + " --- |" * len(heading)]
        return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
    widths = [max(len(line[at]) for line in [heading, *rows]) for at in range(len(heading))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [heading, *rows]
    )


def raw(rounds_of: Mapping[str, Sequence[Round]]) -> dict[str, list[dict[str, float]]]:
    """Return all rounds for the JSON file."""
    return {
        name: [{**dataclasses.asdict(one), "per_s": one.per_s} for one in rounds]
        for name, rounds in rounds_of.items()
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what every benchmark takes."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything here as well")
    parser.add_argument("--markdown", action="store_true", help="print tables to paste")
    parser.add_argument(
        "--folder", type=Path, default=RESULTS, help="where data is kept meanwhile (a real disk)"
    )


def add_load_options(
    parser: argparse.ArgumentParser,
    *,
    seconds: int,
    rounds: int,
    things: int = 1_000,
    connections: int = 64,
) -> None:
    """Add what a benchmark under load takes, with its own defaults."""
    add_options(parser)
    parser.add_argument("--seconds", type=int, default=seconds, help="of one round")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--things", type=int, default=things)
    parser.add_argument("--connections", type=int, default=connections)
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)


def finish(name: str, result: dict[str, object], *, to: Path | None) -> None:
    """Write the JSON file: into `benchmarks/results`, and to the place that was asked for."""
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    kept = RESULTS / f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"
    kept.write_text(text)
    if to is not None:
        to.write_text(text)
    say(f"everything is in {to or kept}")


def describe(machine: Mapping[str, object], *, is_markdown: bool) -> str:
    """Return the line that says what was measured on."""
    packages = machine["packages"]
    tools = machine["tools"]
    if not isinstance(packages, dict) or not isinstance(tools, dict):
        raise TypeError("facts of the machine are incomplete")
    versions = ", ".join(f"{name} {version}" for name, version in {**packages, **tools}.items())
    line = (
        f"{machine['cores']} cores {machine['cpu']}, {machine['memory_gib']} GiB, kernel"
        f" {machine['kernel']}, {machine['file_system']} with {machine['synced_appends_per_s']}"
        f" synced appends/s; Python {machine['python']}, {versions}; commit"
        f" {machine['commit']}, source {machine['source_digest']}; {machine['at']}"
    )
    return f"_{line}_\n" if is_markdown else f"{line}\n"


def end_with(problems: Sequence[str]) -> None:
    """End with 1 and the reasons when a figure cannot be believed."""
    if problems:
        sys.exit("\n".join(f"NOT VALID: {problem}" for problem in problems))
