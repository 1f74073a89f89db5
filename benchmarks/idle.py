"""What a server costs that does nothing: memory, time to start, and idle live streams.

Memory is measured in the server's process while the clients are in another one. See README.md
for what the figures leave out.
"""

import argparse
import contextlib
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from support import fleet, load, machine, processes, report, servers

_SETTLE_S = 1.5
_STREAMS_A_THING = 50
_FLAG_OF_CLIENT = "--hold-streams-of"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    report.add_options(parser)
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--streams", type=int, default=1_000)
    parser.add_argument(_FLAG_OF_CLIENT, dest="port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--tokens", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    machine.prepare()
    processes.end_in_order()
    if options.port is not None:
        hold_streams(options.port, options.tokens.read_text().split(), options.streams)
        return
    folder = Path(tempfile.mkdtemp(prefix="idle-", dir=options.folder))
    try:
        _run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, options: argparse.Namespace) -> None:
    facts = machine.facts(folder)
    first_s, starts_s, memory = _start_often(folder, options.starts)
    result: dict[str, object] = {
        "first_start_s": first_s,
        "starts_s": starts_s,
        "idle_kib": memory,
    }
    streams = _measure_streams(folder, options.streams)
    result["streams"] = streams
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
    print(report.table(["what", "found"], rows, is_markdown=options.markdown))
    print(f"\nload average before: {facts['load_average_before']}")
    report.finish("idle", {"machine": facts, **result}, to=options.json)


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


def _measure_streams(folder: Path, number: int) -> dict[str, dict[str, float]]:
    things = fleet.make_fleet(folder / "streams", max(1, number // _STREAMS_A_THING))
    log = folder / "client.log"
    with servers.thingstead(things.data, core=None) as server:
        # One stream first, so that what is loaded on first use is not counted for each.
        with _client(server, things, 1, log):
            pass
        time.sleep(_SETTLE_S)
        before = _now(server)
        with _client(server, things, number, log):
            time.sleep(_SETTLE_S)
            during = _now(server)
        time.sleep(_SETTLE_S)
        after = _now(server)
    each = {name: (during[name] - before[name]) / number for name in before}
    return {"kib_before": before, "kib_during": during, "kib_after": after, "kib_each": each}


def _now(server: servers.Running) -> dict[str, float]:
    return {**processes.memory_kib(server.pid), "sockets": processes.socket_memory_kib()}


@contextlib.contextmanager
def _client(server: servers.Running, things: fleet.Fleet, number: int, log: Path) -> Iterator[None]:
    command = [sys.executable, __file__, _FLAG_OF_CLIENT, str(server.port)]
    command += ["--tokens", str(things.tokens_file), "--streams", str(number)]
    with processes.running(command, core=None, log=log) as process:
        processes.first_line(process, timeout_s=60.0, log=log)
        yield


def hold_streams(port: int, tokens: list[str], number: int) -> None:
    """Open the streams, say so on stdout, and keep them until the process is ended."""
    streams: list[socket.socket] = []
    for at in range(number):
        stream = socket.create_connection(("127.0.0.1", port))
        token = tokens[at % len(tokens)]
        stream.sendall(f"GET /v2/things/{token} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        begin = stream.recv(4_096)
        if not begin.startswith(b"HTTP/1.1 200"):
            sys.exit(f"stream {at} was refused: {begin!r}")
        streams.append(stream)
    print("ready", flush=True)
    while True:
        time.sleep(60.0)


if __name__ == "__main__":
    main()
