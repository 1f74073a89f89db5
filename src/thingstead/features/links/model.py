"""What a link is: one user owning one thing, since when."""

from dataclasses import dataclass
from enum import StrEnum

from thingstead.features.things.model import Thing
from thingstead.kernel.ids import ThingId


@dataclass(frozen=True, slots=True)
class LinkedThing:
    """A thing as its owner sees it: `thing.epochs` are all that are theirs."""

    thing: Thing
    linked_at_ms: int


class LinkOutcome(StrEnum):
    """What became of an attempt to link."""

    LINKED = "linked"
    ALREADY_THEIRS = "already theirs"
    NOT_FREE = "not free"
    """Unknown, or somebody else's: the two are answered alike."""
    TOO_MANY = "too many"


class ByLinkId(StrEnum):
    """What became of presenting a link id."""

    LINKED = "linked"
    WAITING = "waiting"
    """For the other side, or for ever: more than one user, or thing, presented it."""
    TOO_MANY = "too many"
    TOO_MANY_THINGS = "too many things"
    """Both sides met, but the user owns as many things as they may; both go on waiting."""
    NOT_ALLOWED = "not allowed"
    """The thing's product takes no link ids."""


@dataclass(frozen=True, slots=True)
class LinkIdResult:
    """What became of it, and the thing that was linked."""

    outcome: ByLinkId
    thing_id: ThingId | None = None
