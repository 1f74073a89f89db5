"""Running a load program of ours that prints when its measured phases begin and end.

The server's processor time is read at these lines, so that what the program does before and
after (connecting, warming up, waiting for the last answers) is not counted. The programs are
`mqtt_load.py` and `fanout_load.py`.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import load, processes
from support.machine import REPOSITORY
from support.servers import Running

_PATIENCE_S = 120.0
_TO_IMPORT = {"PYTHONPATH": str(REPOSITORY / "benchmarks")}


@dataclass(frozen=True, slots=True)
class Told:
    """What a program told at last; `server_cpu_s` by phase; `others_cores` over its whole life."""

    result: dict[str, Any]
    server_cpu_s: dict[str, float]
    others_cores: float


def command(program: str, asked: Mapping[str, object], file: Path) -> list[str]:
    """Return the command of a program of `support` that is asked by a JSON file."""
    file.write_text(json.dumps(asked))
    return [sys.executable, "-m", f"support.{program}", str(file)]


def environment() -> dict[str, str]:
    """Return the environment in which such programs find each other."""
    return dict(_TO_IMPORT)


def run(
    program: str, asked: Mapping[str, object], *, server: Running, core: int, folder: Path
) -> Told:
    """Run the program to its end.

    Raises:
        RuntimeError: it ended early, or told of an error.
    """
    log = folder / f"{program}.log"
    wanted = command(program, asked, folder / f"{program}.json")
    used: dict[str, float] = {}
    with (
        load.watching(server.pid) as watch,
        processes.running(wanted, core=core, log=log, environment=environment()) as process,
    ):
        lines = processes.Lines(process, log=log)
        while True:
            told = json.loads(lines.next(timeout_s=_PATIENCE_S + float(str(asked["seconds"]))))
            if "begin" in told:
                used[told["begin"]] = -processes.cpu_s(server.pid)
            elif "end" in told:
                used[told["end"]] += processes.cpu_s(server.pid)
            elif "error" in told:
                raise RuntimeError(f"{program} at {server.name}: {told['error']}")
            else:
                process.wait(_PATIENCE_S)
                break
    return Told(told, used, watch.others_cores)
