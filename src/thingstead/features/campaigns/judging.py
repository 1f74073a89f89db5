"""What a running campaign does next, from its counts alone: open a ring, halt, or finish.

Pure: nothing is read or stored here. Judging what was judged changes nothing, so that it may be
done at any time, as often as one likes, and by several processes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from thingstead.features.campaigns.model import (
    Campaign,
    CampaignState,
    Gate,
    RingCount,
)
from thingstead.features.firmware.model import UNDER_WAY, UpdateState
from thingstead.kernel.plurals import counted

Counts = Mapping[int, RingCount]
"""By the index of the ring; one without things may be missing."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The things of a ring, or of several, as the rules see them."""

    things: int
    current: int
    """They ran the version, or a newer one, before they were offered it."""
    waiting: int
    """They were not offered it, or have not begun to download."""
    under_way: int
    succeeded: int
    failed: int
    """They failed at least once and have not succeeded since, whatever they do now."""
    blocked: int
    """Those of the failed that are offered it no more."""

    @property
    def targets(self) -> int:
        """How many things need the update."""
        return self.things - self.current

    @property
    def ended(self) -> int:
        """How many ended, well or badly."""
        return self.succeeded + self.failed


def tally(rings: Iterable[RingCount]) -> Tally:
    """Add up the counts of rings."""
    counted = tuple(rings)

    def of(*states: UpdateState) -> int:
        return sum(ring.by_state.get(state, 0) for ring in counted for state in states)

    return Tally(
        things=of(*UpdateState),
        current=of(UpdateState.CURRENT),
        waiting=of(UpdateState.WAITING, UpdateState.OFFERED),
        under_way=of(*UNDER_WAY),
        succeeded=of(UpdateState.SUCCEEDED),
        failed=sum(ring.failed for ring in counted),
        blocked=of(UpdateState.BLOCKED),
    )


def ring_tally(counts: Counts, ring: int) -> Tally:
    """Return the tally of one ring; all zero for one without things."""
    return tally([counts[ring]] if ring in counts else [])


def needed(gate: Gate, ring: Tally) -> int:
    """Return how many things of the ring must have succeeded before the next one opens."""
    return -(-gate.success_percent * ring.targets // 100)


def is_passed(gate: Gate, ring: Tally) -> bool:
    """Return whether enough things of the ring succeeded; of none, none are needed."""
    return ring.succeeded >= needed(gate, ring)


@dataclass(frozen=True, slots=True)
class Harm:
    """What counts against a campaign since it was resumed last."""

    failed: int
    ended: int


def harm(campaign: Campaign, total: Tally) -> Harm:
    """Return what is left of the failures when those that were forgiven are taken off."""
    failed = max(0, total.failed - campaign.forgiven_failures)
    # A forgiven thing that succeeded and failed again has ended one time more than is counted.
    return Harm(failed=failed, ended=max(failed, total.ended - campaign.forgiven_ended))


def judge(campaign: Campaign, counts: Counts, now_ms: int) -> Campaign | None:
    """Return the campaign as it has to be now, or None when it stays as it is.

    Only a RUNNING one is judged. A stop comes before a gate; all gates that are passed open at
    once. Behind the last one the campaign is FINISHED as soon as nothing is under way: until
    then things may still fail, and be too many.
    """
    if campaign.state is not CampaignState.RUNNING:
        return None
    total = tally(counts.values())
    judged = _with_forgiveness_kept(campaign, total)
    halted_by = _stop(judged, total)
    if halted_by is not None:
        judged = replace(judged, state=CampaignState.HALTED, reason=halted_by)
    else:
        judged = _with_rings_opened(judged, counts, now_ms)
    return None if judged == campaign else replace(judged, changed_at_ms=now_ms)


def _with_forgiveness_kept(campaign: Campaign, total: Tally) -> Campaign:
    """Return it forgiving no more than there still is.

    Otherwise a forgiven failure that was mended would be credit for a new one.
    """
    return replace(
        campaign,
        forgiven_failures=_still(campaign.forgiven_failures, total.failed),
        forgiven_ended=_still(campaign.forgiven_ended, total.ended),
    )


def _still(forgiven: int, there_are: int) -> int:
    """Return how many of the forgiven are left, but do not count less than a tenth of them.

    Every change of a campaign has all processes ask the store anew about all of its things.
    """
    return there_are if (forgiven - there_are) * 10 >= max(forgiven, 1) else forgiven


def _stop(campaign: Campaign, total: Tally) -> str | None:
    """Return why the campaign has to stop, or None."""
    stop = campaign.plan.stop
    since = harm(campaign, total)
    forgiven = campaign.forgiven_failures
    beside = f", beside {counted(forgiven, 'forgiven one')}" if forgiven else ""
    if stop.failures is not None and since.failed >= stop.failures:
        limit = counted(stop.failures, "is the limit", "are the limit")
        return f"halted by {counted(since.failed, 'failed thing')}{beside}; {limit}"
    if (
        stop.percent is not None
        and since.ended >= stop.at_least
        and since.failed * 100 >= stop.percent * since.ended
    ):
        share = since.failed * 100 // since.ended
        return (
            f"halted because {since.failed} of {counted(since.ended, 'thing')} failed{beside},"
            f" {share} %;"
            f" {stop.percent} % of at least {stop.at_least} are the limit"
        )
    return None


def _with_rings_opened(campaign: Campaign, counts: Counts, now_ms: int) -> Campaign:
    gate = campaign.plan.gate
    last = len(campaign.plan.rings) - 1
    ring = campaign.open_ring
    passed: list[str] = []
    while ring < last and is_passed(gate, ring_tally(counts, ring)):
        passed.append(_passed(gate, ring, ring_tally(counts, ring)))
        ring += 1
    opened = campaign
    if passed:
        opened = replace(
            campaign,
            reason=f"{ring_words(campaign, ring)} is open: {', '.join(passed)}",
            open_ring=ring,
            ring_opened_at_ms=now_ms,
        )
    outermost = ring_tally(counts, last)
    if ring < last or not is_passed(gate, outermost) or tally(counts.values()).under_way:
        return opened
    passed.append(_passed(gate, last, outermost))
    return replace(
        opened,
        state=CampaignState.FINISHED,
        reason=f"finished with every ring open: {', '.join(passed)}",
    )


def _passed(gate: Gate, ring: int, found: Tally) -> str:
    if not found.targets:
        return f"ring {ring + 1} has no thing that needs the update"
    return (
        f"{found.succeeded} of {counted(found.targets, 'thing')} of ring {ring + 1} succeeded"
        f" ({gate.success_percent} % are needed)"
    )


def ring_words(campaign: Campaign, ring: int) -> str:
    """Return how people call a ring: `ring 2 of 4 (10 %)`."""
    rings = campaign.plan.rings
    return f"ring {ring + 1} of {len(rings)} ({rings[ring]} %)"
