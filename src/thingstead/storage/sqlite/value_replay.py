"""`ValueReplay` on SQLite: what live subscribers heard is put together again from its places.

Reads the rows that `value_arrivals.py` writes, in the reader's thread, a bounded page at a time.
A page ends with what was announced: what is committed but not announced yet reaches the
subscriber as a live event, and would be heard twice otherwise.
"""

import sqlite3
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import msgspec

from thingstead.features.live.model import LiveEvent
from thingstead.features.live.ports import Event, Missed
from thingstead.features.values.model import MagicEcho, Position, Source, StoredValue
from thingstead.kernel.ids import ThingId
from thingstead.kernel.json_values import JSONText
from thingstead.storage.sqlite.value_archive import LookUp
from thingstead.storage.sqlite.value_arrivals import (
    PLACE_BYTES,
    ArrivedWrite,
    Echo,
    unpacked,
    writes_of,
)
from thingstead.storage.sqlite.value_codec import from_column
from thingstead.storage.sqlite.value_documents import find_document_text
from thingstead.storage.sqlite.value_reader import PAGE_BYTES, ValueReader, size_of

ROWS_A_PAGE = 1_000
PLACES_A_PAGE = 20_000
LOOK_UPS_A_PAGE = 2_000
EPOCHS_LOOKED_UP = 100
"""Of so many epochs of sources the series are looked up before; else each series that is met."""
_SERIES_LOOKED_UP = 5_000
_SERIES_KEPT = 50_000

COUNTER = "SELECT value FROM counter WHERE name = ?"
ROWS = (
    "SELECT last_sequence, places, echoes FROM arrival"
    " WHERE last_sequence > ? AND last_sequence <= ? ORDER BY last_sequence"
)
ONE_KEY = "SELECT id, key FROM series WHERE thing_id = ? AND epoch = ? AND key = ?"
KEYS = "SELECT id, key FROM series WHERE thing_id = ? AND epoch = ? LIMIT ?"
SERIES = "SELECT thing_id, epoch, key FROM series WHERE id = ?"
VALUE = "SELECT value, lat, long FROM value WHERE series_id = ? AND at_ms = ? AND sequence = ?"

_Series = tuple[ThingId, int, str]
"""Thing, epoch and key of a series."""
_GONE = object()


def newest_sequence(connection: sqlite3.Connection) -> int:
    """Return the sequence of the newest commit."""
    (sequence,) = connection.execute(COUNTER, ("sequence",)).fetchone()
    return int(sequence)


class SQLiteValueReplay:
    """The event loop's side; `head` is that of the file when nothing was announced yet."""

    def __init__(self, look_up: LookUp, connection: sqlite3.Connection, *, head: int) -> None:
        """The connection is the reader's, and is used in its thread only."""
        self._look_up = look_up
        self._arrived = ArrivalReader(connection)
        self._head = head

    def announced(self, sequence: int) -> None:
        """Take note that all commits up to the sequence are being announced now."""
        self._head = sequence

    async def head(self) -> int:
        """Return the sequence of the newest write that was announced."""
        return self._head

    async def missed(self, sources: Sequence[Source], *, key: str | None, after: int) -> Missed:
        """Return events behind a sequence; see `ValueReplay.missed`."""
        until = self._head
        if after >= until:
            return Missed([], until, is_complete=True, has_gap=after > until)

        def look_up(reader: ValueReader) -> Missed:
            page = self._arrived.page(_wanted(sources, key), after=after, until=until)
            reader.text_bytes += page.bytes
            return page.missed(has_gap=after < self._arrived.known_after())

        return await self._look_up(look_up)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which values are asked for: the epochs of each thing, ascending, and the key if only one."""

    epochs: Mapping[ThingId, tuple[int, ...]]
    key: str | None

    def has(self, thing_id: ThingId, epoch: int, key: str) -> bool:
        """Return whether what has the key in that epoch is asked for."""
        return (self.key is None or self.key == key) and epoch in self.epochs.get(thing_id, ())


def _wanted(sources: Iterable[Source], key: str | None) -> _Wanted:
    epochs: dict[ThingId, tuple[int, ...]] = {}
    for source in sources:
        others = epochs.get(source.thing_id, ())
        epochs[source.thing_id] = tuple(sorted({*others, *source.epochs}))
    return _Wanted(epochs, key)


class ArrivalReader:
    """Reads arrivals; used by the reader's thread only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # Ids are never given twice, so what is known of one stays true or is of no use any more.
        self._series: dict[int, _Series] = {}

    def known_after(self) -> int:
        """Return behind which sequence all arrivals are known.

        To be asked after a page was read: what was trimmed in between is then a gap too many,
        and not one too few.
        """
        (sequence,) = self._connection.execute(COUNTER, ("arrivals_after",)).fetchone()
        return int(sequence)

    def page(self, wanted: _Wanted, *, after: int, until: int) -> "_Page":
        """Return the events of commits behind `after`, up to the one of `until`."""
        chosen = self._chosen(wanted)
        page = _Page(self._connection, self._series, wanted, chosen, after)
        with closing(self._connection.execute(ROWS, (after, until))) as rows:
            for last, packed, echoes in rows:
                if not page.has_room_for_a_row():
                    page.is_complete = False
                    break
                page.rows += 1
                places = unpacked(packed)
                page.places += len(packed) // PLACE_BYTES
                if chosen is not None and chosen.keys().isdisjoint(places[::3]):
                    places = ()
                for write in writes_of(places, echoes, after):
                    if page.is_full():
                        page.is_complete = False
                        return page
                    page.add(write)
                page.scanned_to = last
        return page

    def _chosen(self, wanted: _Wanted) -> dict[int, _Series] | None:
        """Return the series of the sources by id, None when they are too many."""
        if sum(map(len, wanted.epochs.values())) > EPOCHS_LOOKED_UP:
            return None
        chosen: dict[int, _Series] = {}
        for thing_id, epochs in wanted.epochs.items():
            for epoch in epochs:
                if wanted.key is None:
                    room = _SERIES_LOOKED_UP + 1 - len(chosen)
                    found = self._connection.execute(KEYS, (thing_id, epoch, room))
                else:
                    found = self._connection.execute(ONE_KEY, (thing_id, epoch, wanted.key))
                chosen |= {series_id: (thing_id, epoch, key) for series_id, key in found}
                if len(chosen) > _SERIES_LOOKED_UP:
                    return None
        return chosen


