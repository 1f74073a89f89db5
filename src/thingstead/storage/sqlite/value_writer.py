"""The one writer of `values.db`: many requests, one durable commit.

Runs in its own thread (`BatchThread`) on its own connection. A request is prepared as a whole
before anything of it is written, so a refused request leaves nothing behind, while the others
of its batch are stored. If the commit itself fails, every request of the batch fails.
"""

import logging
import sqlite3
import time
from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from thingstead.features.magic.documents import changed_document
from thingstead.features.values.errors import TooManyKeysError
from thingstead.features.values.model import (
    Appended,
    Delivery,
    DocumentChange,
    NewValue,
    Write,
)
from thingstead.kernel.errors import ThingsteadError
from thingstead.kernel.ids import ThingId
from thingstead.storage.sqlite.failures import translated
from thingstead.storage.sqlite.value_arrivals import Arrivals
from thingstead.storage.sqlite.value_codec import Column, to_column
from thingstead.storage.sqlite.value_deliveries import DeliveryRows
from thingstead.storage.sqlite.value_documents import find_document

_SERIES_KEPT = 200_000
COMPARED_VALUES = 2_000
COMPARED_EPOCHS = 10
"""In how many epochs before the one written to a repeat is looked for."""

# Counter, arrivals, and what a packet or a trimmed slice may touch.
_PAGES_OF_A_BATCH = 8

_log = logging.getLogger(__name__)

SERIES = "SELECT id FROM series WHERE thing_id = ? AND epoch = ? AND key = ?"

Row = tuple[int, int, int, Column, float | None, float | None]

_INSERT = (
    "INSERT INTO value (series_id, at_ms, sequence, value, lat, long) VALUES (?, ?, ?, ?, ?, ?)"
)


@dataclass(slots=True)
class WriteJob:
    """A request on its way through the writer; one of `result` and `error` is set at the end."""

    write: Write
    future: "Future[Appended]"
    result: Appended | None = None
    error: ThingsteadError | None = field(default=None)


@dataclass(slots=True)
class DeliveryJob:
    """Work on what is remembered of packets, in the order of the requests around it."""

    run: Callable[[DeliveryRows], object]
    future: "Future[Any]"
    result: object = None
    error: ThingsteadError | None = field(default=None)


