"""Load from wrk on its own core, and what one round of it measured."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support import machine, processes
from support.servers import Running

_SCRIPTS = machine.REPOSITORY / "benchmarks" / "wrk"


@dataclass(frozen=True, slots=True)
class Load:
    """How wrk is to load a server; `arguments` go to its script."""

    script: str
    arguments: tuple[str, ...]
    connections: int
    core: int


@dataclass(frozen=True, slots=True)
class Round:
    """What one round gave. `others_cores`: what other processes used meanwhile, in cores."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    longest_ms: float
    cpu_us: float
    others_cores: float

    @property
    def per_s(self) -> float:
        """Requests answered in a second."""
        return self.requests / self.seconds


@dataclass(slots=True)
class Watch:
    """What other processes used, in cores; filled when its block has ended."""

    others_cores: float = 0.0


class FailedRoundError(Exception):
    """Something other than a success was answered, so the figures say nothing."""


def warm_up(server: Running, load: Load, seconds: float) -> int:
    """Load the server without looking at the clock; return how many requests it answered."""
    return int(_wrk(server, load, seconds)["requests"])


def measure(server: Running, load: Load, seconds: float) -> Round:
    """Load the server for some seconds.

    Raises:
        FailedRoundError: an answer was no 2xx, or a connection broke.
    """
    with watching(server.pid) as watch:
        cpu = processes.cpu_s(server.pid)
        told = _wrk(server, load, seconds)
        cpu = processes.cpu_s(server.pid) - cpu
    taken_s = told["microseconds"] / 1e6
    return Round(
        requests=int(told["requests"]),
        seconds=taken_s,
        p50_ms=told["p50_us"] / 1e3,
        p99_ms=told["p99_us"] / 1e3,
        p999_ms=told["p999_us"] / 1e3,
        longest_ms=told["longest_us"] / 1e3,
        cpu_us=cpu / told["requests"] * 1e6,
        others_cores=watch.others_cores,
    )


@contextlib.contextmanager
def watching(*pids: int) -> Iterator[Watch]:
    """Find what others use than these processes, this one, and children that end meanwhile."""
    watch = Watch()
    begun = time.monotonic()
    others = _others_cpu_s(pids)
    yield watch
    others = _others_cpu_s(pids) - others
    watch.others_cores = max(0.0, others / (time.monotonic() - begun))


def _wrk(server: Running, load: Load, seconds: float) -> dict[str, float]:
    # wrk takes whole seconds only; less is worth nothing anyway.
    command = [
        *("taskset", "-c", str(load.core), "wrk", "--threads", "1"),
        *("--connections", str(load.connections), "--duration", f"{max(1, round(seconds))}s"),
        *("--timeout", "10s", "--script", str(_SCRIPTS / load.script), server.url),
        *("--", *load.arguments),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    line = next((line for line in ended.stdout.splitlines() if line.startswith("@")), None)
    if line is None:
        raise FailedRoundError(f"wrk said nothing about {server.name}: {ended.stderr[-500:]}")
    told: dict[str, float] = json.loads(line[1:])
    if told["refused"] or told["broken"] or not told["requests"]:
        raise FailedRoundError(
            f"{server.name}: {told['refused']:.0f} answers were errors, {told['broken']:.0f}"
            f" connections broke, {told['requests']:.0f} requests in all;"
            f" end of its log:\n{_tail(server.log)}"
        )
    return told


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-1_500:] if log.exists() else ""


def _others_cpu_s(pids: tuple[int, ...]) -> float:
    times = os.times()
    own = times.user + times.system + times.children_user + times.children_system
    return machine.busy_s() - own - sum(processes.cpu_s(pid) for pid in pids)


def say(text: str) -> None:
    """Tell the operator how far it is; results go to stdout, this does not."""
    print(text, file=sys.stderr, flush=True)


def show_progress(text: str) -> None:
    """Show how far it is in a line that is written over; only to a terminal."""
    if sys.stderr.isatty():
        print(f"\r{text}   ", end="", file=sys.stderr, flush=True)


def end_progress() -> None:
    """End the line that is written over."""
    if sys.stderr.isatty():
        say("")
