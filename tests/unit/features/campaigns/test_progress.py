"""How far a campaign has come: numbers that agree with the decisions, and sentences."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from doubles.campaign_plans import NOW, campaign, counts, ring
from thingstead.features.campaigns.judging import judge, tally
from thingstead.features.campaigns.model import CampaignState, Gate, Stop
from thingstead.features.campaigns.progress import more_failures, progress_of

S = CampaignState
WAITING = ring(waiting=10_000)


def _after(more, *, succeeded, failed, stop, forgiven):
    """Return the campaign's state when so many more things have failed."""
    found = counts(ring(succeeded=succeeded, failed=failed + more), ring(), WAITING)
    running = campaign(stop=stop, open_ring=2, **forgiven)
    return (judge(running, found, NOW) or running).state


@given(
    st.integers(0, 60),
    st.integers(0, 60),
    st.none() | st.integers(1, 80),
    st.none() | st.integers(1, 100),
    st.integers(1, 40),
    st.data(),
)
def test_a_campaign_halts_with_as_many_more_failures_as_are_told(
    succeeded, failed, failures, percent, at_least, data
):
    stop = Stop(failures=failures, percent=percent, at_least=at_least)
    forgiven_failures = data.draw(st.integers(0, failed))
    forgiven = {
        "forgiven_failures": forgiven_failures,
        "forgiven_ended": data.draw(st.integers(forgiven_failures, succeeded + failed)),
    }
    found = tally([ring(succeeded=succeeded, failed=failed)])
    # What was forgiven ended, so the others are at least as many as those that failed since.
    assume(succeeded + failed - forgiven["forgiven_ended"] >= failed - forgiven_failures)

    more = more_failures(campaign(stop=stop, **forgiven), found)

    facts = {"succeeded": succeeded, "failed": failed, "stop": stop, "forgiven": forgiven}
    if more is None:
        assert _after(500, **facts) is S.RUNNING
        return
    assert _after(more, **facts) is S.HALTED
    if more > 0:
        assert _after(more - 1, **facts) is S.RUNNING


def test_a_stop_at_all_of_them_is_near_as_long_as_all_failed():
    running = campaign(stop=Stop(failures=None, percent=100, at_least=10))

    assert more_failures(running, tally([ring(failed=7)])) == 3
    assert more_failures(running, tally([ring(failed=7, succeeded=1)])) is None


def test_a_running_campaign_tells_what_gate_and_stop_wait_for():
    running = campaign(stop=Stop(failures=5, percent=None), forgiven_failures=1)
    found = counts(
        ring(succeeded=6, downloading=1, reported=1, offered=1, blocked=1, current=2, failed=2),
        ring(waiting=40),
    )

    progress = progress_of(running, found)

    assert progress.gate.sentence == (
        "ring 2 opens when 3 more succeed: 6 of 10 things of ring 1 succeeded, 9 are needed,"
        " 1 is blocked"
    )
    assert (progress.gate.needed, progress.gate.succeeded, progress.gate.missing) == (9, 6, 3)
    assert progress.gate.out_of_reach == 1
    assert progress.stop.sentence == (
        "it halts when 4 more fail: 1 of 8 things that ended failed, beside 1 forgiven one"
    )
    assert (progress.stop.failed, progress.stop.ended, progress.stop.more_failures) == (1, 8, 4)
    assert progress.total.things == 52


def test_every_ring_has_its_numbers_and_a_sentence():
    found = counts(ring(succeeded=1), ring(waiting=2, downloading=1, failed=1))

    rings = progress_of(campaign(open_ring=1), found).rings

    assert [(one.index, one.percent, one.is_open, one.needed) for one in rings] == [
        (0, 10, True, 1),
        (1, 50, True, 3),
        (2, 100, False, 0),
    ]
    assert rings[1].sentence == (
        "ring 2 of 3 (50 %) is open: 0 of 3 things succeeded, 1 is under way, 2 wait,"
        " 1 failed, 0 ran the version already"
    )
    assert rings[2].sentence.startswith("ring 3 of 3 (100 %) is not open: 0 of 0")


def test_of_one_thing_is_spoken_in_the_singular():
    one_of_two = campaign(
        rings=(100,), stop=Stop(failures=1, percent=None), gate=Gate(success_percent=50)
    )

    progress = progress_of(one_of_two, counts(ring(waiting=1, downloading=1)))

    assert progress.rings[0].sentence.startswith(
        "ring 1 of 1 (100 %) is open: 0 of 2 things succeeded, 1 is under way, 1 waits,"
    )
    assert progress.gate.sentence == (
        "the campaign is finished when 1 more succeeds: 0 of 2 things of ring 1 succeeded,"
        " 1 is needed"
    )
    assert progress.stop.sentence == "it halts when 1 more fails: 0 of 0 things that ended failed"


def test_no_ring_is_open_while_a_campaign_is_being_prepared():
    progress = progress_of(campaign(state=S.PREPARING), counts(ring(waiting=3)))

    assert not any(one.is_open for one in progress.rings)
    assert progress.gate.sentence == "3 things of ring 1 are listed so far, no ring is open"


@pytest.mark.parametrize(
    ("state", "open_ring", "succeeded", "expected"),
    [
        (S.RUNNING, 2, 1, "the campaign is finished when 8 more succeed: 1 of 10 things of ring 3"),
        (S.PAUSED, 1, 9, "ring 3 opens when the campaign runs: 9 of 10 things of ring 2"),
        (S.FINISHED, 2, 9, "every ring is open: 9 of 10 things of ring 3 succeeded"),
        (S.CANCELLED, 1, 9, "no further ring opens: 9 of 10 things of ring 2 succeeded"),
    ],
)
def test_the_gate_tells_what_comes_next(state, open_ring, succeeded, expected):
    found = {open_ring: ring(succeeded=succeeded, waiting=10 - succeeded)}

    progress = progress_of(campaign(state=state, open_ring=open_ring), found)

    assert progress.gate.sentence.startswith(expected)


def test_a_passed_last_gate_waits_for_what_is_under_way():
    found = {0: ring(reported=2), 2: ring(succeeded=9, waiting=1)}

    progress = progress_of(campaign(open_ring=2), found)

    assert progress.gate.sentence == (
        "the campaign is finished when 2 things that are under way have ended:"
        " 9 of 10 things of ring 3 succeeded, 9 are needed"
    )


@pytest.mark.parametrize(
    ("state", "stop", "failed", "expected"),
    [
        (S.RUNNING, Stop(failures=None, percent=None), 3, "no number of failures halts it"),
        (S.RUNNING, Stop(failures=None, percent=100), 3, "no number of failures halts it"),
        (S.HALTED, Stop(failures=3, percent=None), 3, "the limit of failures is reached: 3 of 8"),
        (S.CANCELLED, Stop(failures=3, percent=None), 3, "it has ended: 3 of 8 things"),
    ],
)
def test_the_stop_tells_what_it_allows(state, stop, failed, expected):
    stopped = campaign(state=state, stop=stop, gate=Gate())

    progress = progress_of(stopped, counts(ring(succeeded=5, failed=failed, blocked=failed)))

    assert progress.stop.sentence.startswith(expected)
