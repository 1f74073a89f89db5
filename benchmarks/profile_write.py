"""Where the server's time goes under the write load (or, with `--read N`, under reads).

Samples the running server from outside by py-spy, which is no dependency of the project:
`pip install py-spy` wherever it is found on the PATH, or name it with `--py-spy`. Samples of
idle threads are left out as far as py-spy can tell; waiting for the disk, or for another thread
to let go of the interpreter, counts as busy. `Runner.run` is the event loop's own C code: epoll,
receiving and sending.
"""

import argparse
import collections
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from support import fleet, load, machine, processes, report, servers

_RATE = 400
_UNKNOWN = "other"
# The writer calls the checkpointer too, so the order matters.
_THREADS = {
    "Runner.run": "event loop",
    "ValueWriter": "writer",
    "ValueReader": "reader",
    "Checkpointer": "checkpoint",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    report.add_load_options(parser, seconds=8, rounds=1)
    parser.add_argument("--py-spy", default=_found(), help="the program, when not on the PATH")
    parser.add_argument("--top", type=int, default=25, help="rows of the table")
    parser.add_argument("--read", type=int, metavar="N", help="read the newest N instead")
    parser.add_argument("--gil", action="store_true", help="count only threads that hold the GIL")
    parser.add_argument("--lane-off", action="store_true", help="switch the direct lane off")
    options = parser.parse_args()
    machine.prepare("wrk", "taskset")
    if options.py_spy is None:
        sys.exit("py-spy was not found: install it anywhere and name it with --py-spy")
    processes.end_in_order()
    folder = Path(tempfile.mkdtemp(prefix="profile-", dir=options.folder))
    try:
        _run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _found() -> str | None:
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if beside.exists() else shutil.which("py-spy")


def _run(folder: Path, options: argparse.Namespace) -> None:
    facts = machine.facts(folder)
    things = fleet.make_fleet(folder / "data", options.things)
    more: tuple[str, ...] = ()
    script = "write.lua"
    if options.read is not None:
        fleet.fill_evenly(things, each=250)
        script, more = "read.lua", (str(options.read),)
    arguments = (str(things.tokens_file), *more)
    work = load.Load(script, arguments, options.connections, options.client_core)
    environment = {"THINGSTEAD_DIRECT_LANE": "false" if options.lane_off else "true"}
    stacks = folder / "stacks"
    with servers.thingstead(
        things.data, core=options.server_core, environment=environment
    ) as server:
        load.warm_up(server, work, 2)
        plain = load.measure(server, work, 3)
        _profile(server, work, stacks, options)
    print(report.describe(facts, is_markdown=options.markdown))
    print(f"without the profiler: {plain.per_s:,.0f} requests/s, {plain.cpu_us:.1f} µs each\n")
    print(_table(stacks.read_text(), options))


def _profile(
    server: servers.Running, work: load.Load, stacks: Path, options: argparse.Namespace
) -> None:
    command = [options.py_spy, "record", "--pid", str(server.pid), "--format", "raw"]
    command += ["--rate", str(_RATE), "--duration", str(options.seconds), "--threads"]
    command += ["--nonblocking", "--output", str(stacks)]
    if options.gil:
        command.append("--gil")
    worker = threading.Thread(target=load.warm_up, args=(server, work, options.seconds + 2))
    worker.start()
    profiler = subprocess.Popen(
        ["taskset", "-c", str(options.client_core), *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, said = profiler.communicate(timeout=options.seconds + 30)
    finally:
        if profiler.poll() is None:
            os.kill(profiler.pid, signal.SIGKILL)
            profiler.wait()
        worker.join()
    if profiler.returncode != 0:
        sys.exit(f"py-spy failed: {said.decode(errors='replace')[-500:]}")


def _table(stacks: str, options: argparse.Namespace) -> str:
    """Return the lines in which the samples ended, by thread, most first."""
    ends: collections.Counter[tuple[str, str]] = collections.Counter()
    names: dict[str, str] = {}
    for line in stacks.splitlines():
        frames, _, number = line.rpartition(" ")
        thread, *calls = frames.split(";")
        if thread not in names or names[thread] == _UNKNOWN:
            names[thread] = _name(frames)
        ends[thread, calls[-1] if calls else "?"] += int(number)
    total = sum(ends.values())
    threads: collections.Counter[str] = collections.Counter()
    for (thread, _), count in ends.items():
        threads[thread] += count
    rows = [[names[one], "all of it", f"{n / total:.1%}"] for one, n in threads.most_common()]
    for (thread, call), count in ends.most_common(options.top):
        shown = f"`{call}`" if options.markdown else call
        rows.append([names[thread], shown, f"{count / total:.1%}"])
    heading = ["thread", "line where the sample ended", "share of samples"]
    return report.table(heading, rows, is_markdown=options.markdown)


def _name(frames: str) -> str:
    """Return what a thread is for, by what it calls: py-spy gives numbers only."""
    return next((name for call, name in _THREADS.items() if call in frames), _UNKNOWN)


if __name__ == "__main__":
    main()
