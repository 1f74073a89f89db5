"""How events travel from where they were committed to where somebody listens."""

from collections.abc import Callable
from typing import Protocol

from thingstead.features.live.model import LiveEvent
from thingstead.kernel.ids import ThingId


class Bus(Protocol):
    """Carries notifications; the database is the truth, so a lost one is no lost value."""

    def has_listener(self, thing_id: ThingId) -> bool:
        """Return whether anybody may listen to the thing; never waits."""
        ...

    def publish(self, event: LiveEvent) -> None:
        """Hand the event on; never waits. Events of one thing keep their order."""
        ...

    def listen(self, thing_id: ThingId, listener: Callable[[LiveEvent], None]) -> None:
        """Call the listener for each event of the thing published from now on."""
        ...

    def unlisten(self, thing_id: ThingId, listener: Callable[[LiveEvent], None]) -> None:
        """Stop calling the listener; unknown ones are ignored."""
        ...
