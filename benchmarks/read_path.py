"""How fast stored values are read back: the latest one, and the newest hundred.

In one run and in alternating rounds on one core: the platform, and for each kind of answer an
nginx and an ASGI application that give an answer of the same size from memory. Afterwards the
same reads while somebody writes. See README.md for how to read the tables.
"""

import argparse
import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

from support import fleet, load, machine, processes, report, servers, steady

_EACH = 250
_NEWEST = 100
OURS, OURS_UNKEPT = "thingstead", "thingstead, nothing kept"
_KEPT_NOTHING = {"THINGSTEAD_LIMITS_KEPT_BYTES": "0"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    report.add_load_options(parser, seconds=3, rounds=5)
    parser.add_argument("--writes", type=float, default=2_000.0, help="per second, beside reads")
    options = parser.parse_args()
    machine.prepare("wrk", "nginx", "taskset")
    machine.require_cores(options.server_core, options.client_core)
    processes.end_in_order()
    folder = Path(tempfile.mkdtemp(prefix="read-", dir=options.folder))
    try:
        _run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, options: argparse.Namespace) -> None:
    facts = machine.facts(folder)
    load.say("filling …")
    fleets: dict[str, fleet.Fleet] = {}
    for name, place in ((OURS, "kept"), (OURS_UNKEPT, "unkept")):
        fleets[name] = fleet.make_fleet(folder / place, options.things)
        fleet.fill_evenly(fleets[name], each=_EACH)
    things = fleets[OURS]
    rounds_of: dict[str, list[load.Round]] = {}
    with contextlib.ExitStack() as stack:
        ours = {
            name: stack.enter_context(
                servers.thingstead(
                    one.data,
                    core=options.server_core,
                    name=name,
                    environment=_KEPT_NOTHING if name == OURS_UNKEPT else {},
                )
            )
            for name, one in fleets.items()
        }
        targets: list[tuple[str, servers.Running, load.Load]] = []
        for newest in (1, _NEWEST):
            targets += _targets(stack, folder, ours, fleets, newest, options)
        for number in range(options.rounds):
            at = number % len(targets)
            for name, server, work in targets[at:] + targets[:at]:
                _round(rounds_of, name, server, work, options)
        with steady.writing(
            ours[OURS], things.tokens_file, per_s=options.writes, core=options.client_core
        ) as writer:
            for _ in range(options.rounds):
                for newest in (1, _NEWEST):
                    name = f"{_name(OURS, newest)}, {options.writes:g} writes/s beside"
                    work = _work(things, newest, options)
                    _round(rounds_of, name, ours[OURS], work, options)
    _tell(rounds_of, writer, facts, options)
    report.finish(
        "read_path",
        {
            "machine": facts,
            "options": {name: str(value) for name, value in vars(options).items()},
            "raised_limits": servers.RAISED_LIMITS,
            "values_of_each_thing": _EACH,
            "rounds": report.raw(rounds_of),
            "writer": writer.told,
        },
        to=options.json,
    )
    problems = []
    if not writer.told["answered"] or writer.told["refused"] or writer.told["lost"]:
        problems.append(f"writes beside the reads failed: {writer.told}")
    report.end_with(problems)


def _name(server: str, number: int) -> str:
    return f"{server}, latest" if number == 1 else f"{server}, newest {number}"


def _work(things: fleet.Fleet, number: int, options: argparse.Namespace) -> load.Load:
    arguments = (str(things.tokens_file), str(number))
    return load.Load("read.lua", arguments, options.connections, options.client_core)


def _targets(
    stack: contextlib.ExitStack,
    folder: Path,
    ours: dict[str, servers.Running],
    fleets: dict[str, fleet.Fleet],
    number: int,
    options: argparse.Namespace,
) -> list[tuple[str, servers.Running, load.Load]]:
    """Start the two references that answer with as many bytes as ours."""
    query = "" if number == 1 else f"?limit={number}"
    target = f"/v2/things/{fleets[OURS].tokens[0]}/resources/{fleet.KEY}{query}"
    answer = servers.ask(ours[OURS].port, "GET", target)
    if answer.status != 200 or answer.body.count(b'"value":') != number:
        sys.exit(f"GET {query} was answered differently than expected: {answer}")
    core = options.server_core
    nginx = servers.nginx(folder / f"nginx{number}", answer, core=core)
    bare = servers.bare_asgi(folder / f"bare{number}", answer, core=core)
    work = {name: _work(one, number, options) for name, one in fleets.items()}
    return [
        (_name("nginx", number), stack.enter_context(nginx), work[OURS]),
        (_name("bare uvicorn", number), stack.enter_context(bare), work[OURS]),
        *((_name(name, number), server, work[name]) for name, server in ours.items()),
    ]


def _round(
    rounds_of: dict[str, list[load.Round]],
    name: str,
    server: servers.Running,
    work: load.Load,
    options: argparse.Namespace,
) -> None:
    rounds = rounds_of.setdefault(name, [])
    load.warm_up(server, work, 1)
    measured = load.measure(server, work, options.seconds)
    rounds.append(measured)
    load.say(
        f"round {len(rounds)}/{options.rounds}  {name:44} {measured.per_s:>9,.0f}/s"
        f"  p99 {measured.p99_ms:6.2f} ms  {measured.cpu_us:6.1f} µs"
        f"  others {measured.others_cores:.2f} cores"
    )


def _tell(
    rounds_of: dict[str, list[load.Round]],
    writer: steady.Steady,
    facts: dict[str, object],
    options: argparse.Namespace,
) -> None:
    small, large = _name("nginx", 1), _name("nginx", _NEWEST)
    print(report.describe(facts, is_markdown=options.markdown))
    heading, rows = report.rate_rows(rounds_of, [small, large])
    print(report.table(heading, rows, is_markdown=options.markdown), "\n")

    def rate(name: str) -> float:
        return report.middle(rounds_of[name], report.per_s)

    found = [
        (
            f"{server}, {what}: share of nginx, {than}",
            wanted,
            rate(_name(server, number)) / rate(one),
        )
        for server in (OURS, OURS_UNKEPT)
        for what, number, wanted, than, one in (
            ("latest", 1, 0.12, "same size", small),
            (f"newest {_NEWEST}", _NEWEST, 0.08, "same size", large),
            (f"newest {_NEWEST}", _NEWEST, 0.08, "short answer", small),
        )
    ]
    targets = [
        [what, f"≥ {wanted}", f"{share:.3f}", report.verdict(holds=share >= wanted)]
        for what, wanted, share in found
    ]
    heading = ["target", "wanted", "found", ""]
    print(report.table(heading, targets, is_markdown=options.markdown), "\n")
    print(f"the writer beside: {writer.line()}")
    calm = {name: one for name, one in rounds_of.items() if "beside" not in name}
    if any(report.is_disturbed(rounds) for rounds in calm.values()):
        print(report.DISTURBED)


if __name__ == "__main__":
    main()
