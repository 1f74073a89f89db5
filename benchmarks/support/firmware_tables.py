"""What `firmware.py` tells, and what is wanted of it."""

import argparse
from statistics import median

from support import load, report

OURS, NGINX = "thingstead", "nginx"
FLEET = "thingstead, all things in turn"
ALONE, BESIDE = "writes alone", "beside the slow downloads"
IMAGE_BYTES = 1024 * 1024
PIECE_BYTES = 2 * 1024
SLOW_BYTES_PER_S = 4_096
_PIECES = 10_000
_WHOLE_SHARE, _PIECES_S, _POLLS_PER_S, _SLOW_MB = 0.5, 10.0, 2_000.0, 50.0

Rounds = dict[str, list[load.Round]]


def tell_whole(
    found: Rounds,
    client: dict[str, list[float]],
    targets: list[list[str]],
    *,
    is_markdown: bool,
) -> None:
    """Print the table of whole images; `client`: what the loading process used, in cores."""
    print(f"Whole images of {IMAGE_BYTES:,} bytes\n")
    heading, rows = report.rate_rows(found, [NGINX], unit="download")
    heading += ["MB/s", "server, cores", "client, cores"]
    for row in rows:
        rounds = found[row[0]]
        rate = report.middle(rounds, report.per_s)
        row += [
            f"{rate * IMAGE_BYTES / 1e6:,.0f}",
            f"{report.middle(rounds, lambda one: one.cpu_us * one.per_s / 1e6):.2f}",
            f"{median(client[row[0]]):.2f}",
        ]
    print(report.table(heading, rows, is_markdown=is_markdown), "\n")
    share = report.middle(found[OURS], report.per_s) / report.middle(found[NGINX], report.per_s)
    targets.append(
        [
            "whole images, share of nginx",
            f"≥ {_WHOLE_SHARE:g}",
            f"{share:.3f}",
            report.verdict(holds=share >= _WHOLE_SHARE),
        ]
    )


def tell_pieces(found: Rounds, targets: list[list[str]], *, is_markdown: bool) -> None:
    """Print the table of pieces."""
    print(f"Pieces of {PIECE_BYTES:,} bytes\n")
    references = [name for name in found if name.startswith(NGINX)]
    heading, rows = report.rate_rows(found, references)
    print(report.table(heading, rows, is_markdown=is_markdown), "\n")
    for name, rounds in found.items():
        if name.startswith(OURS):
            taken_s = _PIECES / report.middle(rounds, report.per_s)
            targets.append(
                [
                    f"{_PIECES:,} pieces, one core, {name.partition(', ')[2]}",
                    f"≤ {_PIECES_S:g} s",
                    f"{taken_s:.2f} s",
                    report.verdict(holds=taken_s <= _PIECES_S),
                ]
            )


def tell_polls(found: Rounds, targets: list[list[str]], *, is_markdown: bool) -> None:
    """Print the table of polls."""
    print("Polls that are answered 304\n")
    heading, rows = report.rate_rows(found, [NGINX])
    print(report.table(heading, rows, is_markdown=is_markdown), "\n")
    rate = report.middle(found[OURS], report.per_s)
    targets.append(
        [
            "304 polls of latest, one core",
            f"≥ {_POLLS_PER_S:,.0f}/s",
            f"{rate:,.0f}/s",
            report.verdict(holds=rate >= _POLLS_PER_S),
        ]
    )


def tell_slow(
    grown: list[dict[str, float]],
    writes: dict[str, list[dict[str, float]]],
    targets: list[list[str]],
    options: argparse.Namespace,
) -> None:
    """Print what slow downloads take, and what they do to writes."""

    def middle(name: str) -> float:
        return median(one[name] for one in grown) / 1024

    print(f"{options.downloads:,} slow downloads, each takes {SLOW_BYTES_PER_S:,} bytes a second\n")
    rows = [
        ["server before", f"{middle('before'):.1f} MiB"],
        ["more with the downloads: resident memory", f"{middle('VmRSS'):+.1f} MiB"],
        ["of it anonymous: the process's own memory", f"{middle('RssAnon'):+.1f} MiB"],
        ["kernel: socket buffers of both ends", f"{middle('sockets'):+.1f} MiB"],
        ["raw, MiB", " ".join(f"{one['VmRSS'] / 1024:+.1f}" for one in grown)],
    ]
    print(report.table(["memory", "found"], rows, is_markdown=options.markdown), "\n")
    heading = ["phase", "writes/s", "p50 ms", "p99 ms", "longest ms", "p99, raw"]
    rows = [
        [
            name,
            f"{median(one['per_s'] for one in told):,.0f}",
            f"{median(one['p50_ms'] for one in told):.2f}",
            f"{median(one['p99_ms'] for one in told):.2f}",
            f"{max(one['longest_ms'] for one in told):.0f}",
            " ".join(f"{one['p99_ms']:.1f}" for one in told),
        ]
        for name, told in writes.items()
    ]
    print(report.table(heading, rows, is_markdown=options.markdown), "\n")
    megabytes = middle("VmRSS") * 1.048576
    targets.append(
        [
            f"{options.downloads:,} slow downloads: resident memory",
            f"≤ +{_SLOW_MB:g} MB",
            f"{megabytes:+.1f} MB",
            report.verdict(holds=megabytes <= _SLOW_MB),
        ]
    )
