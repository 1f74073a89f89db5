"""How fast one durable value per request is stored, beside what cannot be beaten.

In one run and in alternating rounds on one core: nginx giving a constant answer, an ASGI
application that does nothing, and the platform with and without its direct lane. See
README.md for how to read the table.
"""

import argparse
import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from support import fleet, load, machine, processes, report, servers

NGINX, BARE, OURS, OURS_BY_ASGI = "nginx", "bare uvicorn", "thingstead", "thingstead, lane off"
_BODY = b'{"values":[{"key":"temperature","value":21.5}]}'
_FLUSHES = ("fdatasync", "fsync")


@dataclass(frozen=True, slots=True)
class Target:
    """A server with its load; `fleet` is None for one that stores nothing."""

    server: servers.Running
    load: load.Load
    fleet: fleet.Fleet | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    report.add_load_options(parser, seconds=5, rounds=5)
    parser.add_argument("--filled", type=int, default=250, help="values of each thing before")
    options = parser.parse_args()
    machine.prepare("wrk", "nginx", "taskset")
    machine.require_cores(options.server_core, options.client_core)
    processes.end_in_order()
    folder = Path(tempfile.mkdtemp(prefix="write-", dir=options.folder))
    try:
        _run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, options: argparse.Namespace) -> None:
    facts = machine.facts(folder)
    load.say("making things …")
    fleets = {
        OURS: fleet.make_fleet(folder / "direct", options.things),
        OURS_BY_ASGI: fleet.make_fleet(folder / "asgi", options.things),
    }
    # In an empty file many series share a page, and the first rounds would be too fast.
    before = {name: fleet.fill_evenly(one, each=options.filled) for name, one in fleets.items()}
    rounds_of: dict[str, list[load.Round]] = {}
    answered = dict.fromkeys(fleets, 0)
    runs = dict.fromkeys(fleets, 0)
    with contextlib.ExitStack() as stack:
        targets = _start(stack, folder, fleets, options)
        written = {name: processes.written_bytes(targets[name].server.pid) for name in fleets}
        for number in range(options.rounds):
            for name in report.turned(list(targets), number):
                target = targets[name]
                warmed = load.warm_up(target.server, target.load, 1)
                measured = load.measure(target.server, target.load, options.seconds)
                rounds_of.setdefault(name, []).append(measured)
                if target.fleet is not None:
                    answered[name] += warmed + measured.requests
                    runs[name] += 2
                load.say(
                    f"round {number + 1}/{options.rounds}  {name:22} {measured.per_s:>9,.0f}/s"
                    f"  p99 {measured.p99_ms:6.2f} ms  {measured.cpu_us:5.1f} µs"
                    f"  others {measured.others_cores:.2f} cores"
                )
        for name in fleets:
            total = processes.written_bytes(targets[name].server.pid) - written[name]
            written[name] = round(total / answered[name])
        flushes = _count_flushes(targets[OURS])
        if flushes is not None:
            answered[OURS] += flushes["requests"]
            runs[OURS] += 1
    stored = {name: fleet.stored_values(one.data) - before[name] for name, one in fleets.items()}
    # One value is written while the server is tried; and what was under way when wrk hung up
    # is stored without having been counted as answered.
    under_way = {name: runs[name] * options.connections + 1 for name in fleets}
    problems = [
        f"{name}: {answered[name]} answered, but {stored[name]} stored"
        for name in fleets
        if not answered[name] < stored[name] <= answered[name] + under_way[name]
    ]
    ordered = {name: rounds_of[name] for name in (NGINX, BARE, OURS, OURS_BY_ASGI)}
    _tell(ordered, facts, is_markdown=options.markdown)
    for name in fleets:
        print(
            f"{name}: {answered[name]:,} answered, {stored[name]:,} stored (at most"
            f" {under_way[name]:,} were under way when connections closed);"
            f" {written[name]:,} bytes to the disk a request"
        )
    if flushes is not None:
        print(
            f"flushes, counted by strace in a slower run of its own: {flushes['flushes']:,} for"
            f" {flushes['requests']:,} requests, one for"
            f" {flushes['requests'] / flushes['flushes']:.1f} requests"
        )
    report.finish(
        "write_path",
        {
            "machine": facts,
            "options": {name: str(value) for name, value in vars(options).items()},
            "raised_limits": servers.RAISED_LIMITS,
            "rounds": report.raw(ordered),
            "answered": answered,
            "stored": stored,
            "flushes": flushes,
            "disk_bytes_per_request": written,
        },
        to=options.json,
    )
    report.end_with(problems)


