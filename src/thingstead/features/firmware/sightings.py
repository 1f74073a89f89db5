"""Which versions things run, and when they were last heard of.

A new version is stored at once. That a thing was heard of again is noted every ten minutes at
most, and written later by `flush`: a poll must not cost a write.
"""

from collections.abc import Sequence
from dataclasses import replace

from thingstead.features.firmware.model import Running, ThingRecord
from thingstead.features.firmware.ports import UpdateStore
from thingstead.features.firmware.records import Records
from thingstead.features.firmware.together import LARGEST_CALL, Together
from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import ThingId

MOST_MCUS_OF_A_THING = 16
_NOTE_EVERY_MS = 600_000
_MOST_TO_NOTE = 20_000


class Sightings:
    """Stores what runs, and notes who was seen."""

    def __init__(self, store: UpdateStore, records: Records, clock: Clock) -> None:
        self._store = store
        self._records = records
        self._clock = clock
        self._rows: Together[Running, None] = Together(self._save)
        self._noted: dict[tuple[ThingId, str], Running] = {}

    def note(self, known: Running) -> None:
        """Note that the thing was heard of and runs what it did; never waits."""
        now_ms = self._clock.now_ms()
        # What is too much to note now is noted when the thing is heard of the next time.
        if now_ms - known.seen_at_ms < _NOTE_EVERY_MS or len(self._noted) >= _MOST_TO_NOTE:
            return
        seen = replace(known, seen_at_ms=now_ms)
        self._noted[known.thing_id, known.mcu] = seen
        self._records.take_running(seen)

    async def take(self, thing_id: ThingId, mcu: str, version: str, record: ThingRecord) -> None:
        """Take in that the version runs: store another one than `record` has, else note it.

        A 17th MCU of one thing is not taken in.
        """
        known = next((running for running in record.running if running.mcu == mcu), None)
        if known is not None and known.version == version:
            self.note(known)
            return
        if known is None and len(record.running) >= MOST_MCUS_OF_A_THING:
            return
        now_ms = self._clock.now_ms()
        self._noted.pop((thing_id, mcu), None)
        await self._rows.put([Running(thing_id, mcu, version, now_ms, now_ms)])

    async def flush(self) -> None:
        """Write what was noted; what could not be written stays noted for the next time."""
        noted = list(self._noted.items())
        for start in range(0, len(noted), LARGEST_CALL):
            page = noted[start : start + LARGEST_CALL]
            # Another version that comes meanwhile is behind these in the same queue.
            await self._rows.put([seen for _, seen in page])
            for key, seen in page:
                if self._noted.get(key) is seen:
                    del self._noted[key]

    async def _save(self, rows: Sequence[Running]) -> Sequence[None]:
        newest = {(row.thing_id, row.mcu): row for row in rows}
        await self._store.save_running(list(newest.values()))
        for row in newest.values():
            self._records.take_running(row)
        return [None] * len(rows)
