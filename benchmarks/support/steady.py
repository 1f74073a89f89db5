"""Running the steady writer (`steady_writer.py`) beside whatever else is measured."""

import contextlib
import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from support import processes
from support.machine import REPOSITORY
from support.servers import Running


@dataclass(slots=True)
class Steady:
    """A steady writer; `told` is filled when its block has ended."""

    pid: int
    told: dict[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """Return what it tells, for people."""
        told = self.told
        return (
            f"{told['per_s']:,.0f} writes/s answered, {told['refused']:.0f} refused,"
            f" {told['lost']:.0f} lost; p50 {told['p50_ms']:.2f} ms, p99 {told['p99_ms']:.2f} ms,"
            f" 99.9 % {told['p999_ms']:.1f} ms, longest {told['longest_ms']:.0f} ms"
        )


@contextlib.contextmanager
def writing(server: Running, tokens: Path, *, per_s: float, core: int | None) -> Iterator[Steady]:
    """Write single values at that rate while the block runs."""
    log = tokens.with_suffix(".writer.log")
    command = [
        sys.executable,
        str(REPOSITORY / "benchmarks" / "support" / "steady_writer.py"),
        *("--port", str(server.port), "--tokens", str(tokens), "--per-second", str(per_s)),
    ]
    with processes.running(command, core=core, log=log) as process:
        processes.first_line(process, timeout_s=20.0, log=log)
        steady = Steady(process.pid)
        yield steady
        process.send_signal(signal.SIGTERM)
        steady.told.update(json.loads(processes.first_line(process, timeout_s=20.0, log=log)))
