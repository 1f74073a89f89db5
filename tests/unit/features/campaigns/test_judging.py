"""What a running campaign does next, from its counts alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles.campaign_plans import NOW, campaign, counts, ring
from thingstead.features.campaigns.judging import harm, is_passed, judge, ring_tally, tally
from thingstead.features.campaigns.model import CampaignState, Gate, RingCount, Stop
from thingstead.features.firmware.model import UpdateState

NO_STOP = Stop(failures=None, percent=None)


@st.composite
def ring_counts(draw) -> RingCount:
    by_state = draw(st.dictionaries(st.sampled_from(list(UpdateState)), st.integers(0, 30)))
    may_have_failed = sum(
        count
        for state, count in by_state.items()
        if state not in {UpdateState.SUCCEEDED, UpdateState.CURRENT}
    )
    return RingCount(by_state, draw(st.integers(0, may_have_failed)))


@st.composite
def situations(draw, states=(CampaignState.RUNNING,)):
    rings = (*sorted(draw(st.sets(st.integers(1, 99), max_size=4))), 100)
    percents = st.integers(1, 100)
    situation = campaign(
        rings=rings,
        gate=Gate(success_percent=draw(percents)),
        stop=Stop(
            failures=draw(st.none() | st.integers(1, 30)),
            percent=draw(st.none() | percents),
            at_least=draw(st.integers(1, 30)),
        ),
        state=draw(st.sampled_from(states)),
        open_ring=draw(st.integers(0, len(rings) - 1)),
        forgiven_failures=draw(st.integers(0, 40)),
        forgiven_ended=draw(st.integers(0, 40)),
    )
    numbers = st.integers(0, len(rings) - 1)
    return situation, draw(st.dictionaries(numbers, ring_counts(), max_size=len(rings)))


@given(situations())
def test_judging_what_was_judged_changes_nothing(situation):
    before, found = situation

    after = judge(before, found, NOW)

    assert after is None or judge(after, found, NOW + 1) is None


@given(situations())
def test_no_ring_opens_whose_gate_is_not_passed(situation):
    before, found = situation

    after = judge(before, found, NOW) or before

    gate = before.plan.gate
    opened = range(before.open_ring, after.open_ring)
    assert all(is_passed(gate, ring_tally(found, ring)) for ring in opened)
    if after.state is CampaignState.FINISHED:
        last = len(before.plan.rings) - 1
        assert after.open_ring == last
        assert is_passed(gate, ring_tally(found, last))


@given(situations())
def test_no_ring_is_ever_closed(situation):
    before, found = situation

    after = judge(before, found, NOW) or before

    assert before.open_ring <= after.open_ring < len(before.plan.rings)


@given(situations([s for s in CampaignState if s is not CampaignState.RUNNING]))
def test_only_a_running_campaign_is_judged(situation):
    before, found = situation

    assert judge(before, found, NOW) is None


@given(situations())
def test_what_changes_is_dated_and_a_new_state_or_ring_has_a_reason_with_numbers(situation):
    before, found = situation

    after = judge(before, found, NOW)

    if after is None:
        return
    assert after.changed_at_ms == NOW
    if (after.state, after.open_ring) != (before.state, before.open_ring):
        assert after.reason != before.reason
        assert any(character.isdigit() for character in after.reason)
        assert not after.reason.endswith(".")


@given(st.integers(1, 50), st.integers(0, 50), st.integers(0, 200))
def test_a_campaign_halts_at_the_number_of_failures_and_not_before(limit, forgiven, succeeded):
    running = campaign(
        stop=Stop(failures=limit, percent=None), forgiven_failures=forgiven, open_ring=2
    )

    def state_with(failed):
        found = counts(ring(failed=failed), ring(), ring(succeeded=succeeded, waiting=900))
        judged = judge(running, found, NOW)
        return (judged or running).state

    assert state_with(forgiven + limit) is CampaignState.HALTED
    assert state_with(forgiven + limit - 1) is CampaignState.RUNNING


@pytest.mark.parametrize(("failed", "is_halted"), [(9, False), (10, True), (11, True)])
def test_a_campaign_halts_at_exactly_the_share_of_failures(failed, is_halted):
    running = campaign(stop=Stop(percent=10, at_least=10))
    found = counts(ring(failed=failed, blocked=failed, succeeded=100 - failed, waiting=900))

    judged = judge(running, found, NOW)

    assert (judged is not None and judged.state is CampaignState.HALTED) == is_halted


@pytest.mark.parametrize(("ended", "is_halted"), [(9, False), (10, True)])
def test_the_share_counts_once_enough_things_ended(ended, is_halted):
    running = campaign(stop=Stop(percent=50, at_least=10))
    found = counts(ring(failed=ended, blocked=ended, waiting=90))

    judged = judge(running, found, NOW)

    assert (judged is not None) == is_halted


def test_a_thing_that_tries_again_counts_as_failed_until_it_succeeds():
    running = campaign(stop=Stop(failures=2, percent=None))

    trying = judge(running, counts(ring(downloading=2, waiting=8, failed=2)), NOW)
    mended = judge(running, counts(ring(succeeded=1, downloading=1, waiting=8, failed=1)), NOW)

    assert trying is not None
    assert trying.state is CampaignState.HALTED
    assert mended is None


def test_failures_of_all_rings_count():
    running = campaign(stop=Stop(failures=2, percent=None), open_ring=1)
    found = counts(ring(failed=1, waiting=9), ring(failed=1, waiting=9))

    judged = judge(running, found, NOW)

    assert judged is not None
    assert judged.reason == "halted by 2 failed things; 2 are the limit"


def test_a_halt_by_share_tells_the_share_and_what_was_forgiven():
    running = campaign(stop=Stop(percent=10, at_least=5), forgiven_failures=3, forgiven_ended=30)
    found = counts(ring(failed=5, succeeded=45, waiting=100))

    judged = judge(running, found, NOW)

    assert judged is not None
    assert judged.reason == (
        "halted because 2 of 20 things failed, beside 3 forgiven ones, 10 %;"
        " 10 % of at least 5 are the limit"
    )


def test_without_limits_nothing_halts():
    running = campaign(stop=NO_STOP)

    assert judge(running, counts(ring(failed=100, blocked=100)), NOW) is None


def test_a_stop_comes_before_a_gate():
    running = campaign(stop=Stop(failures=1, percent=None), gate=Gate(success_percent=50))

    judged = judge(running, counts(ring(succeeded=9, blocked=1, failed=1)), NOW)

    assert judged is not None
    assert (judged.state, judged.open_ring) == (CampaignState.HALTED, 0)


def test_forgiven_failures_that_were_mended_are_no_credit_for_new_ones():
    running = campaign(
        stop=Stop(failures=3, percent=None), forgiven_failures=5, forgiven_ended=5, open_ring=2
    )

    mended = judge(running, counts(ring(succeeded=5), ring(), ring(waiting=90)), NOW)
    assert mended is not None
    assert (mended.state, mended.forgiven_failures) == (CampaignState.RUNNING, 0)
    halted = judge(mended, counts(ring(succeeded=5), ring(), ring(waiting=87, failed=3)), NOW + 1)

    assert halted is not None
    assert halted.state is CampaignState.HALTED


@pytest.mark.parametrize(("failed", "forgiven"), [(92, 100), (91, 100), (90, 90), (101, 100)])
def test_less_than_a_tenth_of_what_was_forgiven_is_not_counted(failed, forgiven):
    resumed = campaign(stop=NO_STOP, forgiven_failures=100, forgiven_ended=100, open_ring=2)

    found = counts(ring(), ring(), ring(waiting=900, failed=failed, succeeded=100))
    judged = judge(resumed, found, NOW) or resumed

    assert judged.forgiven_failures == forgiven


def test_a_forgiven_thing_that_succeeds_and_fails_again_is_harm():
    resumed = campaign(forgiven_failures=0, forgiven_ended=5)

    found = harm(resumed, tally([ring(failed=1, succeeded=4)]))

    assert (found.failed, found.ended) == (1, 1)


@pytest.mark.parametrize(("succeeded", "opens"), [(89, False), (90, True)])
def test_the_next_ring_opens_at_exactly_the_share_of_successes(succeeded, opens):
    running = campaign(gate=Gate(success_percent=90), stop=NO_STOP)

    judged = judge(
        running, counts(ring(succeeded=succeeded, waiting=100 - succeeded), ring(waiting=5)), NOW
    )

    assert (judged is not None) == opens


def test_a_share_that_is_no_whole_number_of_things_is_rounded_up():
    running = campaign(gate=Gate(success_percent=90), stop=NO_STOP)

    assert judge(running, counts(ring(succeeded=4, waiting=1)), NOW) is None


def test_things_that_ran_the_version_already_do_not_count():
    running = campaign(gate=Gate(success_percent=100), stop=NO_STOP)

    judged = judge(running, counts(ring(succeeded=1, current=99), ring(waiting=1)), NOW)

    assert judged is not None
    assert judged.reason == (
        "ring 2 of 3 (50 %) is open: 1 of 1 thing of ring 1 succeeded (100 % are needed)"
    )


def test_rings_without_things_open_at_once():
    judged = judge(campaign(), {2: ring(waiting=1)}, NOW)

    assert judged is not None
    assert (judged.state, judged.open_ring) == (CampaignState.RUNNING, 2)
    assert judged.ring_opened_at_ms == NOW
    assert judged.reason == (
        "ring 3 of 3 (100 %) is open: ring 1 has no thing that needs the update,"
        " ring 2 has no thing that needs the update"
    )


def test_behind_the_last_gate_the_campaign_is_finished():
    running = campaign(open_ring=2, ring_opened_at_ms=7)

    judged = judge(running, {2: ring(succeeded=9, waiting=1)}, NOW)

    assert judged is not None
    assert (judged.state, judged.open_ring) == (CampaignState.FINISHED, 2)
    assert judged.ring_opened_at_ms == 7
    assert judged.reason == (
        "finished with every ring open: 9 of 10 things of ring 3 succeeded (90 % are needed)"
    )


def test_a_campaign_is_not_finished_while_anything_is_under_way():
    running = campaign(open_ring=2)

    judged = judge(running, {0: ring(reported=1), 2: ring(succeeded=9, waiting=1)}, NOW)

    assert judged is None


def test_the_last_ring_opens_though_something_is_under_way():
    judged = judge(campaign(open_ring=1), {0: ring(reported=1)}, NOW)

    assert judged is not None
    assert (judged.state, judged.open_ring) == (CampaignState.RUNNING, 2)


def test_the_last_ring_is_dated_when_it_opens_and_is_passed_at_once():
    judged = judge(campaign(open_ring=1, ring_opened_at_ms=7), {}, NOW)

    assert judged == replace(
        campaign(),
        state=CampaignState.FINISHED,
        open_ring=2,
        ring_opened_at_ms=NOW,
        changed_at_ms=NOW,
        reason=judged.reason,
    )


def test_a_campaign_whose_counts_say_nothing_new_stays_as_it_is():
    assert judge(campaign(), counts(ring(waiting=3, downloading=2, reported=5)), NOW) is None
