"""How far a client has got with the events of one subscription.

Events go out in order, but may be acknowledged in any, and one event may be several messages.
The place to begin again at is the one before the first event that is not wholly acknowledged.
"""

from collections import deque


class Progress:
    """Sequences sent and acknowledged; `after` is behind which to begin again. It only rises."""

    __slots__ = ("_order", "_passed", "_under_way", "after")

    def __init__(self, after: int) -> None:
        self.after = after
        self._order: deque[int] = deque()
        self._under_way: dict[int, int] = {}
        self._passed = after

    def sent(self, sequence: int, messages: int = 1) -> None:
        """Note an event that goes out as so many messages, one at least; sequences rise."""
        self._order.append(sequence)
        self._under_way[sequence] = messages

    def acknowledged(self, sequence: int) -> None:
        """Note that the client has one message of the event."""
        self._under_way[sequence] -= 1
        while self._order and not self._under_way[self._order[0]]:
            done = self._order.popleft()
            del self._under_way[done]
            self.after = max(self.after, done)
        self._catch_up()

    def passed(self, sequence: int) -> None:
        """Note that nothing up to the sequence is left for this subscription but what was sent."""
        self._passed = max(self._passed, sequence)
        self._catch_up()

    def _catch_up(self) -> None:
        if not self._order:
            self.after = max(self.after, self._passed)
