"""What a campaign is; all of it stands in rows, so that a restart changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from thingstead.features.firmware.model import UpdateState
from thingstead.kernel.ids import CampaignId, FirmwareId, ProductId


class CampaignState(StrEnum):
    """What a campaign does."""

    PREPARING = "preparing"
    """Its things are being listed; nothing is offered yet."""
    RUNNING = "running"
    PAUSED = "paused"
    """By an operator: nothing new is offered, downloads that had begun may finish."""
    HALTED = "halted"
    """By its own stop: as paused, and downloads are cut off from the next request on."""
    FINISHED = "finished"
    """All rings are open, the last gate is passed, and nothing was under way any more; things that
    come late are still served."""
    CANCELLED = "cancelled"
    """For good: nobody is offered its image any more."""
    REVERTED = "reverted"
    """For good: its image is revoked, and the one before has taken its place."""


OFFERING = frozenset({CampaignState.RUNNING, CampaignState.FINISHED})
ENDED = frozenset({CampaignState.CANCELLED, CampaignState.REVERTED})


class Proof(StrEnum):
    """What a thing that runs the new version must do after the soak time to count as healthy."""

    WRITE = "write"
    CONTACT = "contact"
    """Write, ask for firmware, or give feedback."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which things of the product a campaign is for; empty is all of them."""

    tags: tuple[str, ...] = ()
    """Things with at least one of the tags."""
    versions: tuple[str, ...] = ()
    """Things that reported one of the versions."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What opens the next ring: so many of the ring's things succeeded.

    A thing succeeds when it reports the version and, `soak_s` later or more, proves itself.
    """

    success_percent: int = 90
    soak_s: int = 3_600
    proof: Proof = Proof.WRITE


@dataclass(frozen=True, slots=True)
class Stop:
    """What halts a campaign: so many things failed, or such a share of those that ended."""

    failures: int | None = None
    percent: int | None = 10
    at_least: int = 10
    """The share counts once so many things ended, well or badly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignPlan:
    """What an operator wants."""

    firmware_id: FirmwareId
    name: str
    target: Target = field(default=Target())
    rings: tuple[int, ...] = (1, 10, 50, 100)
    """Per cent of the things that each ring reaches together with those before; ends with 100."""
    gate: Gate = field(default=Gate())
    stop: Stop = field(default=Stop())
    attempts: int = 3
    """After so many failures a thing is offered the image no more."""
    patience_s: int = 86_400
    """A download, a restart or a proof that takes longer counts as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A plan on its way."""

    id: CampaignId
    product_id: ProductId
    mcu: str
    plan: CampaignPlan
    state: CampaignState
    reason: str = ""
    """Why the state is what it is, a sentence without an end mark."""
    open_ring: int = 0
    """Index of the outermost open ring."""
    ring_opened_at_ms: int
    forgiven_failures: int = 0
    """How many failed things, and ended ones, a resuming operator has seen and put up with."""
    forgiven_ended: int = 0
    resumed_at_ms: int | None = None
    """When it was resumed last: no thing is blamed for the time that the campaign stood still."""
    prepared_to: str | None = None
    """The last thing that was listed while the campaign is being prepared."""
    created_at_ms: int
    changed_at_ms: int
    revision: int = 0

    @property
    def firmware_id(self) -> FirmwareId:
        """The image that it brings."""
        return self.plan.firmware_id


@dataclass(frozen=True, slots=True)
class RingCount:
    """The things of one ring: by state, and how many failed at least once without success yet."""

    by_state: Mapping[UpdateState, int]
    failed: int
