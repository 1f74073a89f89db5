"""How far a campaign has come, in numbers and in sentences for people.

Pure, and made from the same rules as the decisions (`judging.py`), so that both always agree.
"""

from dataclasses import dataclass

from thingstead.features.campaigns.judging import (
    Counts,
    Tally,
    harm,
    needed,
    ring_tally,
    ring_words,
    tally,
)
from thingstead.features.campaigns.model import ENDED, Campaign, CampaignState
from thingstead.kernel.plurals import counted


@dataclass(frozen=True, slots=True)
class RingProgress:
    """One ring."""

    index: int
    """0 for the innermost."""
    percent: int
    is_open: bool
    tally: Tally
    needed: int
    """So many things must have succeeded to open the next ring."""
    sentence: str


@dataclass(frozen=True, slots=True)
class GateProgress:
    """What the gate of the outermost open ring still needs."""

    needed: int
    succeeded: int
    missing: int
    out_of_reach: int
    """Things of the ring that are blocked: only an operator's release gets them back."""
    sentence: str


@dataclass(frozen=True, slots=True)
class StopProgress:
    """What the stop still allows."""

    failed: int
    """Since the campaign was resumed last."""
    ended: int
    more_failures: int | None
    """With so many more the campaign halts; None when it never does."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A campaign and how far it has come."""

    campaign: Campaign
    total: Tally
    rings: tuple[RingProgress, ...]
    gate: GateProgress
    stop: StopProgress


def progress_of(campaign: Campaign, counts: Counts) -> Progress:
    """Return how far the campaign has come by these counts."""
    total = tally(counts.values())
    return Progress(
        campaign=campaign,
        total=total,
        rings=tuple(_ring(campaign, counts, ring) for ring in range(len(campaign.plan.rings))),
        gate=_gate(campaign, counts, total),
        stop=_stop(campaign, total),
    )


def more_failures(campaign: Campaign, total: Tally) -> int | None:
    """Return how many more failing things halt the campaign, at least 0; None: it never halts.

    Each is taken to fail for the first time, and nothing else to happen meanwhile.
    """
    stop = campaign.plan.stop
    since = harm(campaign, total)
    left: list[int] = []
    if stop.failures is not None:
        left.append(stop.failures - since.failed)
    if stop.percent is not None:
        until_counted = stop.at_least - since.ended
        short = stop.percent * since.ended - since.failed * 100
        if stop.percent < 100:
            left.append(max(until_counted, -(-short // (100 - stop.percent))))
        elif short == 0:
            left.append(until_counted)
    return max(0, min(left)) if left else None


def _ring(campaign: Campaign, counts: Counts, ring: int) -> RingProgress:
    found = ring_tally(counts, ring)
    is_open = _has_begun(campaign) and ring <= campaign.open_ring
    stand = "open" if is_open else "not open"
    return RingProgress(
        index=ring,
        percent=campaign.plan.rings[ring],
        is_open=is_open,
        tally=found,
        needed=needed(campaign.plan.gate, found),
        sentence=(
            f"{ring_words(campaign, ring)} is {stand}: {found.succeeded} of"
            f" {counted(found.targets, 'thing')} succeeded,"
            f" {counted(found.under_way, 'is under way', 'are under way')},"
            f" {counted(found.waiting, 'waits', 'wait')}, {found.failed} failed,"
            f" {found.current} ran the version already"
        ),
    )


def _gate(campaign: Campaign, counts: Counts, total: Tally) -> GateProgress:
    ring = campaign.open_ring
    found = ring_tally(counts, ring)
    goal = needed(campaign.plan.gate, found)
    missing = max(0, goal - found.succeeded)
    return GateProgress(
        needed=goal,
        succeeded=found.succeeded,
        missing=missing,
        out_of_reach=found.blocked,
        sentence=_gate_sentence(campaign, found, goal, total.under_way),
    )


def _gate_sentence(campaign: Campaign, found: Tally, goal: int, under_way: int) -> str:
    if campaign.state is CampaignState.PREPARING:
        listed = counted(found.things, "thing of ring 1 is listed", "things of ring 1 are listed")
        return f"{listed} so far, no ring is open"
    ring = campaign.open_ring
    is_last = ring + 1 == len(campaign.plan.rings)
    opens = "the campaign is finished" if is_last else f"ring {ring + 2} opens"
    have = f"{found.succeeded} of {counted(found.targets, 'thing')} of ring {ring + 1} succeeded"
    if campaign.state is CampaignState.FINISHED:
        return f"every ring is open: {have}"
    if campaign.state in ENDED:
        return f"no further ring opens: {have}"
    needs = counted(goal, "is needed", "are needed")
    if found.succeeded < goal:
        more = counted(goal - found.succeeded, "more succeeds", "more succeed")
        blocked = counted(found.blocked, "is blocked", "are blocked")
        is_lost = f", {blocked}" if found.blocked else ""
        return f"{opens} when {more}: {have}, {needs}{is_lost}"
    waits_for = "the campaign runs"
    if is_last and under_way:
        waits_for = counted(
            under_way, "thing that is under way has ended", "things that are under way have ended"
        )
    return f"{opens} when {waits_for}: {have}, {needs}"


def _stop(campaign: Campaign, total: Tally) -> StopProgress:
    since = harm(campaign, total)
    more = more_failures(campaign, total)
    forgiven = campaign.forgiven_failures
    beside = f", beside {counted(forgiven, 'forgiven one')}" if forgiven else ""
    have = f"{since.failed} of {counted(since.ended, 'thing')} that ended failed{beside}"
    rule = _halts(more) if campaign.state not in ENDED else "it has ended"
    return StopProgress(
        failed=since.failed, ended=since.ended, more_failures=more, sentence=f"{rule}: {have}"
    )


def _halts(more: int | None) -> str:
    if more is None:
        return "no number of failures halts it as things stand"
    if more == 0:
        return "the limit of failures is reached"
    return f"it halts when {counted(more, 'more fails', 'more fail')}"


def _has_begun(campaign: Campaign) -> bool:
    return campaign.state is not CampaignState.PREPARING
