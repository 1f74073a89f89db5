"""What operators do to campaigns, from which states, and what is said about it."""

import pytest

from doubles.campaign_plans import NOW, campaign, counts, ring
from thingstead.features.campaigns import moves
from thingstead.features.campaigns.errors import WrongCampaignStateError
from thingstead.features.campaigns.model import CampaignState
from thingstead.features.firmware.model import FirmwareState

S = CampaignState
FOUND = counts(ring(succeeded=5, blocked=1, failed=1, current=4), ring(waiting=10))
SO_FAR = "5 of 16 things succeeded and 1 failed so far"


def _followed(move, state, **said):
    """Return the state after the move, None for no change, or a refusal's text."""
    before = campaign(state=state, reason="said before", **said)
    try:
        after = move(before, FOUND, NOW)
    except WrongCampaignStateError as refusal:
        return refusal.detail
    return after and after.state


def _matrix(move):
    found = {state: _followed(move, state) for state in S}
    return {
        state: "refused" if isinstance(then, str) and then not in set(S) else then
        for state, then in found.items()
    }


def test_running_and_finished_campaigns_can_be_paused():
    assert _matrix(moves.paused) == {
        S.PREPARING: "refused",
        S.RUNNING: S.PAUSED,
        S.PAUSED: None,
        S.HALTED: "refused",
        S.FINISHED: S.PAUSED,
        S.CANCELLED: "refused",
        S.REVERTED: "refused",
    }


def test_paused_and_halted_campaigns_can_be_resumed():
    assert _matrix(moves.resumed) == {
        S.PREPARING: "refused",
        S.RUNNING: None,
        S.PAUSED: S.RUNNING,
        S.HALTED: S.RUNNING,
        S.FINISHED: None,
        S.CANCELLED: "refused",
        S.REVERTED: "refused",
    }


def test_only_a_running_campaign_can_be_advanced():
    assert _matrix(moves.advanced) == {
        S.PREPARING: "refused",
        S.RUNNING: S.RUNNING,
        S.PAUSED: "refused",
        S.HALTED: "refused",
        S.FINISHED: "refused",
        S.CANCELLED: "refused",
        S.REVERTED: "refused",
    }


def test_every_campaign_that_is_not_reverted_can_be_cancelled():
    assert _matrix(moves.cancelled) == {
        S.PREPARING: S.CANCELLED,
        S.RUNNING: S.CANCELLED,
        S.PAUSED: S.CANCELLED,
        S.HALTED: S.CANCELLED,
        S.FINISHED: S.CANCELLED,
        S.CANCELLED: None,
        S.REVERTED: "refused",
    }


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (FirmwareState.DEPRECATED, {S.RUNNING: S.PAUSED}),
        (FirmwareState.REVOKED, {S.RUNNING: S.HALTED}),
    ],
)
def test_a_campaign_follows_an_image_that_is_offered_no_more(image, expected):
    found = _matrix(lambda before, found, now: moves.withdrawn(before, image, found, now))

    assert {state: then for state, then in found.items() if then is not None} == expected


def test_only_a_campaign_that_has_not_begun_is_given_up():
    found = _matrix(lambda before, found, now: moves.given_up(before, "so", found, now))

    assert found == dict.fromkeys(S) | {S.PREPARING: S.CANCELLED}


def test_a_pause_tells_how_far_it_came():
    after = moves.paused(campaign(), FOUND, NOW)

    assert after is not None
    assert after.reason == f"paused by an operator: {SO_FAR}"
    assert after.changed_at_ms == NOW


def test_a_campaign_that_follows_its_image_says_so():
    after = moves.withdrawn(campaign(), FirmwareState.REVOKED, FOUND, NOW)

    assert after is not None
    assert after.reason == f"halted because its image is revoked: {SO_FAR}"


def test_resuming_forgives_what_failed_so_far():
    after = moves.resumed(campaign(state=S.HALTED, forgiven_failures=9), FOUND, NOW)

    assert after is not None
    assert (after.forgiven_failures, after.forgiven_ended, after.resumed_at_ms) == (1, 6, NOW)
    assert after.reason == (
        "resumed by an operator at ring 1 of 3 (10 %): 1 of 6 things that ended failed, which is"
        " forgiven"
    )


def test_where_nothing_failed_nothing_is_forgiven():
    after = moves.resumed(campaign(state=S.PAUSED), counts(ring(succeeded=2)), NOW)

    assert after is not None
    assert after.reason == (
        "resumed by an operator at ring 1 of 3 (10 %): nothing has failed so far"
    )


def test_what_failed_before_a_campaign_began_is_not_held_against_it():
    after = moves.begun(campaign(state=S.PREPARING), FOUND, NOW)

    assert (after.forgiven_failures, after.forgiven_ended) == (1, 6)
    assert after.reason == (
        "began with 20 things, of which 4 ran the version already; ring 1 of 3 (10 %) is open"
    )
    assert after.ring_opened_at_ms == NOW


def test_a_ring_that_is_opened_by_hand_tells_what_its_gate_wanted():
    after = moves.advanced(campaign(), FOUND, NOW)

    assert (after.open_ring, after.ring_opened_at_ms) == (1, NOW)
    assert after.reason == (
        "ring 2 of 3 (50 %) was opened by an operator when 5 of 6 things of ring 1 had succeeded;"
        " its gate needs 6"
    )


def test_behind_the_last_ring_there_is_none_to_open():
    with pytest.raises(WrongCampaignStateError, match="every ring is open; it is running"):
        moves.advanced(campaign(open_ring=2), FOUND, NOW)


def test_a_refusal_tells_the_state_and_its_reason():
    assert _followed(moves.advanced, S.HALTED) == (
        "only a running campaign can open a ring; it is halted (said before)"
    )
    assert str(moves.refusal(campaign(state=S.CANCELLED), "no")).endswith(
        "no; it is cancelled for good"
    )


def test_a_reverted_campaign_is_reverted_once():
    after = moves.reverted(campaign(), "1.0 is back", FOUND, NOW)

    assert after is not None
    assert (after.state, after.reason) == (S.REVERTED, f"1.0 is back: {SO_FAR}")
    assert moves.reverted(after, "1.0 is back", FOUND, NOW) is None


def test_a_campaign_that_gave_nothing_out_cannot_be_reverted():
    with pytest.raises(WrongCampaignStateError, match="nothing was offered"):
        moves.check_may_be_reverted(campaign(state=S.PREPARING))
    for state in set(S) - {S.PREPARING}:
        moves.check_may_be_reverted(campaign(state=state))
