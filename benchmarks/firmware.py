"""How fast images are given out, and what polls and slow downloads cost.

Four parts: whole images beside nginx with the same file; pieces of 2 kB beside the same nginx;
polls that are answered 304; and writes beside a thousand slow downloads. See README.md for how
to read the tables.
"""

import argparse
import contextlib
import hashlib
import http.client
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from support import (
    firmware_tables,
    fleet,
    images,
    load,
    machine,
    phases,
    processes,
    report,
    servers,
    steady,
)
from support.firmware_tables import (
    ALONE,
    BESIDE,
    FLEET,
    IMAGE_BYTES,
    NGINX,
    OURS,
    PIECE_BYTES,
    SLOW_BYTES_PER_S,
    Rounds,
)

_SETTLE_S = 1.5
_OPEN_S = 60.0
_WRITES_PER_S = 1_000.0
# So few that all have begun their updates before the clock starts.
# While one piece of a thing is being noted, other connections come round to the thing again.
_RAISED_LIMITS = {"THINGSTEAD_LIMITS_DOWNLOADS_PER_THING": "64"}
_TAKERS = 50
_PARTS = ("whole", "pieces", "polls", "slow")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    report.add_load_options(parser, seconds=4, rounds=5)
    parser.add_argument("--downloads", type=int, default=1_000, help="slow ones at once")
    parser.add_argument("--parts", nargs="*", choices=_PARTS, default=list(_PARTS))
    options = parser.parse_args()
    machine.prepare("wrk", "nginx", "taskset")
    machine.require_cores(options.server_core, options.client_core)
    processes.end_in_order()
    folder = Path(tempfile.mkdtemp(prefix="firmware-", dir=options.folder))
    try:
        _run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, options: argparse.Namespace) -> None:
    facts = machine.facts(folder)
    print(report.describe(facts, is_markdown=options.markdown))
    rounds: dict[str, Rounds] = {}
    targets: list[list[str]] = []
    further: dict[str, object] = {}
    if "whole" in options.parts or "pieces" in options.parts:
        _give_out(folder / "out", rounds, targets, further, options)
    if "polls" in options.parts:
        _poll(folder / "polls", rounds, targets, options)
    if "slow" in options.parts:
        _go_slowly(folder / "slow", targets, further, options)
    heading = ["target", "wanted", "found", ""]
    print(report.table(heading, targets, is_markdown=options.markdown), "\n")
    raised = servers.RAISED_LIMITS | _RAISED_LIMITS
    print("limits raised:", " ".join(f"{name}={value}" for name, value in raised.items()))
    if any(report.is_disturbed(one) for part in rounds.values() for one in part.values()):
        print(report.DISTURBED)
    report.finish(
        "firmware",
        {
            "machine": facts,
            "options": {name: str(value) for name, value in vars(options).items()},
            "raised_limits": servers.RAISED_LIMITS | _RAISED_LIMITS,
            "image_bytes": IMAGE_BYTES,
            "piece_bytes": PIECE_BYTES,
            "rounds": {part: report.raw(found) for part, found in rounds.items()},
            **further,
        },
        to=options.json,
    )


@contextlib.contextmanager
def _served(
    folder: Path, options: argparse.Namespace
) -> Iterator[tuple[servers.Running, fleet.Fleet, images.Image]]:
    """Serve a fleet that is offered one image."""
    load.say(f"filling {folder.name} …")
    folder.mkdir()
    things = fleet.make_fleet(folder / "data", options.things)
    image = images.publish(things, IMAGE_BYTES)
    with servers.thingstead(
        things.data, core=options.server_core, environment=_RAISED_LIMITS
    ) as server:
        yield server, things, image


def _give_out(
    folder: Path,
    rounds: dict[str, Rounds],
    targets: list[list[str]],
    further: dict[str, object],
    options: argparse.Namespace,
) -> None:
    """Measure whole images and pieces, ours and nginx's in turn."""
    with (
        _served(folder, options) as (ours, things, image),
        images.nginx(folder / "nginx", image, core=options.server_core, name=NGINX) as nginx,
    ):
        given = {NGINX: nginx, OURS: ours}
        for server in given.values():
            _check(server, image, things.tokens[0])
        if "whole" in options.parts:
            found, client = _whole(folder, given, things, image, options)
            rounds["whole"], further["client_cores"] = found, client
            firmware_tables.tell_whole(found, client, targets, is_markdown=options.markdown)
        if "pieces" in options.parts:
            rounds["pieces"] = _pieces(given, things, image, options)
            firmware_tables.tell_pieces(rounds["pieces"], targets, is_markdown=options.markdown)


