"""How fast an app user's objects are created, read, changed and listed.

In one run and in alternating rounds on one core: the platform, and for each kind of call an
nginx and an ASGI application that give an answer of the same size from memory. See README.md
for how to read the table. It is not called `collections.py` because Python would import that
for its own module of this name.
"""

import argparse
import contextlib
import json
import random
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from support import load, machine, people, processes, report, servers

CREATE, READ, UPDATE, LIST = "create", "read one", "update", "list of 100"
KINDS = (CREATE, READ, UPDATE, LIST)
OURS = "thingstead"
_LISTED = 100
_CREATES_PREPARED = 10  # of each collection; how many is of no consequence, all are as long
_WANTED_PER_S = {CREATE: 3_000, READ: 8_000}
# Rates and quotas of one user, who here stands for all: README.md names them.
_RAISED = {
    "THINGSTEAD_LIMITS_CALLS_PER_SECOND": "1000000",
    "THINGSTEAD_LIMITS_CALL_BURST": "1000000",
    "THINGSTEAD_LIMITS_COLLECTIONS_PER_USER": "1000000",
    "THINGSTEAD_LIMITS_OBJECTS_PER_COLLECTION": "10000000",
    "THINGSTEAD_LIMITS_COLLECTION_BYTES": "2147483648",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of call: what to send in turn, and the status that answers it."""

    method: str
    status: int
    lines: list[str]

    def first(self) -> tuple[str, bytes | None]:
        """Return target and body of the first."""
        target, _, body = self.lines[0].partition("\t")
        return target, body.encode("ascii") or None


@dataclass(frozen=True, slots=True)
class Target:
    """A server with one kind of call."""

    name: str
    kind: str
    server: servers.Running
    load: load.Load


@dataclass(slots=True)
class Tally:
    """What must be found in the file afterwards."""

    answered: int = 0
    runs: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    report.add_options(parser)
    parser.add_argument("--seconds", type=int, default=4, help="of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--collections", type=int, default=100)
    parser.add_argument("--each", type=int, default=1_000, help="objects in each before")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    options = parser.parse_args()
    if options.each < _LISTED:
        parser.error(f"--each: at least {_LISTED}, as many as are listed")
    machine.prepare("wrk", "nginx", "taskset")
    machine.require_cores(options.server_core, options.client_core)
    processes.end_in_order()
    folder = Path(tempfile.mkdtemp(prefix="collections-", dir=options.folder))
    try:
        _run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, options: argparse.Namespace) -> None:
    facts = machine.facts(folder)
    load.say("making objects …")
    owners = people.make_people(folder / "data", 1)
    (owner,) = owners.users
    names = [f"collection-{number:03}" for number in range(options.collections)]
    paths = people.fill_collections(owners.data, owner.id, names, each=options.each)
    before, _ = people.stored_objects(owners.data)
    tally = Tally()
    rounds_of: dict[str, list[load.Round]] = {}
    with contextlib.ExitStack() as stack:
        targets = _start(stack, folder, owners, _calls(names, paths), options)
        tally.answered += 1  # the create that showed what the answer looks like
        for number in range(options.rounds):
            at = number % len(targets)
            for target in targets[at:] + targets[:at]:
                _round(rounds_of, target, tally, options)
    ordered = {name: rounds_of[name] for name in _names()}
    _tell(ordered, facts, options)
    stored, problems = _count(owners.data, before, tally, options)
    report.finish(
        "collections_path",
        {
            "machine": facts,
            "options": {name: str(value) for name, value in vars(options).items()},
            "raised_limits": _RAISED,
            "rounds": report.raw(ordered),
            "stored": stored,
        },
        to=options.json,
    )
    report.end_with(problems)


def _count(
    data: Path, before: int, tally: Tally, options: argparse.Namespace
) -> tuple[dict[str, int], list[str]]:
    """Compare what is stored with what was answered; return the counts and what is wrong."""
    after, told = people.stored_objects(data)
    created = after - before
    # What was under way when wrk hung up is stored without having been counted as answered.
    under_way = tally.runs * options.connections
    problems = []
    if not tally.answered <= created <= tally.answered + under_way:
        problems.append(f"{tally.answered} creates answered, but {created} stored")
    if after != told:
        problems.append(f"{after} objects are stored, but the quotas count {told}")
    size = (data / "core.db").stat().st_size
    print(
        f"creates: {tally.answered:,} answered, {created:,} stored (at most {under_way:,} were"
        f" under way when connections closed); {before:,} objects before, {after:,} after,"
        f" {size / after:.0f} bytes of file each"
    )
    print("limits raised:", " ".join(f"{name}={value}" for name, value in _RAISED.items()))
    stored = {
        "creates_answered": tally.answered,
        "creates_stored": created,
        "most_under_way": under_way,
        "objects_before": before,
        "objects_after": after,
        "objects_counted_by_quotas": told,
        "file_bytes": size,
    }
    return stored, problems


def _calls(names: list[str], paths: list[str]) -> dict[str, Call]:
    """Return what to send: objects in random order, collections in turn."""
    below = "/v2/classes/me"
    shuffled = random.Random(1).sample(paths, len(paths))
    creates = [
        f"{below}/{name}\t{_compact(people.an_object(turn * len(names) + at))}"
        for turn in range(_CREATES_PREPARED)
        for at, name in enumerate(names)
    ]
    updates = [
        f"{below}/{path}\t{_compact({'level': 100 + at % 900})}" for at, path in enumerate(shuffled)
    ]
    return {
        CREATE: Call("POST", 201, creates),
        READ: Call("GET", 200, [f"{below}/{path}" for path in shuffled]),
        UPDATE: Call("PUT", 200, updates),
        LIST: Call("GET", 200, [f"{below}/{name}?limit={_LISTED}" for name in names]),
    }


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _start(
    stack: contextlib.ExitStack,
    folder: Path,
    owners: people.People,
    calls: dict[str, Call],
    options: argparse.Namespace,
) -> list[Target]:
    """Start the platform, and for each kind of call the two references."""
    core = options.server_core
    ours = stack.enter_context(
        servers.thingstead(owners.data, core=core, name=OURS, environment=_RAISED)
    )
    session = folder / "session"
    session.write_text(f"{owners.users[0].session}\n")
    targets: list[Target] = []
    for number, (kind, call) in enumerate(calls.items()):
        answer = _answer(ours, owners.users[0].session, kind, call)
        lines = folder / f"calls{number}"
        lines.write_text("".join(f"{line}\n" for line in call.lines))
        arguments = (call.method, str(session), str(lines))
        work = load.Load("app_user.lua", arguments, options.connections, options.client_core)
        nginx = servers.nginx(folder / f"nginx{number}", answer, core=core)
        bare = servers.bare_asgi(folder / f"bare{number}", answer, core=core)
        targets += [
            Target(_name("nginx", kind), kind, stack.enter_context(nginx), work),
            Target(_name("bare uvicorn", kind), kind, stack.enter_context(bare), work),
            Target(_name(OURS, kind), kind, ours, work),
        ]
    return targets


def _answer(server: servers.Running, session: str, kind: str, call: Call) -> servers.Given:
    """Return what the platform answers to the first call of a kind; end if that is wrong."""
    target, body = call.first()
    answer = servers.ask(server.port, call.method, target, body, session=session)
    objects = {READ: 1, LIST: _LISTED}.get(kind)
    is_right = answer.status == call.status and (
        objects is None or answer.body.count(b'"_id":') == objects
    )
    if not is_right:
        sys.exit(f"{call.method} {target} was answered differently than expected: {answer}")
    return answer


def _round(
    rounds_of: dict[str, list[load.Round]],
    target: Target,
    tally: Tally,
    options: argparse.Namespace,
) -> None:
    rounds = rounds_of.setdefault(target.name, [])
    warmed = load.warm_up(target.server, target.load, 1)
    measured = load.measure(target.server, target.load, options.seconds)
    rounds.append(measured)
    if target.name == _name(OURS, CREATE):
        tally.answered += warmed + measured.requests
        tally.runs += 2
    load.say(
        f"round {len(rounds)}/{options.rounds}  {target.name:26} {measured.per_s:>9,.0f}/s"
        f"  p99 {measured.p99_ms:6.2f} ms  {measured.cpu_us:6.1f} µs"
        f"  others {measured.others_cores:.2f} cores"
    )


def _name(server: str, kind: str) -> str:
    return f"{server}, {kind}"


def _names() -> list[str]:
    """Return the rows of the table in order."""
    return [_name(server, kind) for kind in KINDS for server in ("nginx", "bare uvicorn", OURS)]


def _tell(
    rounds_of: dict[str, list[load.Round]], facts: dict[str, object], options: argparse.Namespace
) -> None:
    print(report.describe(facts, is_markdown=options.markdown))
    for kind in KINDS:
        # A table each: the answers differ in size, so a share of another's nginx says nothing.
        of_kind = {name: one for name, one in rounds_of.items() if name.endswith(f", {kind}")}
        heading, rows = report.rate_rows(of_kind, [_name("nginx", kind)])
        print(report.table(heading, rows, is_markdown=options.markdown), "\n")
    targets: list[list[str]] = []
    for kind, wanted in _WANTED_PER_S.items():
        found = report.middle(rounds_of[_name(OURS, kind)], report.per_s)
        what = f"{'durable ' if kind == CREATE else ''}{kind}, one core"
        verdict = report.verdict(holds=found >= wanted)
        targets.append([what, f"≥ {wanted:,}/s", f"{found:,.0f}/s", verdict])
    heading = ["target", "wanted", "found", ""]
    print(report.table(heading, targets, is_markdown=options.markdown), "\n")
    if any(report.is_disturbed(rounds) for rounds in rounds_of.values()):
        print(report.DISTURBED, "\n")


if __name__ == "__main__":
    main()
