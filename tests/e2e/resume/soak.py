"""`python -m e2e.resume.soak`: rough runs in any number, one line a run.

What `test_resume.py` does once and shortly; `scripts/soak resume` starts it. Exit code 0 when
everybody heard everything, 1 otherwise.
"""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
from collections import Counter
from pathlib import Path

from e2e.resume.rough import run_roughly


def main() -> int:
    """Run and print what was found."""
    parser = argparse.ArgumentParser(description="End the server while everybody listens.")
    parser.add_argument("--rounds", type=int, default=5, help="how many runs (default 5)")
    parser.add_argument("--seconds", type=float, default=60, help="of each (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the first run; the next counts on")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    arguments = parser.parse_args()
    seed = arguments.seed or secrets.randbits(32)
    sums: Counter[str] = Counter()
    bad = 0
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            report = asyncio.run(
                run_roughly(Path(folder) / "data", seed=seed + number, seconds=arguments.seconds)
            )
        bad += bool(report.problems)
        sums.update(report.figures)
        found = "\n  ".join(report.problems) or "nothing wrong"
        sys.stderr.write(f"seed {seed + number}: {report.figures}\n  {found}\n")
    summary = {"rounds": arguments.rounds, "rounds_with_problems": bad, "seed": seed, **sums}
    if arguments.json:
        sys.stdout.write(json.dumps(summary) + "\n")
    else:
        sys.stderr.write(f"{summary}\n")
    return 1 if bad or not arguments.rounds else 0


if __name__ == "__main__":
    raise SystemExit(main())
