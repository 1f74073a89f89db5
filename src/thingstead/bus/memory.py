"""The bus of a single process: a table of listeners by thing, and nothing in between."""

from collections.abc import Callable

from thingstead.features.live.model import LiveEvent
from thingstead.kernel.ids import ThingId

Listener = Callable[[LiveEvent], None]


class MemoryBus:
    """Hands events to the listeners of their thing at once; used on one event loop only."""

    def __init__(self) -> None:
        self._listeners: dict[ThingId, dict[Listener, None]] = {}

    def has_listener(self, thing_id: ThingId) -> bool:
        """Return whether anybody listens to the thing."""
        return thing_id in self._listeners

    def publish(self, event: LiveEvent) -> None:
        """Call the thing's listeners in the order in which they came."""
        for listener in tuple(self._listeners.get(event.thing_id, ())):
            listener(event)

    def listen(self, thing_id: ThingId, listener: Listener) -> None:
        """Call the listener for each event of the thing from now on; twice is once."""
        self._listeners.setdefault(thing_id, {})[listener] = None

    def unlisten(self, thing_id: ThingId, listener: Listener) -> None:
        """Stop calling the listener; unknown ones are ignored."""
        listeners = self._listeners.get(thing_id, {})
        listeners.pop(listener, None)
        if not listeners:
            self._listeners.pop(thing_id, None)