class _Page:
    """What was found so far, and what it took."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        series: dict[int, _Series],
        wanted: _Wanted,
        chosen: dict[int, _Series] | None,
        after: int,
    ) -> None:
        """`series` is what is known of any series, `chosen` those asked for if they are few."""
        self._connection = connection
        self._series = series
        self._wanted = wanted
        self._chosen = chosen
        # Each with the size of its text; all events of a page share one.
        self._documents: dict[tuple[ThingId, str], tuple[object, int]] = {}
        self._events: list[Event] = []
        self._look_ups = 0
        self.scanned_to = after
        self.is_complete = True
        self.bytes = 0
        self.rows = 0
        self.places = 0

    def is_full(self) -> bool:
        """Return whether no further write is to be looked at."""
        return self._look_ups >= LOOK_UPS_A_PAGE or self.bytes >= PAGE_BYTES

    def has_room_for_a_row(self) -> bool:
        """Return whether the next row is to be looked at."""
        return self.rows < ROWS_A_PAGE and self.places < PLACES_A_PAGE and not self.is_full()

    def missed(self, *, has_gap: bool) -> Missed:
        """Return the page as the port gives it."""
        return Missed(self._events, self.scanned_to, self.is_complete, has_gap)

    def add(self, write: ArrivedWrite) -> None:
        """Add the write's event, if anything of it is asked for and still there."""
        entries: list[StoredValue | MagicEcho] = []
        whose: tuple[ThingId, int] | None = None
        echoes = deque(
            echo for echo in write.echoes if self._wanted.has(echo.thing_id, echo.epoch, echo.key)
        )
        if echoes:
            whose = (echoes[0].thing_id, echoes[0].epoch)
        for before, series_id, at_ms, sequence in write.places:
            series = self._asked_for(series_id)
            if series is not None:
                whose = series[:2]
                while echoes and echoes[0].before <= before:
                    self._add_echo(echoes.popleft(), entries)
                self._add_value(series[2], (series_id, at_ms, sequence), entries)
        for echo in echoes:
            self._add_echo(echo, entries)
        if entries and whose is not None:
            thing_id, epoch = whose
            self._events.append(LiveEvent(thing_id, write.sequence, tuple(entries), epoch))
        self.scanned_to = write.sequence

    def _asked_for(self, series_id: int) -> _Series | None:
        """Return the series if its values are asked for."""
        if self._chosen is not None:
            return self._chosen.get(series_id)
        series = self._series.get(series_id)
        if series is None:
            self._look_ups += 1
            series = self._connection.execute(SERIES, (series_id,)).fetchone()
            if series is None:
                return None
            if len(self._series) >= _SERIES_KEPT:
                del self._series[next(iter(self._series))]
            self._series[series_id] = series
        return series if self._wanted.has(*series) else None

    def _add_value(
        self, key: str, place: tuple[int, int, int], entries: list[StoredValue | MagicEcho]
    ) -> None:
        """Add the value as it was heard, if it is still there."""
        self._look_ups += 1
        found = self._connection.execute(VALUE, place).fetchone()
        if found is None:
            return
        column, lat, long = found
        self.bytes += size_of(found)
        value = from_column(column)
        if isinstance(value, JSONText):
            value = msgspec.json.decode(value.text)
        position = None if lat is None or long is None else Position(lat, long)
        entries.append(StoredValue(key, value, place[1], position))

    def _add_echo(self, echo: Echo, entries: list[StoredValue | MagicEcho]) -> None:
        """Add the present value of the magic resource, if it has one."""
        name, *path = echo.key.split(".")
        value = self._document(echo.thing_id, name)
        for step in path:
            value = value.get(step, _GONE) if isinstance(value, dict) else _GONE
        if value is not _GONE:
            entries.append(MagicEcho(echo.key, value))

    def _document(self, thing_id: ThingId, name: str) -> object:
        kept = self._documents.get((thing_id, name))
        if kept is None:
            self._look_ups += 1
            epochs = self._wanted.epochs[thing_id]
            text = find_document_text(self._connection, thing_id, epochs, name)
            kept = (_GONE, 0) if text is None else (msgspec.json.decode(text), len(text))
            self._documents[thing_id, name] = kept
        document, size = kept
        self.bytes += size
        return document
