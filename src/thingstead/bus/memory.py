"""The bus of a single process: a table of listeners by topic, and nothing in between."""

from thingstead.features.live.ports import Event, Listener


class MemoryBus:
    """Hands events to the listeners of their topic at once; used on one event loop only."""

    def __init__(self) -> None:
        self._listeners: dict[str, dict[Listener, None]] = {}

    def has_listener(self, topic: str) -> bool:
        """Return whether anybody listens to the topic."""
        return topic in self._listeners

    def publish(self, event: Event) -> None:
        """Call the topic's listeners in the order in which they came."""
        for listener in tuple(self._listeners.get(event.topic, ())):
            listener(event)

    def listen(self, topic: str, listener: Listener) -> None:
        """Call the listener for each event of the topic from now on; twice is once."""
        self._listeners.setdefault(topic, {})[listener] = None

    def unlisten(self, topic: str, listener: Listener) -> None:
        """Stop calling the listener; unknown ones are ignored."""
        listeners = self._listeners.get(topic, {})
        listeners.pop(listener, None)
        if not listeners:
            self._listeners.pop(topic, None)
