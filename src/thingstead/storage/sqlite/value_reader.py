"""The reader of `values.db`: bounded look-ups, many per wake-up of the event loop.

Runs in its own thread on its own connection, so a slow disk never stalls the event loop.
Every statement here is answered from an index (a test reads the plans). A key has a series in
each epoch of its thing; what is read over several of them is merged here.
"""

import heapq
import sqlite3
from asyncio import Future
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any

from thingstead.features.values.model import ArchivedValue, Mark, Position, Reading, Window
from thingstead.kernel.errors import ThingsteadError
from thingstead.kernel.ids import ThingId
from thingstead.kernel.json_values import JSONText
from thingstead.storage.sqlite.failures import translated
from thingstead.storage.sqlite.value_codec import from_column
from thingstead.storage.sqlite.value_documents import find_document, find_document_text

_SERIES_KEPT = 100_000
# Each has a cursor that holds a row or two while they are merged.
_SERIES_AT_ONCE = 100
PAGE_BYTES = 256 * 1024
# What takes room beyond the row itself.
_SIZED = frozenset((str, bytes))
_value_of = itemgetter(0)
EARLIEST = -(2**63)
LATEST = 2**63 - 1

NEWEST = (
    "SELECT value, at_ms, lat, long FROM value"
    " WHERE series_id = ? AND at_ms >= ? AND at_ms < ?"
    " ORDER BY at_ms DESC, sequence DESC LIMIT ?"
)
NEWEST_TO_MERGE = (
    "SELECT value, at_ms, lat, long, sequence FROM value"
    " WHERE series_id = ? AND at_ms >= ? AND at_ms < ?"
    " ORDER BY at_ms DESC, sequence DESC LIMIT ?"
)
PAGE = (
    "SELECT value, at_ms, lat, long, sequence FROM value"
    " WHERE series_id = ? AND (at_ms, sequence) > (?, ?)"
    " ORDER BY at_ms, sequence LIMIT ?"
)
SERIES = "SELECT id FROM series WHERE thing_id = ? AND epoch = ? AND key = ?"
KEYS = "SELECT key FROM series WHERE thing_id = ? AND epoch = ? ORDER BY key"