def _whole(
    folder: Path,
    given: dict[str, servers.Running],
    things: fleet.Fleet,
    image: images.Image,
    options: argparse.Namespace,
) -> tuple[Rounds, dict[str, list[float]]]:
    # A connection that stays may belong to one thing, or to a proxy in front of a fleet.
    kinds = {name: (server, options.connections) for name, server in given.items()}
    kinds[FLEET] = (given[OURS], len(things.tokens))
    rounds: Rounds = {name: [] for name in kinds}
    client: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(options.rounds):
        for name in report.turned(list(kinds), number):
            server, takers = kinds[name]
            asked = {
                "port": server.port,
                "targets": [image.target(token) for token in things.tokens[:takers]],
                "connections": options.connections,
                "size": image.size,
                "seconds": options.seconds,
            }
            told = phases.run(
                "download_load", asked, server=server, core=options.client_core, folder=folder
            )
            times_s = [float(one) for one in told.result["times_s"]]
            seconds = float(told.result["seconds"])
            measured = load.Round(
                requests=len(times_s),
                seconds=seconds,
                p50_ms=report.percentile(times_s, 0.5) * 1e3,
                p99_ms=report.percentile(times_s, 0.99) * 1e3,
                p999_ms=report.percentile(times_s, 0.999) * 1e3,
                longest_ms=max(times_s) * 1e3,
                cpu_us=told.server_cpu_s["whole"] / len(times_s) * 1e6,
                others_cores=told.others_cores,
            )
            rounds[name].append(measured)
            client[name].append(float(told.result["client_cpu_s"]) / seconds)
            _say(f"whole image, {name}", number, measured, options)
    return rounds, client


def _pieces(
    given: dict[str, servers.Running],
    things: fleet.Fleet,
    image: images.Image,
    options: argparse.Namespace,
) -> Rounds:
    asked = (str(things.tokens_file), image.id, str(image.size), str(PIECE_BYTES), str(_TAKERS))
    works = {
        f"{name}, {count} connection{'s'[: count > 1]}": (
            server,
            load.Load(
                "ranges.lua",
                (*asked, "pieces" if count == 1 else "things"),
                count,
                options.client_core,
            ),
        )
        for count in (1, options.connections)
        for name, server in given.items()
    }
    rounds: Rounds = {name: [] for name in works}
    for number in range(options.rounds):
        for name in report.turned(list(works), number):
            server, work = works[name]
            load.warm_up(server, work, 1)
            rounds[name].append(load.measure(server, work, options.seconds))
            _say(f"pieces, {name}", number, rounds[name][-1], options)
    return rounds


def _poll(
    folder: Path,
    rounds: dict[str, Rounds],
    targets: list[list[str]],
    options: argparse.Namespace,
) -> None:
    """Measure polls of things that have the newest image and were told so."""
    with _served(folder, options) as (ours, things, _image):
        load.say("every thing asks for the first time …")
        etags = [_first_poll(ours, token) for token in things.tokens]
        asked = folder / "polls"
        asked.write_text(
            "".join(
                f"{token}\t{etag}\n" for token, (etag, _) in zip(things.tokens, etags, strict=True)
            )
        )
        answer = servers.Given(304, b"", etags[0][1])
        work = load.Load(
            "polls.lua",
            (str(asked), images.VERSION),
            options.connections,
            options.client_core,
        )
        with servers.nginx(folder / "nginx", answer, core=options.server_core) as nginx:
            given = {NGINX: nginx, OURS: ours}
            found: Rounds = {name: [] for name in given}
            for number in range(options.rounds):
                for name in report.turned(list(given), number):
                    load.warm_up(given[name], work, 1)
                    found[name].append(load.measure(given[name], work, options.seconds))
                    _say(f"304, {name}", number, found[name][-1], options)
        # wrk takes a 200 for a success too.
        for token, (etag, _) in list(zip(things.tokens, etags, strict=True))[
            :: max(1, len(etags) // 50)
        ]:
            status, _, _ = _ask_latest(ours, token, etag)
            if status != 304:
                report.end_with([f"a poll was answered {status}, not 304"])
    rounds["polls"] = found
    firmware_tables.tell_polls(found, targets, is_markdown=options.markdown)


def _first_poll(server: servers.Running, token: str) -> tuple[str, int]:
    """Return the entity tag of the answer that stays, and the length of a 304's head."""
    etag = None
    for _ in range(4):
        status, found, head_bytes = _ask_latest(server, token, etag)
        if status == 304 and etag is not None:
            return etag, head_bytes
        etag = found
    sys.exit("the answer to the same poll is never the same")


def _ask_latest(
    server: servers.Running, token: str, etag: str | None
) -> tuple[int, str | None, int]:
    headers = {"X-Firmware-Version": images.VERSION}
    if etag is not None:
        headers["If-None-Match"] = etag
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10.0)
    try:
        connection.request("GET", f"/v2/things/{token}/firmwares/latest", headers=headers)
        response = connection.getresponse()
        response.read()
        lines = [f"HTTP/1.1 {response.status} {response.reason}"]
        lines += [f"{name}: {value}" for name, value in response.getheaders()]
        head_bytes = sum(len(line) + 2 for line in lines) + 2
        return response.status, response.headers["ETag"], head_bytes
    finally:
        connection.close()


