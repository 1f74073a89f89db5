"""What a live subscriber hears of."""

from dataclasses import dataclass, field
from enum import Enum, StrEnum

from thingstead.features.values.model import MagicEcho, StoredValue
from thingstead.kernel.ids import ThingId
from thingstead.kernel.json_values import compact_size


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One committed write of one thing, in the order in which its request listed it.

    `sequence` is that of its last value; events of one thing arrive in commit order. `epoch` is
    the one that was written to.
    `encodings` lets each transport encode the event once per wire format for all its
    subscribers; the key is the format's name.
    """

    thing_id: ThingId
    sequence: int
    entries: tuple[StoredValue | MagicEcho, ...]
    epoch: int = 0
    encodings: dict[str, bytes] = field(default_factory=dict, compare=False)
    _weights: list[int] = field(default_factory=list, compare=False, repr=False)

    @property
    def topic(self) -> str:
        """The thing's id."""
        return self.thing_id

    def weight(self) -> int:
        """Return about how many bytes the event takes in a queue; weighed once for all."""
        if not self._weights:
            weight = sum(80 + len(entry.key) + _weight(entry.value) for entry in self.entries)
            self._weights.append(weight)
        return self._weights[0]


def _weight(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    return compact_size(value) if isinstance(value, (dict, list)) else 8


class Wake(Enum):
    """Why a subscriber was woken, when it was not by an event."""

    KEEP_ALIVE = "nothing happened for as long as asked"
    RECHECK = "the right to listen may have ended"


class End(StrEnum):
    """Why a subscription ended."""

    OVERFLOW = "the subscriber read too slowly"
    REVOKED = "the right to listen has ended"
    SHUTDOWN = "the server is stopping"
    INTERRUPTED = "the server cannot tell just now what may be heard; subscribe again"
    CLOSED = "the subscriber left"
