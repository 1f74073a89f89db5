"""How events travel from where they were committed to where somebody listens."""

from collections.abc import Callable
from typing import Protocol


class Event(Protocol):
    """Something committed that live subscribers hear of."""

    @property
    def topic(self) -> str:
        """What it is about: a thing's id, or another text that can be none."""
        ...

    def weight(self) -> int:
        """Return about how many bytes it takes in a queue."""
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
