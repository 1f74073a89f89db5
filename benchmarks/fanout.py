"""How many deliveries a second one writer causes at a thousand subscribers of one thing.

In one run and in alternating rounds, over the stream of the v2 API, Server-Sent Events, the
live WebSocket and MQTT: first as fast as the writer is answered, then at a calm rate, where
only the time until delivery matters. See README.md for how to read the table.
"""

import argparse
import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from support import fleet, load, machine, phases, processes, report, servers
from support.subscribers import KINDS, V2Subscriber

_MOST_P99_MS = 500.0
_WANTED_PER_S = 250_000
# Each document leaves in a chunk and a write of its own; nothing can be joined.
_WANTED_PER_S_V2 = 100_000


@dataclass(frozen=True, slots=True)
class Round:
    """What one round gave at saturation; `calm_…` from the calm phase.

    Times are from a write's sending to its delivery, at the subscribers with a witness.
    `cpu_us`: of the server, for each delivery.
    """

    deliveries: int
    writes: int
    seconds: float
    p50_ms: float
    p99_ms: float
    longest_ms: float
    calm_p50_ms: float
    calm_p99_ms: float
    calm_longest_ms: float
    cpu_us: float
    server_cores: float
    client_cores: float
    others_cores: float

    @property
    def per_s(self) -> float:
        """Deliveries in a second."""
        return self.deliveries / self.seconds


@dataclass(frozen=True, slots=True)
class Rig:
    """What the rounds share."""

    server: servers.Running
    mqtt_port: int
    tokens: Mapping[str, str]
    folder: Path
    options: argparse.Namespace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    report.add_options(parser)
    parser.add_argument("--seconds", type=int, default=5, help="of one phase")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--subscribers", type=int, default=1_000)
    parser.add_argument("--witnesses", type=int, default=20, help="subscribers that check all")
    parser.add_argument("--writer", choices=("mqtt", "http"), default="mqtt")
    parser.add_argument("--in-flight", type=int, default=10, help="writes")
    parser.add_argument("--calm", type=float, default=50.0, help="writes per second")
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), default=list(KINDS))
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    options = parser.parse_args()
    machine.prepare("taskset")
    machine.require_cores(options.server_core, options.client_core)
    processes.end_in_order()
    folder = Path(tempfile.mkdtemp(prefix="fanout-", dir=options.folder))
    try:
        _run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, options: argparse.Namespace) -> None:
    facts = machine.facts(folder)
    things = fleet.make_fleet(folder / "data", len(options.kinds))
    port = processes.free_port()
    raised = {"THINGSTEAD_LIMITS_STREAMS_PER_THING": str(2 * options.subscribers)}
    rounds_of: dict[str, list[Round]] = {kind: [] for kind in options.kinds}
    problems: list[str] = []
    written = 0
    with servers.thingstead(
        things.data,
        core=options.server_core,
        environment=raised,
        flags=("--mqtt-port", str(port)),
    ) as server:
        tokens = dict(zip(options.kinds, things.tokens, strict=True))
        rig = Rig(server, port, tokens, folder, options)
        for number in range(options.rounds):
            for kind in report.turned(options.kinds, number):
                told = _told(rig, kind)
                written += told.result["written"]
                problems += [f"{kind}: {problem}" for problem in told.result["problems"]]
                rounds_of[kind].append(_round(told))
                _say(rounds_of[kind][-1], kind, number, options)
    stored = fleet.stored_values(things.data)
    if stored != written:
        problems.append(f"{written} written, but {stored} stored")
    _tell(rounds_of, facts, options)
    raised = {**servers.RAISED_LIMITS, **raised}
    print("limits raised:", " ".join(f"{name}={value}" for name, value in raised.items()))
    report.finish(
        "fanout",
        {
            "machine": facts,
            "options": {name: str(value) for name, value in vars(options).items()},
            "raised_limits": raised,
            "rounds": {
                kind: [{**dataclasses.asdict(one), "per_s": one.per_s} for one in rounds]
                for kind, rounds in rounds_of.items()
            },
            "written": written,
            "stored": stored,
        },
        to=options.json,
    )
    report.end_with(sorted(set(problems)))


def _told(rig: Rig, kind: str) -> phases.Told:
    options = rig.options
    asked = {
        "kind": kind,
        "token": rig.tokens[kind],
        "port": rig.server.port,
        "mqtt_port": rig.mqtt_port,
        "subscribers": options.subscribers,
        "witnesses": options.witnesses,
        "writer": options.writer,
        "in_flight": options.in_flight,
        "seconds": options.seconds,
        "calm_per_s": options.calm,
    }
    return phases.run(
        "fanout_load", asked, server=rig.server, core=options.client_core, folder=rig.folder
    )


