"""QoS 1 messages on their way to one client: packet ids, and how many may wait for a PUBACK.

Sans-IO. A message that was sent is remembered until it is acknowledged; what is remembered
when the connection ends is what a kept session delivers again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

_HIGHEST_ID = 65_535


@dataclass(slots=True)
class Outbox:
    """The window of one connection; `limit` is 1 to 65,535.

    Packet ids go on behind `last_id`. Where that is another one for each connection, what a
    client acknowledges of an earlier connection's is no message of this one.
    """

    limit: int
    last_id: int = 0
    _sent: dict[int, Callable[[], None]] = field(default_factory=dict)
    _waiting: list[Callable[[], None]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def room(self) -> int:
        """How many more may be sent now."""
        return self.limit - len(self._sent)

    def add(self, on_acknowledged: Callable[[], None]) -> int:
        """Return a free packet id for a message; there must be room."""
        packet_id = self.last_id
        while True:
            packet_id = packet_id % _HIGHEST_ID + 1
            if packet_id not in self._sent:
                break
        self.last_id = packet_id
        self._sent[packet_id] = on_acknowledged
        return packet_id

    def acknowledged(self, packet_id: int) -> None:
        """Forget the message and call who waits for room; an unknown id is ignored."""
        on_acknowledged = self._sent.pop(packet_id, None)
        if on_acknowledged is None:
            return
        on_acknowledged()
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for wake in waiting:
                wake()

    def call_when_room(self, wake: Callable[[], None]) -> None:
        """Have `wake` called once, after the next acknowledgement."""
        if wake not in self._waiting:
            self._waiting.append(wake)
