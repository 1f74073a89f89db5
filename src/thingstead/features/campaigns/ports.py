"""What the rules of campaigns need from storage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from thingstead.features.campaigns.model import (
    Campaign,
    CampaignPlan,
    RingCount,
    Target,
)
from thingstead.features.firmware.model import Firmware, Update, UpdateState
from thingstead.kernel.ids import CampaignId, FirmwareId, ProductId, ThingId


@dataclass(frozen=True, slots=True)
class Joining:
    """A thing that becomes a target."""

    thing_id: ThingId
    ring: int
    is_current: bool
    """It runs the version, or a newer one, already."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A thing that a target selects, with the version it reported for the MCU, if any."""

    thing_id: ThingId
    version: str | None


class CampaignStore(Protocol):
    """Keeps campaigns and lists their things. Every change is announced (`Kind.FIRMWARE`)."""

    async def add(
        self, campaign_id: CampaignId, plan: CampaignPlan, firmware: Firmware, *, at_ms: int
    ) -> Campaign | None:
        """Store a campaign in state PREPARING; None when its image has one that has not ended."""
        ...

    async def get(self, campaign_id: CampaignId) -> Campaign | None:
        """Return the campaign."""
        ...

    async def page(
        self, product_id: ProductId | None, *, after: CampaignId | None, limit: int
    ) -> list[Campaign]:
        """Return at most `limit` campaigns, newest first, those older than `after` only."""
        ...

    async def at_work(self) -> list[Campaign]:
        """Return those that are PREPARING or RUNNING, the oldest first."""
        ...

    async def change(self, campaign: Campaign, *, publishes: bool = False) -> Campaign | None:
        """Store state, reason, rings, `prepared_to`, what was forgiven and when it was resumed.

        None when it changed meanwhile.

        `revision` is that of the campaign it was made from. With `publishes`, a draft image is
        published in the same transaction.
        """
        ...

    async def candidates(
        self,
        product_id: ProductId,
        mcu: str,
        target: Target,
        *,
        after: ThingId | None,
        limit: int,
    ) -> list[Candidate]:
        """Return things that the target selects, ascending by id."""
        ...

    async def selects(
        self, product_id: ProductId, mcu: str, target: Target, thing_id: ThingId
    ) -> bool:
        """Return whether the target selects that thing."""
        ...

    async def join(self, campaign: Campaign, things: Sequence[Joining], *, at_ms: int) -> None:
        """Make the things targets, durably: an `Update` in state WAITING or CURRENT for each.

        A thing that has an update to the image keeps its state, and belongs to this campaign
        and ring from now on; one that is a target of it already is left as it is.
        """
        ...

    async def counts(self, campaign_id: CampaignId) -> Mapping[int, RingCount]:
        """Return the counts of each ring that has things."""
        ...

    async def members(
        self,
        campaign_id: CampaignId,
        *,
        states: Sequence[UpdateState],
        after: ThingId | None,
        limit: int,
    ) -> list[Update]:
        """Return updates of the campaign, ascending by thing; without states, all."""
        ...

    async def overdue(self, campaign_id: CampaignId, *, before_ms: int, limit: int) -> list[Update]:
        """Return updates that are under way and were last changed before that time."""
        ...

    async def earlier(self, firmware: Firmware) -> FirmwareId | None:
        """Return the published image of product and MCU with the largest sequence below it.

        Not one whose newest campaign does not offer it: it may be bad as well.
        """
        ...
