"""Campaigns and counts, written down shortly."""

from typing import Any

from thingstead.features.campaigns.judging import Counts
from thingstead.features.campaigns.model import (
    Campaign,
    CampaignPlan,
    CampaignState,
    Gate,
    RingCount,
    Stop,
)
from thingstead.features.firmware.model import UpdateState
from thingstead.kernel.ids import CampaignId, FirmwareId, ProductId

NOW = 1_000_000


def plan(**said: Any) -> CampaignPlan:
    members: dict[str, Any] = {"firmware_id": FirmwareId("image"), "name": "Spring"}
    return CampaignPlan(**(members | said))


def campaign(
    *,
    rings: tuple[int, ...] = (10, 50, 100),
    gate: Gate | None = None,
    stop: Stop | None = None,
    **said: Any,
) -> Campaign:
    members: dict[str, Any] = {
        "id": CampaignId("campaign"),
        "product_id": ProductId(1),
        "mcu": "main",
        "plan": plan(rings=rings, gate=gate or Gate(), stop=stop or Stop()),
        "state": CampaignState.RUNNING,
        "ring_opened_at_ms": 1,
        "created_at_ms": 1,
        "changed_at_ms": 1,
    }
    return Campaign(**(members | said))


def ring(*, failed: int = 0, **states: int) -> RingCount:
    """`failed`: how many of them failed at least once; `states` by their names."""
    return RingCount({UpdateState(state): count for state, count in states.items()}, failed)


def counts(*rings: RingCount) -> Counts:
    return dict(enumerate(rings))
