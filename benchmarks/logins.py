"""What devices notice of log-ins: how long durable writes take while fifty clients log in.

In one run and in phases that take turns, a steady writer measures the writes: alone, beside
log-ins with the right password, and beside log-ins that fail. Between the phases failed
log-ins are timed one after the other: an account that exists must not be told from one that
does not. See README.md for how to read the tables.
"""

import argparse
import contextlib
import dataclasses
import math
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from support import fleet, load, login_load, machine, people, processes, report, servers, steady

IDLE, RIGHT, FAILING = "writes alone", "beside log-ins", "beside failing log-ins"
PHASES = (IDLE, RIGHT, FAILING)
_SETTLE_S = 1.0
_MOST_TIMES_IDLE = 2.0
# A difference that chance makes once in a hundred runs is taken for chance.
_CHANCE = 0.01
# What guesses are allowed, so that failing log-ins go on; README.md names them.
_RAISED = {
    "THINGSTEAD_LIMITS_BAD_LOGINS_PER_MINUTE": "1000000",
    "THINGSTEAD_LIMITS_BAD_LOGINS_PER_ADDRESS": "1000000",
    "THINGSTEAD_LIMITS_BAD_LOGINS_PER_ACCOUNT": "1000000",
}


@dataclass(frozen=True, slots=True)
class Phase:
    """What one phase gave; cores are those used meanwhile by the server, and by strangers."""

    writes: dict[str, float]
    server_cores: float
    others_cores: float
    logins: login_load.LogIns | None


