"""Messages on a thing's own sub-topics, which are passed on and not stored.

`v2/things/TOKEN/cmd` is a topic of the thing, not of the token: a subscriber with another
token of the same thing gets it below its own (`thethings-v2.md` 5.1).
"""

from dataclasses import dataclass, field

from thingstead.kernel.ids import ThingId

_OWN_BYTES = 200
_TOPIC = "relay:"


def relay_topic(thing_id: ThingId) -> str:
    """Return what the bus calls a thing's relayed messages; an id has no colon."""
    return _TOPIC + thing_id


@dataclass(frozen=True, slots=True)
class RelayedMessage:
    """A message on its way to those who listen to a thing's sub-topics.

    `rest`: the topic behind the token, such as `cmd`. `origin`: the connection it came by, 0
    when it came by none; only to be compared. `number`: its place in a kept session, 0 in none.
    """

    thing_id: ThingId
    rest: str
    payload: bytes = field(repr=False)
    origin: int = 0
    number: int = 0
    encodings: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    @property
    def topic(self) -> str:
        """What the bus calls it."""
        return relay_topic(self.thing_id)

    @property
    def sequence(self) -> int:
        """0, because it is stored nowhere."""
        return 0

    def weight(self) -> int:
        """Return about how many bytes it takes in a queue."""
        return _OWN_BYTES + len(self.rest) + len(self.payload)
