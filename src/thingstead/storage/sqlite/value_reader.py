"""The reader of `values.db`: bounded look-ups, many per wake-up of the event loop.

Runs in its own thread on its own connection, so a slow disk never stalls the event loop.
Every statement here is answered from an index (a test reads the plans).
"""

import sqlite3
from asyncio import Future
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from thingstead.features.values.model import Reading, Window
from thingstead.kernel.errors import ThingsteadError
from thingstead.kernel.ids import ThingId
from thingstead.storage.sqlite.failures import translated
from thingstead.storage.sqlite.value_codec import from_column

_SERIES_KEPT = 100_000
_EARLIEST = -(2**63)
_LATEST = 2**63 - 1

NEWEST = (
    "SELECT value, at_ms, lat, long FROM value"
    " WHERE series_id = ? AND at_ms >= ? AND at_ms < ?"
    " ORDER BY at_ms DESC, sequence DESC LIMIT ?"
)
SERIES = "SELECT id FROM series WHERE thing_id = ? AND key = ?"
KEYS = "SELECT key FROM series WHERE thing_id = ? ORDER BY key"
DOCUMENT = "SELECT value FROM document WHERE thing_id = ? AND name = ?"


@dataclass(slots=True)
class ReadJob:
    """A look-up and where its result goes."""

    look_up: "Callable[[ValueReader], object]"
    future: "Future[Any]"
    result: object = None
    error: ThingsteadError | None = None


class ValueReader:
    """Looks values and documents up; used by one thread only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._series: dict[tuple[ThingId, str], int] = {}

    def run(self, jobs: list[ReadJob]) -> None:
        """Carry out the look-ups and set what became of each; never raises."""
        for job in jobs:
            try:
                job.result = job.look_up(self)
            except Exception as exc:  # noqa: BLE001  # Supervises the thread: one look-up ends here.
                job.error = translated(exc)

    def forget(self, thing_id: ThingId) -> None:
        """Forget the series ids of a thing whose series were deleted."""
        self._series = {k: v for k, v in self._series.items() if k[0] != thing_id}

    def newest(self, thing_id: ThingId, key: str, window: Window) -> Reading | None:
        """Return the values in the window, newest first; None for a key never written."""
        series_id = self._series.get((thing_id, key))
        if series_id is None:
            series_id = self._find_series(thing_id, key)
            if series_id is None:
                return None
        rows = self._connection.execute(
            NEWEST,
            (
                series_id,
                _EARLIEST if window.from_ms is None else window.from_ms,
                _LATEST if window.until_ms is None else window.until_ms,
                window.limit,
            ),
        ).fetchall()
        if any(type(row[0]) is bytes for row in rows):
            rows = [(from_column(value), *others) for value, *others in rows]
        return Reading(key, rows)

    def keys(self, thing_id: ThingId) -> list[str]:
        """Return the keys that the thing has written, in alphabetical order."""
        return [key for (key,) in self._connection.execute(KEYS, (thing_id,))]

    def document(self, thing_id: ThingId, name: str) -> object | None:
        """Return the document's value, or None when it was never set."""
        found = self._connection.execute(DOCUMENT, (thing_id, name)).fetchone()
        return None if found is None else from_column(found[0].encode("utf-8"))

    def _find_series(self, thing_id: ThingId, key: str) -> int | None:
        found = self._connection.execute(SERIES, (thing_id, key)).fetchone()
        if found is None:
            return None
        if len(self._series) >= _SERIES_KEPT:
            del self._series[next(iter(self._series))]
        self._series[thing_id, key] = found[0]
        return int(found[0])