NumberedRow = tuple[Any, int, float | None, float | None, int]
"""A row as it is stored, its value still undecoded, with its sequence at the end."""


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
        self._series: dict[tuple[ThingId, int, str], int] = {}
        self.text_bytes = 0
        """How much text the results hold, since whoever hands them back set it to 0."""

    def run(self, job: ReadJob) -> None:
        """Carry out the look-up and set what became of it; never raises."""
        try:
            job.result = job.look_up(self)
        except Exception as exc:  # noqa: BLE001  # Supervises the thread: one look-up ends here.
            job.error = translated(exc)

    def forget(self, thing_id: ThingId) -> None:
        """Forget the series ids of a thing whose series were deleted."""
        self._series = {k: v for k, v in self._series.items() if k[0] != thing_id}

    def newest(
        self, thing_id: ThingId, epochs: tuple[int, ...], key: str, window: Window
    ) -> Reading | None:
        """Return the values in the window, newest first; None for a key never written."""
        series = self._series_of(thing_id, epochs, key)
        if not series:
            return None
        rows: list[Any]
        if len(series) == 1:
            rows = self._connection.execute(NEWEST, _bounds(series[0], window)).fetchall()
        else:
            rows = [row[:4] for row in self._merged(series, window)]
        # Mostly these are numbers, which are told soonest so (2 of 190 µs for 100 rows).
        if not _SIZED.isdisjoint(map(type, map(_value_of, rows))):
            self.text_bytes += sum(map(size_of, rows))
            rows = [(from_column(value), *others) for value, *others in rows]
        return Reading(key, rows)

    def numbered(
        self, thing_id: ThingId, epochs: tuple[int, ...], key: str, window: Window
    ) -> list[NumberedRow]:
        """Return the rows in the window as they are stored, newest first, to be merged."""
        return self._merged(self._series_of(thing_id, epochs, key), window)

    def page(
        self,
        thing_id: ThingId,
        epochs: tuple[int, ...],
        key: str,
        *,
        after: Mark | None,
        limit: int,
    ) -> list[ArchivedValue]:
        """Return the values behind the mark, oldest first; fewer, should they be large."""
        start = (EARLIEST, EARLIEST) if after is None else (after.at_ms, after.sequence)
        series = self._series_of(thing_id, epochs, key)
        rows: list[NumberedRow] = []
        for some in _groups(series):
            questions = [(PAGE, (series_id, *start, limit)) for series_id in some]
            rows = self._first(rows, questions, limit, max_bytes=PAGE_BYTES)
        self.text_bytes += sum(map(size_of, rows))
        return [_archived(row) for row in rows]

    def keys(self, thing_id: ThingId, epochs: tuple[int, ...]) -> list[str]:
        """Return the keys that the thing has written, each once, in alphabetical order."""
        if len(epochs) == 1:
            return [key for (key,) in self._connection.execute(KEYS, (thing_id, epochs[0]))]
        found: set[str] = set()
        for epoch in epochs:
            found.update(key for (key,) in self._connection.execute(KEYS, (thing_id, epoch)))
        return sorted(found)

    def document(self, thing_id: ThingId, epochs: tuple[int, ...], name: str) -> object | None:
        """Return the document of the newest epoch that has it, or None when none has."""
        return find_document(self._connection, thing_id, epochs, name)

    def document_text(
        self, thing_id: ThingId, epochs: tuple[int, ...], name: str
    ) -> JSONText | None:
        """Return the same undecoded; None for null too."""
        text = find_document_text(self._connection, thing_id, epochs, name)
        if text is None or text == "null":
            return None
        self.text_bytes += len(text)
        return JSONText(text.encode("utf-8"))

    def _merged(self, series: list[int], window: Window) -> list[NumberedRow]:
        rows: list[NumberedRow] = []
        for some in _groups(series):
            questions = [(NEWEST_TO_MERGE, _bounds(series_id, window)) for series_id in some]
            rows = self._first(rows, questions, window.limit, is_newest_first=True)
        return rows

    def _first(
        self,
        rows: list[NumberedRow],
        questions: Sequence[tuple[str, tuple[int, ...]]],
        limit: int,
        *,
        is_newest_first: bool = False,
        max_bytes: int | None = None,
    ) -> list[NumberedRow]:
        """Return the first of these rows and of what the questions give, in one order.

        Each question is read row by row: with many epochs, most of its rows are not needed.
        The last row may pass `max_bytes`, so there is always one.
        """
        with ExitStack() as stack:
            # A cursor left open would keep the log from being copied.
            cursors = [
                stack.enter_context(closing(self._connection.execute(*question)))
                for question in questions
            ]
            merged = heapq.merge(rows, *cursors, key=_place, reverse=is_newest_first)
            some = islice(merged, limit)
            return list(some if max_bytes is None else _until(some, max_bytes))

    def _series_of(self, thing_id: ThingId, epochs: tuple[int, ...], key: str) -> list[int]:
        """Return the ids of the key's series, of those epochs in which it was written."""
        found = []
        for epoch in epochs:
            series_id = self._series.get((thing_id, epoch, key))
            if series_id is None:
                series_id = self._find_series(thing_id, epoch, key)
            if series_id is not None:
                found.append(series_id)
        return found

    def _find_series(self, thing_id: ThingId, epoch: int, key: str) -> int | None:
        found = self._connection.execute(SERIES, (thing_id, epoch, key)).fetchone()
        if found is None:
            return None
        if len(self._series) >= _SERIES_KEPT:
            del self._series[next(iter(self._series))]
        self._series[thing_id, epoch, key] = found[0]
        return int(found[0])


def _bounds(series_id: int, window: Window) -> tuple[int, int, int, int]:
    return (
        series_id,
        EARLIEST if window.from_ms is None else window.from_ms,
        LATEST if window.until_ms is None else window.until_ms,
        window.limit,
    )


def _groups(series: list[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(series), _SERIES_AT_ONCE):
        yield series[start : start + _SERIES_AT_ONCE]


def _until(rows: Iterator[NumberedRow], max_bytes: int) -> Iterator[NumberedRow]:
    """Yield the rows until their text has reached so many bytes."""
    size = 0
    for row in rows:
        yield row
        size += size_of(row)
        if size >= max_bytes:
            return


def size_of(row: Sequence[Any]) -> int:
    """Return how much text a row holds."""
    value = row[0]
    return len(value) if type(value) in _SIZED else 0


def _place(row: NumberedRow) -> tuple[int, int]:
    return row[1], row[4]


def _archived(row: NumberedRow) -> ArchivedValue:
    value, at_ms, lat, long, sequence = row
    position = None if lat is None or long is None else Position(lat, long)
    return ArchivedValue(Mark(at_ms, sequence), from_column(value), position)