@dataclass(slots=True)
class Found:
    """Everything that was measured; `timed_ms` by kind of log-in, one after the other."""

    phases: dict[str, list[Phase]] = field(default_factory=lambda: {kind: [] for kind in PHASES})
    timed_ms: dict[str, list[float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def note(self, logins: login_load.LogIns) -> None:
        """Keep what makes the figures worthless."""
        if logins.unexpected or logins.lost:
            self.problems.append(f"log-ins: {logins.unexpected} unexpected, {logins.lost} lost")

    def middle(self, kind: str, name: str) -> float:
        """Return the median over the phases of a kind of something that the writer tells."""
        return median(phase.writes[name] for phase in self.phases[kind])


@dataclass(frozen=True, slots=True)
class Rig:
    """What the phases share."""

    server: servers.Running
    things: fleet.Fleet
    owners: people.People
    folder: Path
    options: argparse.Namespace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    report.add_options(parser)
    parser.add_argument("--seconds", type=int, default=6, help="of one phase")
    parser.add_argument("--rounds", type=int, default=5, help="of each kind of phase")
    parser.add_argument("--things", type=int, default=1_000)
    parser.add_argument("--filled", type=int, default=250, help="values of each thing before")
    parser.add_argument("--writes", type=float, default=1_000.0, help="per second")
    parser.add_argument("--clients", type=int, default=50, help="that log in, and their users")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    parser.add_argument("--unpinned", action="store_true", help="let the server use all cores")
    options = parser.parse_args()
    machine.prepare("taskset")
    machine.require_cores(options.server_core, options.client_core)
    processes.end_in_order()
    folder = Path(tempfile.mkdtemp(prefix="logins-", dir=options.folder))
    try:
        _run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, options: argparse.Namespace) -> None:
    facts = machine.facts(folder)
    core = None if options.unpinned else options.server_core
    load.say("making things and users …")
    things = fleet.make_fleet(folder / "data", options.things)
    fleet.fill_evenly(things, each=options.filled)
    with _confined_to(core):
        owners = people.make_people(things.data, options.clients)
    found = Found()
    with servers.thingstead(things.data, core=core, environment=_RAISED) as server:
        _measure(Rig(server, things, owners, folder, options), found)
    _tell(found, facts, options)
    report.finish(
        "logins",
        {
            "machine": facts,
            "options": {name: str(value) for name, value in vars(options).items()},
            "raised_limits": {**servers.RAISED_LIMITS, **_RAISED},
            "hash": _hash_parameters(things.data),
            "phases": {
                kind: [dataclasses.asdict(phase) for phase in phases]
                for kind, phases in found.phases.items()
            },
            "timed_ms": found.timed_ms,
        },
        to=options.json,
    )
    report.end_with(found.problems)


def _measure(rig: Rig, found: Found) -> None:
    """Let the phases take turns, and time log-ins between them."""
    _warm_up(rig, found)
    for number in range(rig.options.rounds):
        at = number % len(PHASES)
        for kind in PHASES[at:] + PHASES[:at]:
            phase = _phase(rig, kind, rig.options.seconds)
            found.phases[kind].append(phase)
            _say(phase, kind, number, rig.options)
            if phase.logins is not None:
                found.note(phase.logins)
            if not phase.writes["answered"] or phase.writes["refused"] or phase.writes["lost"]:
                found.problems.append(f"{kind}: writes failed: {phase.writes}")
        _time_log_ins(rig, found, number)


@contextlib.contextmanager
def _confined_to(core: int | None) -> Iterator[None]:
    """Use that core only, as the server will: the cost of a hash depends on how many there are."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before if core is None else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _warm_up(rig: Rig, found: Found) -> None:
    """Have everything done once that costs more the first time, and the letters gone."""
    _phase(rig, IDLE, 1)
    for kind in (login_load.RIGHT, login_load.WRONG, login_load.UNKNOWN):
        logins = login_load.sent_by(rig.owners, kind)[:10]
        found.note(_one_by_one(rig, logins))


def _phase(rig: Rig, kind: str, seconds: float) -> Phase:
    """Measure the writes for some seconds; log-ins begin before and end after."""
    options, logins = rig.options, _logins_of(rig.owners, kind)
    with contextlib.ExitStack() as stack:
        clients = None
        if logins:
            running = login_load.logging_in(
                rig.server,
                logins,
                clients=options.clients,
                folder=rig.folder,
                core=options.client_core,
            )
            clients = stack.enter_context(running)
        time.sleep(_SETTLE_S)
        tokens, core = rig.things.tokens_file, options.client_core
        writing = steady.writing(rig.server, tokens, per_s=options.writes, core=core)
        writer = stack.enter_context(writing)
        pids = [rig.server.pid, writer.pid, *([clients.pid] if clients else [])]
        watch = stack.enter_context(load.watching(*pids))
        cpu, begun = processes.cpu_s(rig.server.pid), time.monotonic()
        time.sleep(seconds)
        cores = (processes.cpu_s(rig.server.pid) - cpu) / (time.monotonic() - begun)
    return Phase(writer.told, cores, watch.others_cores, clients)


def _logins_of(owners: people.People, kind: str) -> list[login_load.Sent]:
    """Return what the clients send in a phase of that kind, one for each user."""
    if kind == RIGHT:
        return login_load.sent_by(owners, login_load.RIGHT)
    if kind == FAILING:
        wrong = login_load.sent_by(owners, login_load.WRONG)
        unknown = login_load.sent_by(owners, login_load.UNKNOWN)
        # They take turns: when the queue is full, those who came first keep their places.
        return [pair[at % 2] for at, pair in enumerate(zip(wrong, unknown, strict=True))]
    return []


def _time_log_ins(rig: Rig, found: Found, number: int) -> None:
    """Time one of each kind for every user, in random order, while nothing else happens."""
    time.sleep(_SETTLE_S)
    kinds = (login_load.RIGHT, login_load.WRONG, login_load.UNKNOWN)
    logins = [one for kind in kinds for one in login_load.sent_by(rig.owners, kind)]
    random.Random(number).shuffle(logins)
    done = _one_by_one(rig, logins)
    found.note(done)
    for kind, taken_ms in done.taken_ms.items():
        found.timed_ms.setdefault(kind, []).extend(taken_ms)


def _one_by_one(rig: Rig, logins: Sequence[login_load.Sent]) -> login_load.LogIns:
    return login_load.one_after_the_other(
        rig.server, logins, folder=rig.folder, core=rig.options.client_core
    )


def _hash_parameters(data: Path) -> str:
    """Return how the passwords of the data folder are hashed, without salt and hash."""
    return people.stored_hash(data).rpartition("$")[0].rpartition("$")[0].lstrip("$")


def chance_of_difference(first: Sequence[float], second: Sequence[float]) -> float:
    """Return how often chance alone makes two samples differ so much (Mann-Whitney, two-sided).

    By the normal approximation, which is good from some twenty values on; times hardly ever
    tie, so ties are not corrected for.
    """
    ranked = sorted([(value, 1) for value in first] + [(value, 0) for value in second])
    ranks = sum(rank for rank, (_, is_first) in enumerate(ranked, 1) if is_first)
    sizes = len(first) * len(second)
    below = ranks - len(first) * (len(first) + 1) / 2
    spread = math.sqrt(sizes * (len(ranked) + 1) / 12)
    return math.erfc(abs(below - sizes / 2) / spread / math.sqrt(2))


def _say(phase: Phase, kind: str, number: int, options: argparse.Namespace) -> None:
    beside = "" if phase.logins is None else f"  {phase.logins.per_s:.1f} log-ins/s"
    load.say(
        f"round {number + 1}/{options.rounds}  {kind:23}"
        f"  p50 {phase.writes['p50_ms']:6.2f}  p99 {phase.writes['p99_ms']:7.2f} ms"
        f"  server {phase.server_cores:.2f}  others {phase.others_cores:.2f} cores{beside}"
    )


def _tell(found: Found, facts: dict[str, object], options: argparse.Namespace) -> None:
    print(report.describe(facts, is_markdown=options.markdown))
    heading = ["phase", "writes/s", "p50 ms", "p99 ms", "longest ms", "p99, times alone"]
    heading += ["server, cores", "log-ins/s", "503/s", "CPU ms/log-in", "p99, raw"]
    rows = [_row(found, kind) for kind in PHASES]
    print(report.table(heading, rows, is_markdown=options.markdown), "\n")
    heading = ["log-ins one after the other", "median ms", "middle half, ms", "number"]
    rows = [
        [
            kind,
            f"{median(taken):.2f}",
            f"{report.percentile(taken, 0.25):.2f} to {report.percentile(taken, 0.75):.2f}",
            str(len(taken)),
        ]
        for kind, taken in sorted(found.timed_ms.items())
    ]
    print(report.table(heading, rows, is_markdown=options.markdown), "\n")
    targets = _targets(found)
    heading = ["target", "wanted", "found", ""]
    print(report.table(heading, targets, is_markdown=options.markdown), "\n")
    print("limits raised:", " ".join(f"{name}={value}" for name, value in _RAISED.items()))
    if any(_is_disturbed(phases) for phases in found.phases.values()):
        print(report.DISTURBED)


def _targets(found: Found) -> list[list[str]]:
    """Return the rows of the table of targets."""
    targets = [
        [
            f"p99 of a write {kind}, times {IDLE}",
            f"≤ {_MOST_TIMES_IDLE:g}",
            f"{_times_idle(found, kind):.2f}",
            report.verdict(holds=_times_idle(found, kind) <= _MOST_TIMES_IDLE),
        ]
        for kind in (RIGHT, FAILING)
    ]
    wrong = found.timed_ms.get(login_load.WRONG, [])
    unknown = found.timed_ms.get(login_load.UNKNOWN, [])
    if wrong and unknown:
        chance = chance_of_difference(wrong, unknown)
        difference = median(wrong) - median(unknown)
        targets.append(
            [
                "unknown accounts take as long as known ones: p by Mann-Whitney",
                f"≥ {_CHANCE:g}",
                f"{chance:.3f} (medians differ by {difference:+.3f} ms)",
                report.verdict(holds=chance >= _CHANCE),
            ]
        )
    return targets


def _row(found: Found, kind: str) -> list[str]:
    phases = found.phases[kind]
    cores = median(phase.server_cores for phase in phases)
    logins = [phase.logins for phase in phases if phase.logins is not None]
    beside = ["", "", ""]
    if logins:
        per_s = median(one.per_s for one in logins)
        more = cores - median(phase.server_cores for phase in found.phases[IDLE])
        beside = [
            f"{per_s:.1f}",
            f"{median(one.busy / one.seconds for one in logins):.1f}",
            f"{more / per_s * 1e3:.1f}" if per_s else "",
        ]
    return [
        kind,
        f"{found.middle(kind, 'per_s'):,.0f}",
        f"{found.middle(kind, 'p50_ms'):.2f}",
        f"{found.middle(kind, 'p99_ms'):.2f}",
        f"{max(phase.writes['longest_ms'] for phase in phases):.0f}",
        "1" if kind == IDLE else f"{_times_idle(found, kind):.2f}",
        f"{cores:.2f}",
        *beside,
        " ".join(f"{phase.writes['p99_ms']:.1f}" for phase in phases),
    ]


def _times_idle(found: Found, kind: str) -> float:
    return found.middle(kind, "p99_ms") / found.middle(IDLE, "p99_ms")


def _is_disturbed(phases: Sequence[Phase]) -> bool:
    return median(phase.others_cores for phase in phases) > report.DISTURBED_CORES


if __name__ == "__main__":
    main()
