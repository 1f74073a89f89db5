"""How soon a thing should ask again: often while something happens, and never all at once.

Every thing has a jitter of its own that stays the same, so a fleet that starts together after
a power failure drifts apart within a few polls and stays so.
"""

import zlib
from enum import Enum, auto

from thingstead.kernel.ids import ThingId

UNDER_WAY_S = 60
_SOONER_FOR_THE_NEXT_RING = 3
_STEPS = 4_096


class Pace(Enum):
    """What a thing waits for."""

    UNDER_WAY = auto()
    """An update of it has begun and not ended."""
    RING_IS_NEXT = auto()
    """The next ring that opens is the thing's."""
    IDLE = auto()


def poll_after(thing_id: ThingId, pace: Pace, poll_s: int) -> int:
    """Return after how many seconds the thing should ask again, at least 1.

    Between 0.8 and 1.2 of the pace's usual time, always the same share for one thing.
    """
    usual_s: float = poll_s
    if pace is Pace.UNDER_WAY:
        usual_s = min(UNDER_WAY_S, poll_s)
    elif pace is Pace.RING_IS_NEXT:
        usual_s = poll_s / _SOONER_FOR_THE_NEXT_RING
    share = zlib.crc32(thing_id.encode()) % (_STEPS + 1) / _STEPS
    return max(1, round(usual_s * (0.8 + 0.4 * share)))
