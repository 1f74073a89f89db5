"""What a server costs that does nothing: memory, time to start, and idle subscribers.

Memory is measured in the server's process while the clients are in another one. See README.md
for what the figures leave out.
"""

import argparse
import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from support import fleet, load, machine, phases, processes, report, servers
from support.subscribers import KINDS, MQTTSubscriber, V2Subscriber

_SETTLE_S = 1.5
_STREAMS_A_THING = 50
_OPEN_S = 300.0
_MOST_EACH_KB = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    report.add_options(parser)
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--streams", type=int, default=1_000, help="of the v2 API, first")
    parser.add_argument("--subscribers", type=int, default=10_000, help="of each kind, then")
    parser.add_argument("--kinds", nargs="*", choices=tuple(KINDS), default=list(KINDS))
    options = parser.parse_args()
    machine.prepare()
    processes.end_in_order()
    folder = Path(tempfile.mkdtemp(prefix="idle-", dir=options.folder))
    try:
        _run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, options: argparse.Namespace) -> None:
    facts = machine.facts(folder)
    first_s, starts_s, memory = _start_often(folder, options.starts)
    streams = _measure(folder / "streams", V2Subscriber.name, options.streams)
    held = {
        kind: _measure(folder / f"kind-{at}", kind, options.subscribers)
        for at, kind in enumerate(options.kinds)
    }
    print(report.describe(facts, is_markdown=options.markdown))
    each = streams["kib_each"]
    rows = [
        ["first start in an empty folder (makes the databases)", f"{first_s:.2f} s"],
        [f"start to ready, median of {options.starts}", f"{median(starts_s):.2f} s"],
        ["start to ready, raw", " ".join(f"{one:.2f}" for one in starts_s)],
        ["resident memory after the start", f"{memory['VmRSS'] / 1024:.1f} MiB"],
        ["of it anonymous (not shared with files)", f"{memory['RssAnon'] / 1024:.1f} MiB"],
        [f"{options.streams} idle streams: resident memory each", f"{each['VmRSS']:.1f} KiB"],
        ["of it anonymous: the process's own memory", f"{each['RssAnon']:.1f} KiB"],
        ["kernel: socket buffers of both ends, each", f"{each['sockets']:.1f} KiB"],
    ]
    print(report.table(["what", "found"], rows, is_markdown=options.markdown), "\n")
    _tell_held(held, options)
    print(f"\nload average before: {facts['load_average_before']}")
    report.finish(
        "idle",
        {
            "machine": facts,
            "first_start_s": first_s,
            "starts_s": starts_s,
            "idle_kib": memory,
            "streams": streams,
            "subscribers": options.subscribers,
            "held": held,
        },
        to=options.json,
    )


def _tell_held(held: dict[str, dict[str, dict[str, float]]], options: argparse.Namespace) -> None:
    """Print what idle subscribers of each kind take."""
    heading = [f"{options.subscribers:,} idle subscribers", "resident, KiB each"]
    heading += ["anonymous, KiB each", "socket buffers, KiB each", "server before · during, MiB"]
    rows, verdicts = [], []
    for kind, found in held.items():
        each, before, during = found["kib_each"], found["kib_before"], found["kib_during"]
        grown = f"{before['VmRSS'] / 1024:.1f} · {during['VmRSS'] / 1024:.1f}"
        names = ("VmRSS", "RssAnon", "sockets")
        rows.append([kind, *(f"{each[name]:.1f}" for name in names), grown])
        kilobytes = each["RssAnon"] * 1.024
        holds = report.verdict(holds=kilobytes <= _MOST_EACH_KB)
        verdicts.append(
            [f"idle, {kind}: KB each", f"≤ {_MOST_EACH_KB:g}", f"{kilobytes:.1f}", holds]
        )
    if rows:
        heading_of_targets = ["target", "wanted", "found", ""]
        print(report.table(heading, rows, is_markdown=options.markdown), "\n")
        print(report.table(heading_of_targets, verdicts, is_markdown=options.markdown))


def _start_often(folder: Path, times: int) -> tuple[float, list[float], dict[str, int]]:
    """Return the first start's time, the others', and the memory after the last."""
    data = folder / "empty"
    taken: list[float] = []
    memory: dict[str, int] = {}
    for number in range(times + 1):
        begun = time.monotonic()
        with servers.thingstead(data, core=None) as server:
            taken.append(time.monotonic() - begun)
            if number == times:
                time.sleep(_SETTLE_S)
                memory = processes.memory_kib(server.pid)
        load.say(f"start {number}/{times}: {taken[-1]:.2f} s")
    return taken[0], taken[1:], memory


def _measure(data: Path, kind: str, number: int) -> dict[str, dict[str, float]]:
    """Return what the server took before, during and after so many idle subscribers."""
    things = fleet.make_fleet(data, max(1, -(-number // _STREAMS_A_THING)))
    flags: tuple[str, ...] = ()
    port = None
    if kind == MQTTSubscriber.name:
        port = processes.free_port()
        flags = ("--mqtt-port", str(port))
    with servers.thingstead(things.data, core=None, flags=flags) as server:
        asked = {"kind": kind, "tokens": things.tokens, "port": port or server.port}
        # One first, so that what is loaded on first use is not counted for each.
        with _holding({**asked, "subscribers": 1}, data.parent):
            pass
        time.sleep(_SETTLE_S)
        before = _now(server)
        with _holding({**asked, "subscribers": number}, data.parent) as client:
            time.sleep(_SETTLE_S)
            during = _now(server)
            if client.poll() is not None:
                raise RuntimeError(f"{kind}: subscribers were lost")
        time.sleep(_SETTLE_S)
        after = _now(server)
    each = {name: (during[name] - before[name]) / number for name in before}
    load.say(f"{number} idle subscribers, {kind}: {each['RssAnon']:.1f} KiB each")
    return {"kib_before": before, "kib_during": during, "kib_after": after, "kib_each": each}


def _now(server: servers.Running) -> dict[str, float]:
    return {**processes.memory_kib(server.pid), "sockets": processes.socket_memory_kib()}


@contextlib.contextmanager
def _holding(asked: dict[str, object], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Hold the subscribers in a process of their own while the block runs."""
    log = folder / "client.log"
    command = phases.command("hold_subscribers", asked, folder / "client.json")
    with processes.running(
        command, core=None, log=log, environment=phases.environment()
    ) as process:
        processes.first_line(process, timeout_s=_OPEN_S, log=log)
        yield process


if __name__ == "__main__":
    main()