def _round(told: phases.Told) -> Round:
    full, calm = told.result["saturated"], told.result["calm"]
    if not full["delivered"]:
        raise load.FailedRoundError(f"nothing was delivered: {told.result['problems']}")
    return Round(
        deliveries=full["delivered"],
        writes=full["written"],
        seconds=full["seconds"],
        p50_ms=full["p50_ms"],
        p99_ms=full["p99_ms"],
        longest_ms=full["longest_ms"],
        calm_p50_ms=calm["p50_ms"],
        calm_p99_ms=calm["p99_ms"],
        calm_longest_ms=calm["longest_ms"],
        cpu_us=told.server_cpu_s["saturated"] / full["delivered"] * 1e6,
        server_cores=told.server_cpu_s["saturated"] / full["seconds"],
        client_cores=full["client_cpu_s"] / full["seconds"],
        others_cores=told.others_cores,
    )


def _say(one: Round, kind: str, number: int, options: argparse.Namespace) -> None:
    load.say(
        f"round {number + 1}/{options.rounds}  {kind:18} {one.per_s:>9,.0f}/s"
        f"  p99 {one.p99_ms:6.2f} ms, calm {one.calm_p99_ms:6.2f} ms  {one.cpu_us:4.2f} µs"
        f"  client {one.client_cores:.2f} cores  others {one.others_cores:.2f} cores"
    )


def _tell(
    rounds_of: Mapping[str, Sequence[Round]],
    facts: dict[str, object],
    options: argparse.Namespace,
) -> None:
    print(report.describe(facts, is_markdown=options.markdown))
    heading = ["subscribers", "deliveries/s", "writes/s", "p50 ms", "p99 ms", "longest ms"]
    calm = f"at {options.calm:g} writes/s"
    heading += [f"p50 ms {calm}", f"p99 ms {calm}", f"longest ms {calm}"]
    heading += ["CPU µs/delivery", "server, cores", "client, cores", "raw, thousand/s"]
    rows = [[kind, *_cells(rounds)] for kind, rounds in rounds_of.items()]
    print(report.table(heading, rows, is_markdown=options.markdown), "\n")
    rows = []
    for kind, rounds in rounds_of.items():
        rate = _middle(rounds, lambda one: one.per_s)
        wanted = _WANTED_PER_S_V2 if kind == V2Subscriber.name else _WANTED_PER_S
        holds = report.verdict(holds=rate >= wanted)
        rows.append([f"{kind}: deliveries/s", f"≥ {wanted:,}", f"{rate:,.0f}", holds])
        p99_ms = _middle(rounds, lambda one: one.calm_p99_ms)
        holds = report.verdict(holds=p99_ms <= _MOST_P99_MS)
        rows.append([f"{kind}: p99 {calm}, ms", f"≤ {_MOST_P99_MS:g}", f"{p99_ms:.2f}", holds])
    table = report.table(["target", "wanted", "found", ""], rows, is_markdown=options.markdown)
    print(table, "\n")
    if any(
        _middle(rounds, lambda one: one.others_cores) > report.DISTURBED_CORES
        for rounds in rounds_of.values()
    ):
        print(report.DISTURBED, "\n")


def _cells(rounds: Sequence[Round]) -> list[str]:
    return [
        f"{_middle(rounds, lambda one: one.per_s):,.0f}",
        f"{_middle(rounds, lambda one: one.writes / one.seconds):,.0f}",
        f"{_middle(rounds, lambda one: one.p50_ms):.2f}",
        f"{_middle(rounds, lambda one: one.p99_ms):.2f}",
        f"{max(one.longest_ms for one in rounds):.0f}",
        f"{_middle(rounds, lambda one: one.calm_p50_ms):.2f}",
        f"{_middle(rounds, lambda one: one.calm_p99_ms):.2f}",
        f"{max(one.calm_longest_ms for one in rounds):.0f}",
        f"{_middle(rounds, lambda one: one.cpu_us):.2f}",
        f"{_middle(rounds, lambda one: one.server_cores):.2f}",
        f"{_middle(rounds, lambda one: one.client_cores):.2f}",
        " ".join(f"{one.per_s / 1e3:.0f}" for one in rounds),
    ]


def _middle(rounds: Sequence[Round], value: Callable[[Round], float]) -> float:
    return median(value(one) for one in rounds)


if __name__ == "__main__":
    main()
