"""`python -m e2e.durability.soak`: kill rounds in any number, one line a round.

What `test_kill.py` does in a few rounds, for as long as one likes; `scripts/soak` starts it.
Exit code 0 when nothing was lost, invented, doubled or halved, 1 otherwise.
"""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import time
from pathlib import Path

from e2e.durability.mqtt_rounds import kill_mqtt_and_check
from e2e.durability.rounds import WRITERS, kill_and_check


def main() -> int:
    """Run the rounds and print what they found."""
    parser = argparse.ArgumentParser(description="Kill the server under load, again and again.")
    parser.add_argument("--rounds", type=int, default=20, help="how often (default 20)")
    parser.add_argument("--writers", type=int, default=16, help="connections (default 16)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument(
        "--road", choices=[*WRITERS, "mqtt"], default="http", help="who writes (default http)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    arguments = parser.parse_args()
    seed = arguments.seed or secrets.randbits(32)
    sys.stderr.write(f"{arguments.rounds} rounds, seed {seed}\n")
    began = time.monotonic()
    bad = 0
    last = None
    with tempfile.TemporaryDirectory() as folder:
        common = {"rounds": arguments.rounds, "seed": seed, "writers": arguments.writers}
        run = (
            kill_mqtt_and_check(Path(folder) / "data", **common)
            if arguments.road == "mqtt"
            else kill_and_check(Path(folder) / "data", **common, road=arguments.road)
        )
        reports = asyncio.run(run)
    for number, report in enumerate(reports, start=1):
        problems = report.in_file.problems | report.through_api.problems
        bad += bool(problems)
        last = report.in_file
        sys.stderr.write(
            f"round {number}: {last.acknowledged} requests acknowledged so far,"
            f" {last.stored} values stored, {problems or 'nothing wrong'}\n"
        )
    summary = {
        "rounds": len(reports),
        "rounds_with_problems": bad,
        "acknowledged": last.acknowledged if last else 0,
        "stored": last.stored if last else 0,
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
    }
    if arguments.json:
        sys.stdout.write(json.dumps(summary) + "\n")
    else:
        sys.stderr.write(f"{summary}\n")
    return 1 if bad or not reports else 0


if __name__ == "__main__":
    raise SystemExit(main())
