"""Reads of the newest values, kept until the thing writes again.

Dashboards and devices ask for the same newest values far more often than these change. What
is kept is what the database gave, so there is no second copy to keep in step: a commit drops
everything of its thing. Lives on the event loop; knows no database.
"""

from dataclasses import dataclass

from thingstead.features.values.model import Reading
from thingstead.kernel.ids import ThingId
from thingstead.kernel.json_values import JSONText

Question = tuple[tuple[int, ...], str, int]
"""What is read of a thing: the epochs that may be seen, the key, and the limit."""

# Measured with values that are numbers: 227 bytes a row, its encoded text included.
_ROW_BYTES = 230
_ENTRY_BYTES = 1_000


@dataclass(slots=True, eq=False)
class Slot:
    """A place for one reading, empty while its look-up is under way."""

    reading: Reading | None = None
    weight: int = 0


class NewestCache:
    """Readings by thing and question; `max_bytes` bounds what they take, 0 keeps none."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._slots: dict[ThingId, dict[Question, Slot]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return self._bytes

    def get(self, thing_id: ThingId, question: Question) -> Reading | None:
        """Return the reading that is kept, if there is one."""
        slots = self._slots.get(thing_id)
        slot = None if slots is None else slots.get(question)
        return None if slot is None else slot.reading

    def reserve(self, thing_id: ThingId, question: Question) -> Slot:
        """Return the place for a reading about to be looked up, before the look-up begins."""
        return self._slots.setdefault(thing_id, {}).setdefault(question, Slot())

    def fill(
        self, thing_id: ThingId, question: Question, slot: Slot, reading: Reading | None
    ) -> None:
        """Keep the reading, unless the thing has written since its place was reserved.

        None, for a look-up that failed or found nothing, gives the place up.
        """
        slots = self._slots.get(thing_id, {})
        if slot.reading is not None or slots.get(question) is not slot:
            return
        if reading is None:
            del slots[question]
            if not slots:
                del self._slots[thing_id]
            return
        slot.reading = reading
        slot.weight = weight_of(reading)
        self._bytes += slot.weight
        while self._bytes > self._max_bytes and self._slots:
            self.drop(next(iter(self._slots)))

    def drop(self, thing_id: ThingId) -> None:
        """Forget everything of a thing."""
        slots = self._slots.pop(thing_id, None)
        if slots is not None:
            for slot in slots.values():
                self._bytes -= slot.weight


def weight_of(reading: Reading) -> int:
    """Return about how many bytes a reading takes, with its encoded text."""
    weight = _ENTRY_BYTES + _ROW_BYTES * len(reading.rows)
    for value, *_ in reading.rows:
        if isinstance(value, str):
            # Once as a text of up to four bytes a character, and once encoded.
            weight += 4 * len(value)
        elif isinstance(value, JSONText):
            # Once as it is stored, and once in the encoded text.
            weight += 2 * len(value.text)
    return weight
