"""How events travel from where they were committed to where somebody listens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from thingstead.features.values.model import Source


class Event(Protocol):
    """Something committed that live subscribers hear of."""

    @property
    def topic(self) -> str:
        """What it is about: a thing's id, or another text that can be none."""
        ...

    @property
    def encodings(self) -> dict[str, bytes]:
        """How it looks on the wire, by the format's name; made once for all subscribers."""
        ...

    @property
    def sequence(self) -> int:
        """Its place among the events of its kind, in commit order."""
        ...

    def weight(self) -> int:
        """Return about how many bytes it takes in a queue."""
        ...


@dataclass(frozen=True, slots=True)
class Missed:
    """A page of what was heard behind a place in the order of commits.

    `scanned_to` is where the next page goes on, which is earlier than the place asked for when
    that lies in the future; with `is_complete` there was nothing behind it
    when the page was read. `has_gap` tells that something may be missing: it is too long ago, or
    the place belongs to another history than the store's.
    """

    events: list[Event]
    scanned_to: int
    is_complete: bool
    has_gap: bool


class ValueReplay(Protocol):
    """Tells again what live subscribers of things heard, in the same order and form.

    Values that were deleted meanwhile are left out. Magic resources have their present value, and
    are left out once they have none.
    """

    async def missed(self, sources: Sequence[Source], *, key: str | None, after: int) -> Missed:
        """Return events of the sources whose sequence is larger than `after`, in its order.

        With a `key`, its entries only. A page is bounded; it may be empty and not the last one.
        Raises OverloadedError when too many reads wait.
        """
        ...

    async def head(self) -> int:
        """Return the sequence of the newest write."""
        ...


Listener = Callable[[Event], None]


class Bus(Protocol):
    """Carries notifications; the database is the truth, so a lost one is no lost value."""

    def has_listener(self, topic: str) -> bool:
        """Return whether anybody may listen to the topic; never waits."""
        ...

    def publish(self, event: Event) -> None:
        """Hand the event on; never waits. Events of one topic keep their order."""
        ...

    def listen(self, topic: str, listener: Listener) -> None:
        """Call the listener for each event of the topic published from now on; twice is once."""
        ...

    def unlisten(self, topic: str, listener: Listener) -> None:
        """Stop calling the listener; unknown ones are ignored."""
        ...