class ValueWriter:
    """Stores batches of writes; used by one thread only."""

    def __init__(
        self, connection: sqlite3.Connection, *, max_keys: int, replay_values: int
    ) -> None:
        self._connection = connection
        self._max_keys = max_keys
        self._arrivals = Arrivals(connection, keep=replay_values)
        self._places = self._arrivals.places
        self._deliveries = DeliveryRows(connection)
        # Of each thing the epoch written to last only: it does not go back to an earlier one.
        self._series: dict[ThingId, tuple[int, dict[str, int]]] = {}
        self._series_count = 0
        self._touched: set[ThingId] = set()
        self.flush_s = 0.0
        """How long the last commit took."""
        self._sequence = 0
        self._data_version = -1

    def store(self, jobs: Sequence[WriteJob | DeliveryJob]) -> int:
        """Store the jobs in one transaction and set what became of each; never raises.

        Returns at most how many pages the commit added to the write-ahead log.
        """
        self._touched.clear()
        sequence_before = self._sequence
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._notice_other_writers()
            sequence_before = self._sequence
            self._prepare_all(jobs)
            self._arrivals.write(self._sequence)
            self._keep_sequence()
            began = time.monotonic()
            self._connection.execute("COMMIT")
            self.flush_s = time.monotonic() - began
            return self._sequence - sequence_before + len(jobs) + _PAGES_OF_A_BATCH
        except Exception as exc:  # noqa: BLE001  # Supervises the thread: one batch ends here.
            self._undo(sequence_before)
            error = translated(exc)
            for job in jobs:
                job.result, job.error = None, error
            return 0

    def _prepare_all(self, jobs: Sequence[WriteJob | DeliveryJob]) -> None:
        self._arrivals.begin()
        rows: list[Row] = []
        for job in jobs:
            try:
                if isinstance(job, DeliveryJob):
                    job.result = job.run(self._deliveries)
                elif job.write.delivery is None:
                    job.result = self._prepare(job.write, rows)
                else:
                    job.result = self._prepare_delivered(job.write, job.write.delivery, rows)
            except ThingsteadError as exc:
                job.error = exc
        if rows:
            self._connection.executemany(_INSERT, rows)

    def forget(self, thing_id: ThingId) -> None:
        """Forget the series ids of a thing whose series were deleted."""
        kept = self._series.pop(thing_id, None)
        if kept is not None:
            self._series_count -= len(kept[1])

    def _keep_sequence(self) -> None:
        moved = self._connection.execute(
            "UPDATE counter SET value = ?1 WHERE name = 'sequence' AND value <= ?1",
            (self._sequence,),
        )
        if moved.rowcount != 1:
            raise sqlite3.DatabaseError("the sequence would go backwards")

    def _notice_other_writers(self) -> None:
        """Read anew what another process (the command line) may have changed."""
        (data_version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if data_version != self._data_version:
            self._series.clear()
            self._series_count = 0
            self._deliveries.clear()
            (self._sequence,) = self._connection.execute(
                "SELECT value FROM counter WHERE name = 'sequence'"
            ).fetchone()
            # Last, so that a look-up that failed is made again.
            self._data_version = data_version

    def _undo(self, sequence: int) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as exc:
            # The next batch cannot begin, fails as this one did, and comes here again.
            _log.error("a failed transaction could not be rolled back: %s", exc)
        self._sequence = sequence
        self._arrivals.undo()
        # It also has the next batch read packets and series anew.
        self._data_version = -1
        # Ids given out in the transaction that failed will be given out again.
        for thing_id in self._touched:
            self.forget(thing_id)

    def _prepare_delivered(self, write: Write, delivery: Delivery, rows: list[Row]) -> Appended:
        """Queue the request's rows, unless the packet that carries it was stored before."""
        if self._deliveries.is_repeat(delivery):
            return Appended(self._sequence, is_repeat=True)
        appended = self._prepare(write, rows)
        self._deliveries.keep(delivery, appended.sequence)
        return appended

    def _prepare(self, write: Write, rows: list[Row]) -> Appended:
        """Queue the request's rows; raises before anything of it was written."""
        documents = self._documents_after(write) if write.changes else {}
        values = write.values
        epoch = write.epochs[-1]
        kept = self._series.get(write.thing_id)
        if kept is not None and kept[0] == epoch:
            known = kept[1]
        else:
            known = self._load_series(write.thing_id, epoch)
        # The common request holds one value of a known key.
        if any(value.key not in known for value in values):
            self._add_series(write, known)
        for name, text in documents.items():
            self._connection.execute(
                "INSERT INTO document (thing_id, name, epoch, value) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (thing_id, name, epoch) DO UPDATE SET value = excluded.value",
                (write.thing_id, name, epoch, text),
            )
        if any(value.has_own_time for value in values):
            appended = self._insert_timed(write, known, rows)
        else:
            sequence = self._sequence
            places = self._places if write.is_broadcast else []
            for value in values:
                sequence += 1
                row = _row(known[value.key], value, sequence)
                rows.append(row)
                places += row[0], row[1], sequence + sequence
            if values and places:
                places[-1] += 1
            # A write of documents only has a place in the order of events too.
            self._sequence = sequence if values else sequence + 1
            appended = Appended(self._sequence)
        if write.changes and write.is_broadcast:
            self._arrivals.add_echoes(write, appended)
        return appended

    def _insert_timed(self, write: Write, known: dict[str, int], rows: list[Row]) -> Appended:
        """Insert one by one, leaving out what is stored already exactly so."""
        # What waits from this batch must be there to be compared with.
        self._connection.executemany(_INSERT, rows)
        rows.clear()
        repeats: list[int] = []
        inserted: list[Row] = []
        earlier: dict[str, list[int]] = {}
        stored: dict[tuple[int, int], set[object]] = {}
        for index, value in enumerate(write.values):
            row = _row(known[value.key], value, self._sequence + 1)
            if value.has_own_time:
                same_time = stored.get(row[:2])
                if same_time is None:
                    same_time = stored[row[:2]] = self._stored_at(row[0], row[1])
                    if len(write.epochs) > 1:
                        same_time |= self._stored_earlier(write, value, earlier)
                # 1 and 1.0 are equal in Python, but not the same JSON type.
                what = (type(row[3]), *row[3:])
                if what in same_time:
                    repeats.append(index)
                    continue
                same_time.add(what)
            self._connection.execute(_INSERT, row)
            inserted.append(row)
            self._sequence += 1
        if write.is_broadcast:
            self._arrive(inserted)
        if write.changes and len(repeats) == len(write.values):
            self._sequence += 1
        return Appended(self._sequence, frozenset(repeats))

    def _arrive(self, rows: list[Row]) -> None:
        """Have the rows, which are one write, told again to those who miss it."""
        places = self._arrivals.places
        for series_id, at_ms, sequence, *_ in rows:
            places += series_id, at_ms, sequence + sequence
        if rows:
            places[-1] += 1

    def _stored_earlier(
        self, write: Write, value: NewValue, earlier: dict[str, list[int]]
    ) -> set[object]:
        """Return what the epochs before hold of the key at that time; `earlier` keeps their series.

        A device that sends again what it is not sure of may have been linked anew meanwhile.
        """
        series = earlier.get(value.key)
        if series is None:
            before = write.epochs[-COMPARED_EPOCHS - 1 : -1]
            series = earlier[value.key] = [
                found[0]
                for epoch in before
                for found in self._connection.execute(SERIES, (write.thing_id, epoch, value.key))
            ]
        return {one for found in series for one in self._stored_at(found, value.at_ms)}

    def _stored_at(self, series_id: int, at_ms: int) -> set[object]:
        """Return what is stored of the series at that time, the newest of it at least.

        A device whose clock stands still gives all its values one time; looking through all
        of them would make each of its writes slower than the last, for everybody.
        """
        found = self._connection.execute(
            "SELECT value, lat, long FROM value WHERE series_id = ? AND at_ms = ?"
            " ORDER BY sequence DESC LIMIT ?",
            (series_id, at_ms, COMPARED_VALUES),
        )
        return {(type(value), value, lat, long) for value, lat, long in found}

    def _documents_after(self, write: Write) -> dict[str, str]:
        """Return the texts of the changed documents; later changes see earlier ones."""
        changes: dict[str, list[DocumentChange]] = {}
        for change in write.changes:
            changes.setdefault(change.name, []).append(change)
        texts: dict[str, str] = {}
        for name, of_name in changes.items():
            before = find_document(self._connection, write.thing_id, write.epochs, name)
            texts[name] = changed_document(before, of_name)
        return texts

    def _load_series(self, thing_id: ThingId, epoch: int) -> dict[str, int]:
        self.forget(thing_id)
        while self._series_count >= _SERIES_KEPT:
            self.forget(next(iter(self._series)))
        found = self._connection.execute(
            "SELECT key, id FROM series WHERE thing_id = ? AND epoch = ?", (thing_id, epoch)
        ).fetchall()
        known = dict(found)
        self._series[thing_id] = (epoch, known)
        self._series_count += len(known)
        return known

    def _add_series(self, write: Write, known: dict[str, int]) -> None:
        new = dict.fromkeys(value.key for value in write.values if value.key not in known)
        if len(known) + len(new) > self._max_keys:
            raise TooManyKeysError(f"a thing may have {self._max_keys} different keys")
        self._touched.add(write.thing_id)
        for key in new:
            (known[key],) = self._connection.execute(
                "INSERT INTO series (thing_id, key, epoch) VALUES (?, ?, ?) RETURNING id",
                (write.thing_id, key, write.epochs[-1]),
            ).fetchone()
        self._series_count += len(new)


def _row(series_id: int, value: NewValue, sequence: int) -> Row:
    column = to_column(value.value)
    position = value.position
    if position is None:
        return (series_id, value.at_ms, sequence, column, None, None)
    return (series_id, value.at_ms, sequence, column, position.lat, position.long)
