"""What is kept of a messaging session while its client is away.

Values are not among it: a session keeps the cursor behind which they are given again
(`features/live/replay.py`). What is relayed without being stored waits in the session itself.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class HolderKind(StrEnum):
    """Whose credential a session belongs to."""

    THING = "thing"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who a session belongs to; two holders may use the same client id."""

    kind: HolderKind
    id: str


@dataclass(frozen=True, slots=True)
class KeptSubscription:
    """One subscription: the filter as the client wrote it (it may hold a token), and its options.

    `options` is the transport's own number for how to deliver; `after` is the sequence behind
    which values are still to be delivered, None when missed values are not wanted.
    """

    filter: str
    options: int
    after: int | None = None


@dataclass(frozen=True, slots=True)
class KeptSession:
    """A session; `expires_at_ms` is None while its client is connected."""

    id: str
    holder: Holder
    client_id: str
    expires_after_s: int
    subscriptions: tuple[KeptSubscription, ...] = ()
    expires_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A relayed message that waits in a session; `number` orders those of one session."""

    topic: str
    payload: bytes = field(repr=False)
    number: int = 0


@dataclass(frozen=True, slots=True)
class KeptSessionLimits:
    """How much is kept."""

    sessions_per_holder: int = 20
    messages: int = 1_000
    message_bytes: int = 1024 * 1024
    longest_s: int = 86_400
