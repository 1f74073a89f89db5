"""Who comes back hears what it missed, once and in order, whatever became of the server."""

import os
import secrets
from pathlib import Path

import pytest

from e2e.resume.checks import check_commits, check_record, check_relays, check_session
from e2e.resume.listeners import MQTTListener, Record
from e2e.resume.play import Play, Relayed, Sent
from e2e.resume.rough import run_roughly

SECONDS = 10


async def test_everybody_hears_everything_through_cuts_kills_and_restarts(tmp_path):
    seed = int(os.environ.get("THINGSTEAD_TEST_SEED", "0")) or secrets.randbits(32)
    print(f"THINGSTEAD_TEST_SEED={seed}")  # noqa: T201

    report = await run_roughly(tmp_path / "folder", seed=seed, seconds=SECONDS)

    assert report.problems == [], seed
    assert report.figures["kills"] + report.figures["stops"] > 1
    assert report.figures["acknowledged"] > 100
    assert report.figures["passed on"] > 10


COMMITS = [(place, (("a", place),)) for place in range(1, 5)]
ONE, TWO, THREE, FOUR = COMMITS


@pytest.fixture
def play():
    return Play(Path(), 1)


@pytest.mark.parametrize(
    ("heard", "problem"),
    [
        ([TWO, THREE, FOUR], ""),
        ([TWO, FOUR], "missed: 1, such as [(3, (('a', 3),))]"),
        ([TWO, THREE], "missed: 1, such as [(4, (('a', 4),))]"),
        ([TWO, THREE, THREE, FOUR], "heard twice: 1, such as [3]"),
        ([TWO, FOUR, THREE], "not in the order of commits"),
        ([ONE, TWO, THREE, FOUR], "invented: 1"),
        ([TWO, (3, (("a", 7),)), FOUR], "invented: 1"),
    ],
)
def test_the_checker_knows_what_a_stream_should_have_heard(play, heard, problem):
    check_record(play, Record("stream", start=1, heard=heard), COMMITS)

    assert problem in "; ".join(play.problems)
    assert bool(play.problems) == bool(problem)


@pytest.mark.parametrize(
    ("heard", "problem"),
    [
        ([ONE, TWO, THREE, FOUR], ""),
        ([ONE, TWO, FOUR], "missed: 1"),
        ([ONE, THREE, TWO, FOUR], "another order"),
        ([*COMMITS, (5, (("a", 5),))], "invented: 1"),
    ],
)
def test_the_checker_knows_what_a_session_should_have_heard(play, heard, problem):
    listener = MQTTListener(play, "session", "token", 4)
    listener.heard = [shown for _, shown in heard]

    check_session(play, listener, COMMITS)

    assert problem in "; ".join(play.problems)
    assert bool(play.problems) == bool(problem)


@pytest.mark.parametrize(
    ("relays", "kill", "problem"),
    [
        ([1, 2], None, ""),
        ([1], None, "lost: 1, such as [2]"),
        ([2, 1], None, "out of order"),
        ([1, 2, 3], None, "invented"),
        ([1], 25.0, ""),
        ([1], 15.0, "lost"),
        ([1], 35.0, "lost"),
    ],
)
def test_the_checker_knows_what_had_to_be_passed_on(play, relays, kill, problem):
    listener = MQTTListener(play, "session", "token", 4)
    listener.relays = relays
    listener.times = [(20.0, 30.0)]
    play.relayed = [Relayed(0, 1, 1.0, 2.0), Relayed(0, 2, 21.0, 22.0), Relayed(1, 9, 1.0, 2.0)]
    play.kills = [] if kill is None else [kill]

    check_relays(play, listener, 0)

    assert problem in "; ".join(play.problems)
    assert bool(play.problems) == bool(problem)


@pytest.mark.parametrize(
    ("commits", "problem"),
    [
        (COMMITS, ""),
        (COMMITS[1:], "lost: 1"),
        ([*COMMITS, (5, (("a", 1),))], "stored twice: 1"),
        ([*COMMITS, (5, (("a", 5),))], "never sent so: 1"),
        (COMMITS[:-1], ""),
    ],
)
def test_the_checker_knows_what_had_to_be_committed(play, commits, problem):
    play.writes = [Sent(0, shown, is_acknowledged=place < 4) for place, shown in COMMITS]

    check_commits(play, [commits], [])

    assert problem in "; ".join(play.problems)
    assert bool(play.problems) == bool(problem)
