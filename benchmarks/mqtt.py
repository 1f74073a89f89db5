"""How fast values over MQTT with QoS 1 are stored, beside a broker that stores nothing.

In one run and in alternating rounds on one core: Mosquitto, which acknowledges at once, and the
platform, which acknowledges after the flush; each with one message in flight per client and
with ten. See README.md for how to read the table.
"""

import argparse
import contextlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from support import fleet, load, machine, phases, processes, report, servers

MOSQUITTO, OURS = "Mosquitto", "thingstead"
_PAYLOAD = '{"values":[{"key":"temperature","value":21.5}]}'
_FEW, _MANY = 1, 10
# In the prototype: 0.26 without the product's checks and features.
_SHARE_WANTED = 0.2


@dataclass(frozen=True, slots=True)
class Target:
    """A server with a window; its port speaks MQTT."""

    server: servers.Running
    port: int
    window: int


@dataclass(frozen=True, slots=True)
class Round(load.Round):
    """What one round gave; `written` to the disk by the server, in bytes, for each message."""

    client_cores: float
    written: float
    sent_in_all: int
    acknowledged_in_all: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    report.add_load_options(parser, seconds=5, rounds=5, things=100, connections=100)
    parser.add_argument("--filled", type=int, default=250, help="values of each thing before")
    options = parser.parse_args()
    machine.prepare(servers.MOSQUITTO, "taskset")
    machine.require_cores(options.server_core, options.client_core)
    processes.end_in_order()
    folder = Path(tempfile.mkdtemp(prefix="mqtt-", dir=options.folder))
    try:
        _run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, options: argparse.Namespace) -> None:
    facts = machine.facts(folder)
    facts["tools"] = {"mosquitto": machine.version(servers.MOSQUITTO, "-h")}
    load.say("making things …")
    things = fleet.make_fleet(folder / "data", options.things)
    # In an empty file many series share a page, and the first rounds would be too fast.
    before = fleet.fill_evenly(things, each=options.filled)
    rounds_of: dict[str, list[Round]] = {}
    with contextlib.ExitStack() as stack:
        targets = _start(stack, folder, things, options)
        for number in range(options.rounds):
            for name in report.turned(list(targets), number):
                measured = _measure(targets[name], things, folder, options)
                rounds_of.setdefault(name, []).append(measured)
                load.say(
                    f"round {number + 1}/{options.rounds}  {name:26} {measured.per_s:>9,.0f}/s"
                    f"  p99 {measured.p99_ms:6.2f} ms  {measured.cpu_us:5.1f} µs"
                    f"  others {measured.others_cores:.2f} cores"
                )
    ours = [one for name, all_of in rounds_of.items() if name.startswith(OURS) for one in all_of]
    stored = fleet.stored_values(things.data) - before
    acknowledged = sum(one.acknowledged_in_all for one in ours)
    sent = sum(one.sent_in_all for one in ours)
    problems = []
    if not acknowledged <= stored <= sent:
        problems.append(f"{acknowledged} acknowledged and {sent} sent, but {stored} stored")
    ordered = {name: rounds_of[name] for name in targets}
    _tell(ordered, facts, is_markdown=options.markdown)
    print(f"{OURS}: {acknowledged:,} acknowledged of {sent:,} sent, {stored:,} stored")
    report.finish(
        "mqtt",
        {
            "machine": facts,
            "options": {name: str(value) for name, value in vars(options).items()},
            "raised_limits": servers.RAISED_LIMITS,
            "rounds": report.raw(ordered),
            "acknowledged": acknowledged,
            "sent": sent,
            "stored": stored,
        },
        to=options.json,
    )
    report.end_with(problems)


def _start(
    stack: contextlib.ExitStack,
    folder: Path,
    things: fleet.Fleet,
    options: argparse.Namespace,
) -> dict[str, Target]:
    core, port = options.server_core, processes.free_port()
    flags = ("--mqtt-port", str(port))
    ours = stack.enter_context(servers.thingstead(things.data, core=core, flags=flags))
    theirs = stack.enter_context(servers.mosquitto(folder / "mosquitto", core=core))
    return {
        _name(server.name, window): Target(server, at, window)
        for window in (_FEW, _MANY)
        for server, at in ((theirs, theirs.port), (ours, port))
    }


def _measure(
    target: Target, things: fleet.Fleet, folder: Path, options: argparse.Namespace
) -> Round:
    tokens = things.tokens
    asked = {
        "port": target.port,
        "topics": [f"v2/things/{tokens[at % len(tokens)]}" for at in range(options.connections)],
        "payload": _PAYLOAD,
        "window": target.window,
        "seconds": options.seconds,
    }
    server = target.server
    written = processes.written_bytes(server.pid)
    told = phases.run("mqtt_load", asked, server=server, core=options.client_core, folder=folder)
    written = processes.written_bytes(server.pid) - written
    result = told.result
    messages, seconds = result["acknowledged"], result["seconds"]
    if not messages:
        raise load.FailedRoundError(f"{server.name} acknowledged nothing")
    return Round(
        requests=messages,
        seconds=seconds,
        p50_ms=result["p50_ms"],
        p99_ms=result["p99_ms"],
        p999_ms=result["p999_ms"],
        longest_ms=result["longest_ms"],
        cpu_us=told.server_cpu_s["load"] / messages * 1e6,
        others_cores=told.others_cores,
        client_cores=result["client_cpu_s"] / seconds,
        written=written / result["acknowledged_in_all"],
        sent_in_all=result["sent_in_all"],
        acknowledged_in_all=result["acknowledged_in_all"],
    )


def _tell(
    rounds_of: dict[str, list[Round]], facts: dict[str, object], *, is_markdown: bool
) -> None:
    print(report.describe(facts, is_markdown=is_markdown))
    heading, rows = report.rate_rows(rounds_of, [], unit="message")
    shares = {}
    for name, row in zip(rounds_of, rows, strict=True):
        theirs = report.middle(rounds_of[name.replace(OURS, MOSQUITTO)], report.per_s)
        shares[name] = report.middle(rounds_of[name], report.per_s) / theirs
        row.insert(2, "1" if name.startswith(MOSQUITTO) else f"{shares[name]:.3f}")
        row.insert(-1, f"{median(one.written for one in rounds_of[name]):,.0f}")
        row.insert(-1, f"{median(one.client_cores for one in rounds_of[name]):.2f}")
    heading.insert(2, "share of Mosquitto")
    heading.insert(-1, "bytes to the disk/message")
    heading.insert(-1, "client, cores")
    print(report.table(heading, rows, is_markdown=is_markdown), "\n")
    share = shares[_name(OURS, _FEW)]
    holds = report.verdict(holds=share >= _SHARE_WANTED)
    target = ["durable QoS 1, one in flight, share of Mosquitto", f"≥ {_SHARE_WANTED}"]
    rows = [[*target, f"{share:.3f}", holds]]
    print(report.table(["target", "wanted", "found", ""], rows, is_markdown=is_markdown), "\n")
    if any(report.is_disturbed(rounds) for rounds in rounds_of.values()):
        print(report.DISTURBED, "\n")


def _name(server: str, window: int) -> str:
    return f"{server}, {window} in flight"


if __name__ == "__main__":
    main()
