"""Reads of the newest values, kept until the thing writes again.

Dashboards and devices ask for the same newest values far more often than these change. What
is kept is what the database gave, so there is no second copy to keep in step: a commit drops
everything of its thing. Lives on the event loop; knows no database.
"""

from dataclasses import dataclass

from thingstead.features.values.model import Reading
from thingstead.kernel.ids import ThingId

_ROWS_OF_AN_ENTRY = 5


@dataclass(slots=True, eq=False)
class Slot:
    """A place for one reading, empty while its look-up is under way."""

    reading: Reading | None = None


class NewestCache:
    """Readings by thing, key and limit; `max_rows` bounds the values kept, 0 keeps nothing."""

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._slots: dict[ThingId, dict[tuple[str, int], Slot]] = {}
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def get(self, thing_id: ThingId, key: str, limit: int) -> Reading | None:
        """Return the reading that is kept, if there is one."""
        slots = self._slots.get(thing_id)
        slot = None if slots is None else slots.get((key, limit))
        return None if slot is None else slot.reading

    def reserve(self, thing_id: ThingId, key: str, limit: int) -> Slot:
        """Return the place for a reading about to be looked up, before the look-up begins."""
        return self._slots.setdefault(thing_id, {}).setdefault((key, limit), Slot())

    def fill(
        self, thing_id: ThingId, key: str, limit: int, slot: Slot, reading: Reading | None
    ) -> None:
        """Keep the reading, unless the thing has written since its place was reserved.

        None, for a look-up that failed or found nothing, gives the place up.
        """
        slots = self._slots.get(thing_id, {})
        if slot.reading is not None or slots.get((key, limit)) is not slot:
            return
        if reading is None:
            del slots[key, limit]
            if not slots:
                del self._slots[thing_id]
            return
        slot.reading = reading
        self._rows += len(reading.rows) + _ROWS_OF_AN_ENTRY
        while self._rows > self._max_rows and self._slots:
            self.drop(next(iter(self._slots)))

    def drop(self, thing_id: ThingId) -> None:
        """Forget everything of a thing."""
        slots = self._slots.pop(thing_id, None)
        if slots is not None:
            for slot in slots.values():
                if slot.reading is not None:
                    self._rows -= len(slot.reading.rows) + _ROWS_OF_AN_ENTRY

    def clear(self) -> None:
        """Forget everything."""
        self._slots.clear()
        self._rows = 0