def _go_slowly(
    folder: Path,
    targets: list[list[str]],
    further: dict[str, object],
    options: argparse.Namespace,
) -> None:
    """Measure memory and the times of writes, with and without slow downloads."""
    grown: list[dict[str, float]] = []
    writes: dict[str, list[dict[str, float]]] = {ALONE: [], BESIDE: []}
    with _served(folder, options) as (ours, things, image):
        asked = {
            "port": ours.port,
            "targets": [image.target(token) for token in things.tokens],
            "bytes_per_s": SLOW_BYTES_PER_S,
        }
        # One first, so that what is loaded on first use is not counted.
        with _slow({**asked, "downloads": 1}, folder, options):
            _write(ours, things, options)
        time.sleep(_SETTLE_S)
        # Once: an allocator keeps what it got, and all rounds but the first would seem free.
        before = _memory(ours)
        for number in range(options.rounds):
            writes[ALONE].append(_write(ours, things, options))
            with _slow({**asked, "downloads": options.downloads}, folder, options) as client:
                time.sleep(_SETTLE_S)
                during = _memory(ours)
                writes[BESIDE].append(_write(ours, things, options))
                if client.poll() is not None:
                    report.end_with(["a slow download ended before the round did"])
            grown.append(
                {name: during[name] - before[name] for name in before} | {"before": before["VmRSS"]}
            )
            load.say(
                f"round {number + 1}/{options.rounds}  {options.downloads} slow downloads:"
                f" +{grown[-1]['VmRSS'] / 1024:.1f} MiB, p99 of a write"
                f" {writes[BESIDE][-1]['p99_ms']:.2f} ms"
            )
    further["slow"] = {"grown_kib": grown, "writes": writes}
    firmware_tables.tell_slow(grown, writes, targets, options)


def _memory(server: servers.Running) -> dict[str, float]:
    return {**processes.memory_kib(server.pid), "sockets": processes.socket_memory_kib()}


def _write(
    server: servers.Running, things: fleet.Fleet, options: argparse.Namespace
) -> dict[str, float]:
    """Write by the clock for some seconds; return what the writer tells."""
    with steady.writing(
        server, things.tokens_file, per_s=_WRITES_PER_S, core=options.client_core
    ) as writer:
        time.sleep(options.seconds)
    if not writer.told["answered"] or writer.told["refused"] or writer.told["lost"]:
        report.end_with([f"writes failed: {writer.told}"])
    return writer.told


@contextlib.contextmanager
def _slow(
    asked: dict[str, object], folder: Path, options: argparse.Namespace
) -> Iterator[subprocess.Popen[bytes]]:
    """Hold slow downloads in a process of their own while the block runs."""
    log = folder / "slow.log"
    command = phases.command("slow_downloads", asked, folder / "slow.json")
    with processes.running(
        command, core=options.client_core, log=log, environment=phases.environment()
    ) as process:
        processes.first_line(process, timeout_s=_OPEN_S, log=log)
        yield process


def _check(server: servers.Running, image: images.Image, token: str) -> None:
    """End unless the server gives the image out, byte by byte."""
    given = servers.ask(server.port, "GET", image.target(token))
    wanted = hashlib.sha256(image.file.read_bytes()).digest()
    if given.status != 200 or hashlib.sha256(given.body).digest() != wanted:
        sys.exit(f"{server.name} does not give the image out: {given.status}")


def _say(what: str, number: int, found: load.Round, options: argparse.Namespace) -> None:
    load.say(
        f"round {number + 1}/{options.rounds}  {what:36} {found.per_s:>9,.0f}/s"
        f"  p99 {found.p99_ms:6.2f} ms  {found.cpu_us:7.1f} µs"
        f"  others {found.others_cores:.2f} cores"
    )


if __name__ == "__main__":
    main()
