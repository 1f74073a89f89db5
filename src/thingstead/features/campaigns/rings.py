"""Which ring of a campaign a thing is in: a matter of two ids, so that nothing reshuffles it.

Neither the number of things nor what is open matters. The campaign's id is part of it, so that
not always the same things go first.
"""

import hashlib
from collections.abc import Sequence

from thingstead.kernel.ids import CampaignId, ThingId

POSITIONS = 10_000
_POSITIONS_PER_CENT = POSITIONS // 100


def position(campaign_id: CampaignId, thing_id: ThingId) -> int:
    """Return where the thing stands in the campaign, from 0 to 9,999, spread evenly."""
    # Ids hold no line end, so that no two pairs look alike.
    digest = hashlib.sha256(f"{campaign_id}\n{thing_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % POSITIONS


def ring_of(campaign_id: CampaignId, thing_id: ThingId, rings: Sequence[int]) -> int:
    """Return the index of the innermost ring that reaches the thing.

    `rings`: per cent, ascending, the last one 100.
    """
    place = position(campaign_id, thing_id)
    return next(
        index for index, percent in enumerate(rings) if place < percent * _POSITIONS_PER_CENT
    )
