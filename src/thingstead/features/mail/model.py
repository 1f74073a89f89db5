"""What a letter is before it becomes a mail: its occasion, its reader, and its facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType


class Occasion(StrEnum):
    """Why a letter is written; each has a template of its own."""

    CONFIRM_ADDRESS = "confirm-address"
    """Facts: `app`, `link`."""
    RESET_PASSWORD = "reset-password"  # noqa: S105  # No password.
    """Facts: `app`, `link`."""
    PASSWORD_CHANGED = "password-changed"  # noqa: S105  # No password.
    """Facts: `app`."""
    REGISTERED_AGAIN = "registered-again"
    """Facts: `app`. Somebody registered an address that has an account."""
    GRANT = "grant"
    """Facts: `app`, `giver` (an address), `rights` (one line a resource and thing), `link`."""


LINK_LIFETIMES: Mapping[Occasion, timedelta] = MappingProxyType(
    {
        Occasion.CONFIRM_ADDRESS: timedelta(hours=24),
        Occasion.RESET_PASSWORD: timedelta(minutes=30),
        Occasion.GRANT: timedelta(hours=72),
    }
)
"""How long a letter's link works, counted from its writing (`security.md` 6).

One table, because three must agree: who checks the link, what the letter says, and how long
delivering it is worth the effort.
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter to be written; `facts` are texts that the occasion's template names.

    `link` among the facts is a path on this server that starts with `/` and holds a secret:
    facts are sealed as long as they wait.
    """

    occasion: Occasion
    to: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SealedLetter:
    """A letter as it waits: everything but the occasion is sealed."""

    id: str
    occasion: Occasion
    sealed: bytes


@dataclass(frozen=True, slots=True)
class WaitingLetter:
    """A letter in the outbox; `attempts` were made, the next one is due at `due_at_ms`.

    `due_at_ms` means nothing once the letter no longer waits.
    """

    letter: SealedLetter
    written_at_ms: int
    due_at_ms: int
    attempts: int
    problem: str | None
    state: "LetterState"


class LetterState(StrEnum):
    """What has become of a letter; one that was delivered is forgotten."""

    WAITING = "waiting"
    """Not delivered yet; it is tried again."""
    FAILED = "failed"
    """Given up; `problem` says why."""
    SHOWN = "shown"
    """Written to the log, because no mail server is configured."""