def _start(
    stack: contextlib.ExitStack,
    folder: Path,
    fleets: dict[str, fleet.Fleet],
    options: argparse.Namespace,
) -> dict[str, Target]:
    core = options.server_core
    ours: dict[str, servers.Running] = {}
    for name, one in fleets.items():
        environment = {"THINGSTEAD_DIRECT_LANE": "true" if name == OURS else "false"}
        ours[name] = stack.enter_context(
            servers.thingstead(one.data, core=core, name=name, environment=environment)
        )
    given = {
        name: servers.ask(server.port, "POST", f"/v2/things/{fleets[name].tokens[0]}", _BODY)
        for name, server in ours.items()
    }
    if given[OURS].status != 201 or given[OURS] != given[OURS_BY_ASGI]:
        sys.exit(f"a write was answered differently than expected: {given}")
    answer = given[OURS]
    static = {
        NGINX: stack.enter_context(servers.nginx(folder / "nginx", answer, core=core)),
        BARE: stack.enter_context(servers.bare_asgi(folder / "bare", answer, core=core)),
    }

    def target(server: servers.Running, own: fleet.Fleet | None) -> Target:
        tokens = str((own or fleets[OURS]).tokens_file)
        writes = load.Load("write.lua", (tokens,), options.connections, options.client_core)
        return Target(server, writes, own)

    return {
        **{name: target(server, None) for name, server in static.items()},
        **{name: target(server, fleets[name]) for name, server in ours.items()},
    }


def _count_flushes(target: Target) -> dict[str, int] | None:
    """Count flushes under strace, which slows the server down: the rate means nothing then."""
    if shutil.which("strace") is None:
        load.say("strace is missing, so flushes are not counted")
        return None
    command = ["strace", "-f", "-c", "-e", f"trace={','.join(_FLUSHES)}"]
    tracer = subprocess.Popen(
        [*command, "-p", str(target.server.pid)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        time.sleep(0.5)
        requests = load.warm_up(target.server, target.load, 2)
        tracer.send_signal(signal.SIGINT)
        _, said = tracer.communicate(timeout=10.0)
    finally:
        tracer.kill()
        tracer.wait()
    flushes = 0
    for line in said.splitlines():
        words = line.split()
        if len(words) >= 5 and words[-1] in _FLUSHES:
            flushes += int(words[3])
    return {"flushes": flushes, "requests": requests} if flushes else None


def _tell(
    rounds_of: dict[str, list[load.Round]], facts: dict[str, object], *, is_markdown: bool
) -> None:
    print(report.describe(facts, is_markdown=is_markdown))
    print(report.table(*report.rate_rows(rounds_of, [NGINX]), is_markdown=is_markdown), "\n")
    ours, nginx = rounds_of[OURS], rounds_of[NGINX]
    share = report.middle(ours, report.per_s) / report.middle(nginx, report.per_s)
    cost = report.middle(ours, _cpu_us) / report.middle(nginx, _cpu_us)
    p99_ms = report.middle(ours, lambda one: one.p99_ms)
    rows = [
        ["durable writes, share of nginx", "≥ 0.15 (hoped for: 0.20)", f"{share:.3f}"],
        ["processor time, times nginx", "≤ 6", f"{cost:.2f}"],
        ["p99, ms", "≤ 10", f"{p99_ms:.2f}"],
    ]
    verdicts = [share >= 0.15, cost <= 6, p99_ms <= 10]
    for row, holds in zip(rows, verdicts, strict=True):
        row.append(report.verdict(holds=holds))
    print(report.table(["target", "wanted", "found", ""], rows, is_markdown=is_markdown), "\n")
    if any(report.is_disturbed(rounds) for rounds in rounds_of.values()):
        print(report.DISTURBED, "\n")


def _cpu_us(one: load.Round) -> float:
    return one.cpu_us


if __name__ == "__main__":
    main()
