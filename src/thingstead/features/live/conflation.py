"""What stays of a full queue whose subscriber wants the newest values rather than all of them."""

from collections.abc import Sequence

from thingstead.features.live.model import LiveEvent
from thingstead.features.live.ports import Event
from thingstead.features.values.model import MagicEcho, StoredValue


def conflated(events: Sequence[Event]) -> tuple[list[Event], int]:
    """Return the events with only the newest entry of each key of each thing, and how many left.

    The order stays. Events of other kinds stay as they are: each change of an object is news.
    """
    seen: set[tuple[str, str]] = set()
    kept: list[Event] = []
    dropped = 0
    for event in reversed(events):
        if not isinstance(event, LiveEvent):
            kept.append(event)
            continue
        entries: list[StoredValue | MagicEcho] = []
        for entry in reversed(event.entries):
            place = (event.thing_id, entry.key)
            if place in seen:
                dropped += 1
            else:
                seen.add(place)
                entries.append(entry)
        if len(entries) == len(event.entries):
            kept.append(event)
        elif entries:
            entries.reverse()
            kept.append(LiveEvent(event.thing_id, event.sequence, tuple(entries), event.epoch))
    kept.reverse()
    return kept, dropped
