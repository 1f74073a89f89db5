"""Which live events a user's stream of one resource takes, and what of them it shows.

Pure functions of the reach at the moment of asking: whoever keeps a stream open asks anew
whenever the rights may have changed.
"""

from collections.abc import Callable
from typing import NamedTuple

from thingstead.features.live.model import LiveEvent
from thingstead.features.live.ports import Event
from thingstead.features.sharing.model import Reach
from thingstead.features.values.model import MagicEcho, Source, StoredValue
from thingstead.kernel.ids import ThingId


class Following(NamedTuple):
    """What a live stream of a user's listens to, as long as the user's rights are these."""

    topics: tuple[ThingId, ...]
    sources: tuple[Source, ...]
    """The same things, with the epochs of each that the user may see."""
    accepts: Callable[[Event], bool]
    """Says of an event of these topics whether the user may see it, and wants to."""


def following_of(reach: Reach, resource: str) -> Following:
    """Return what to listen to for that resource of every thing that may be read.

    An event counts when it was written to an epoch that may be seen and names the resource.
    """
    sources = tuple(Source(thing.id, thing.epochs) for thing in reach.readable(resource))
    epochs = {source.thing_id: frozenset(source.epochs) for source in sources}

    def accepts(event: Event) -> bool:
        return (
            isinstance(event, LiveEvent)
            and event.epoch in epochs.get(event.thing_id, ())
            and any(entry.key == resource for entry in event.entries)
        )

    return Following(tuple(epochs), sources, accepts)


def entries_of(event: LiveEvent, resource: str) -> tuple[StoredValue | MagicEcho, ...]:
    """Return the event's entries of that resource; the others may be none of the reader's."""
    return tuple(entry for entry in event.entries if entry.key == resource)
