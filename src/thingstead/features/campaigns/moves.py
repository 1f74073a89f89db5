"""What operators do to campaigns, as pure steps from one state to another.

Each takes the campaign, its counts and the time, and returns the campaign as it shall be, or None
when it is so already. What cannot be done in a state is refused with that state and its reason.
"""

from dataclasses import replace

from thingstead.features.campaigns.errors import WrongCampaignStateError
from thingstead.features.campaigns.judging import (
    Counts,
    Tally,
    needed,
    ring_tally,
    ring_words,
    tally,
)
from thingstead.features.campaigns.model import ENDED, Campaign, CampaignState
from thingstead.features.firmware.model import FirmwareState
from thingstead.kernel.plurals import counted

_LISTING = "its things are still being listed and nothing was offered: cancel it, or wait"


def begun(campaign: Campaign, counts: Counts, now_ms: int) -> Campaign:
    """Have a PREPARING campaign, whose things are all listed, run.

    What failed before, in another campaign of the image or in none, does not count against it.
    """
    total = tally(counts.values())
    return replace(
        campaign,
        state=CampaignState.RUNNING,
        reason=(
            f"began with {counted(total.things, 'thing')}, of which {total.current} ran the"
            f" version already; {ring_words(campaign, 0)} is open"
        ),
        forgiven_failures=total.failed,
        forgiven_ended=total.ended,
        open_ring=0,
        ring_opened_at_ms=now_ms,
        changed_at_ms=now_ms,
    )


def paused(campaign: Campaign, counts: Counts, now_ms: int) -> Campaign | None:
    """Offer nothing new, until an operator resumes."""
    if campaign.state is CampaignState.PAUSED:
        return None
    if campaign.state is CampaignState.PREPARING:
        raise refusal(campaign, _LISTING)
    if campaign.state not in {CampaignState.RUNNING, CampaignState.FINISHED}:
        raise refusal(campaign, "only a running campaign can be paused")
    return _put(campaign, CampaignState.PAUSED, "paused by an operator", counts, now_ms)


def resumed(campaign: Campaign, counts: Counts, now_ms: int) -> Campaign | None:
    """Go on after a pause or halt, and put up with what has failed so far."""
    if campaign.state in {CampaignState.RUNNING, CampaignState.FINISHED}:
        return None
    if campaign.state not in {CampaignState.PAUSED, CampaignState.HALTED}:
        raise refusal(campaign, "only a paused or halted campaign can be resumed")
    total = tally(counts.values())
    return replace(
        campaign,
        state=CampaignState.RUNNING,
        reason=(
            f"resumed by an operator at {ring_words(campaign, campaign.open_ring)}:"
            f" {_forgiven(total)}"
        ),
        forgiven_failures=total.failed,
        forgiven_ended=total.ended,
        resumed_at_ms=now_ms,
        changed_at_ms=now_ms,
    )


def advanced(campaign: Campaign, counts: Counts, now_ms: int) -> Campaign:
    """Open the next ring, whether the gate is passed or not."""
    if campaign.state is not CampaignState.RUNNING:
        raise refusal(campaign, "only a running campaign can open a ring")
    if campaign.open_ring + 1 == len(campaign.plan.rings):
        raise refusal(campaign, "every ring is open")
    ring = campaign.open_ring
    found = ring_tally(counts, ring)
    return replace(
        campaign,
        reason=(
            f"{ring_words(campaign, ring + 1)} was opened by an operator when {found.succeeded} of"
            f" {counted(found.targets, 'thing')} of ring {ring + 1} had succeeded; its gate needs"
            f" {needed(campaign.plan.gate, found)}"
        ),
        open_ring=ring + 1,
        ring_opened_at_ms=now_ms,
        changed_at_ms=now_ms,
    )


def cancelled(campaign: Campaign, counts: Counts, now_ms: int) -> Campaign | None:
    """Offer the image to nobody any more."""
    if campaign.state is CampaignState.CANCELLED:
        return None
    if campaign.state is CampaignState.REVERTED:
        raise refusal(campaign, "it has ended")
    return _put(campaign, CampaignState.CANCELLED, "cancelled by an operator", counts, now_ms)


def given_up(campaign: Campaign, why: str, counts: Counts, now_ms: int) -> Campaign | None:
    """Cancel a PREPARING campaign whose image cannot be given out."""
    if campaign.state is not CampaignState.PREPARING:
        return None
    words = f"cancelled before it began because {why}"
    return _put(campaign, CampaignState.CANCELLED, words, counts, now_ms)


def withdrawn(
    campaign: Campaign, state: FirmwareState, counts: Counts, now_ms: int
) -> Campaign | None:
    """Follow an image that is not published any more: a revoked one halts, others pause.

    `state`: that of the image.
    """
    if campaign.state is not CampaignState.RUNNING:
        return None
    is_revoked = state is FirmwareState.REVOKED
    follows = CampaignState.HALTED if is_revoked else CampaignState.PAUSED
    return _put(campaign, follows, f"{follows} because its image is {state}", counts, now_ms)


def reverted(campaign: Campaign, words: str, counts: Counts, now_ms: int) -> Campaign | None:
    """Note that the campaign's image is revoked and an earlier one is back.

    `words`: which one.
    """
    if campaign.state is CampaignState.REVERTED:
        return None
    return _put(campaign, CampaignState.REVERTED, words, counts, now_ms)


def check_may_be_reverted(campaign: Campaign) -> None:
    """Refuse to revert a campaign that has given nothing out.

    Raises:
        WrongCampaignStateError: it is PREPARING.
    """
    if campaign.state is CampaignState.PREPARING:
        raise refusal(campaign, _LISTING)


def refusal(campaign: Campaign, why: str) -> WrongCampaignStateError:
    """Return the refusal that tells what the state is now."""
    end = " for good" if campaign.state in ENDED else ""
    said = f" ({campaign.reason})" if campaign.reason else ""
    return WrongCampaignStateError(f"{why}; it is {campaign.state}{end}{said}")


def _put(
    campaign: Campaign, state: CampaignState, why: str, counts: Counts, now_ms: int
) -> Campaign:
    total = tally(counts.values())
    return replace(campaign, state=state, reason=f"{why}: {_so_far(total)}", changed_at_ms=now_ms)


def _forgiven(total: Tally) -> str:
    if not total.failed:
        return "nothing has failed so far"
    ended = counted(total.ended, "thing")
    return f"{total.failed} of {ended} that ended failed, which is forgiven"


def _so_far(total: Tally) -> str:
    succeeded = f"{total.succeeded} of {counted(total.targets, 'thing')} succeeded"
    return f"{succeeded} and {total.failed} failed so far"
