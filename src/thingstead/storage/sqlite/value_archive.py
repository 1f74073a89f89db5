"""`ValueArchive` on SQLite: reads over many things, whole timelines, and deleting parts of them.

Built on what `value_store.py` lends it: a look-up in the reader's thread and a slice of work in
the writer's. Many things are looked up some at a time, and a deletion is done in slices, so that
other reads and writes come in between. Runs on the event loop and never blocks it.
"""

import asyncio
import heapq
import sqlite3
from asyncio import Future
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeVar

from thingstead.features.values.model import ArchivedValue, Mark, Row, Source, Window
from thingstead.kernel.errors import OverloadedError
from thingstead.kernel.ids import ThingId
from thingstead.kernel.json_values import JSONText
from thingstead.storage.sqlite.value_codec import from_column
from thingstead.storage.sqlite.value_reader import EARLIEST, NumberedRow, ValueReader, size_of
from thingstead.storage.sqlite.value_retention import delete_window

SOURCES_A_LOOK_UP = 200
WAITING_DELETIONS = 10
"""How many deletions of one thing's values may wait for the one under way."""
_PAUSE_S = 0.01

Result = TypeVar("Result")
# First what decides the order: time and sequence.
_Found = tuple[int, int, ThingId, Row]


class LookUp(Protocol):
    """Has the reader's thread carry out a look-up."""

    def __call__(self, look_up: Callable[[ValueReader], Result]) -> "Future[Result]":
        """Return the future of what the look-up gives."""
        ...


class DoSlice(Protocol):
    """Has the writer's thread do some work on a thing, after which its readings are dropped."""

    def __call__(
        self, run: Callable[[sqlite3.Connection], Result], thing_id: ThingId
    ) -> Awaitable[Result]:
        """Return what the work gives, once it is done."""
        ...


@dataclass(slots=True)
class _Line:
    """Those who delete values of one thing, the one whose turn it is included."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


class SQLiteValueArchive:
    """Reads and deletes over the two threads of a store."""

    def __init__(self, look_up: LookUp, do_slice: DoSlice) -> None:
        self._look_up = look_up
        self._do_slice = do_slice
        self._lines: dict[ThingId, _Line] = {}

    async def newest_of(
        self, sources: Sequence[Source], key: str, window: Window
    ) -> list[tuple[ThingId, Row]]:
        """Return the newest values over all sources; see `ValueArchive.newest_of`."""
        best: list[_Found] = []
        for some in _portions(sources):
            found = await self._look_up(partial(_newest_of, some, key, _above(best, window)))
            best = heapq.nlargest(window.limit, best + found, key=_place)
        return [(thing_id, row) for _, _, thing_id, row in best]

    async def keys_of(self, sources: Sequence[Source]) -> list[tuple[ThingId, list[str]]]:
        """Return the keys of each source that has any; see `ValueArchive.keys_of`."""
        found: list[tuple[ThingId, list[str]]] = []
        for some in _portions(sources):
            found += await self._look_up(partial(_keys_of, some))
        return found

    async def documents_of(
        self, sources: Sequence[Source], name: str
    ) -> list[tuple[ThingId, JSONText]]:
        """Return the document of each source that has it; see `ValueArchive.documents_of`."""
        found: list[tuple[ThingId, JSONText]] = []
        for some in _portions(sources):
            found += await self._look_up(partial(_documents_of, some, name))
        return found

    async def page(
        self, source: Source, key: str, *, after: Mark | None, limit: int
    ) -> list[ArchivedValue]:
        """Return the values behind a mark, oldest first; see `ValueArchive.page`."""
        thing_id, epochs = source.thing_id, source.epochs
        return await self._look_up(
            lambda reader: reader.page(thing_id, epochs, key, after=after, limit=limit)
        )

    async def delete_values(
        self, source: Source, key: str, *, from_ms: int | None, until_ms: int | None
    ) -> int:
        """Delete the values of a window in slices; see `ValueArchive.delete_values`."""
        window = Window(from_ms=from_ms, until_ms=until_ms)
        deleted, is_done = 0, False
        async with self._turn(source.thing_id):
            while not is_done:
                if deleted:
                    await asyncio.sleep(_PAUSE_S)
                number, is_done = await self._do_slice(
                    lambda db: delete_window(db, source, key, window), source.thing_id
                )
                deleted += number
        return deleted

    @asynccontextmanager
    async def _turn(self, thing_id: ThingId) -> AsyncIterator[None]:
        """Wait for one's turn to delete values of the thing: side by side they would gain nothing.

        Raises:
            OverloadedError: too many wait already.
        """
        line = self._lines.setdefault(thing_id, _Line())
        if line.length > WAITING_DELETIONS:
            raise OverloadedError(
                f"{WAITING_DELETIONS} deletions of the thing's values wait already",
                retry_after_s=1,
            )
        line.length += 1
        try:
            async with line.turn:
                yield
        finally:
            line.length -= 1
            if line.length == 0:
                del self._lines[thing_id]


def _portions(sources: Sequence[Source]) -> Iterator[Sequence[Source]]:
    for start in range(0, len(sources), SOURCES_A_LOOK_UP):
        yield sources[start : start + SOURCES_A_LOOK_UP]


def _place(found: _Found) -> tuple[int, int]:
    return found[0], found[1]


def _above(best: list[_Found], window: Window) -> Window:
    """Return the window without the times that cannot be among the newest any more."""
    if len(best) < window.limit:
        return window
    oldest_ms = best[-1][0]
    return replace(window, from_ms=max(oldest_ms, _from_ms(window)))


def _from_ms(window: Window) -> int:
    return EARLIEST if window.from_ms is None else window.from_ms


# In the reader's thread.


def _newest_of(
    sources: Sequence[Source], key: str, window: Window, reader: ValueReader
) -> list[_Found]:
    best: list[tuple[int, int, ThingId, NumberedRow]] = []
    floor_ms = _from_ms(window)
    for source in sources:
        above = replace(window, from_ms=floor_ms)
        for row in reader.numbered(source.thing_id, source.epochs, key, above):
            found = (row[1], row[4], source.thing_id, row)
            if len(best) < window.limit:
                heapq.heappush(best, found)
            else:
                heapq.heappushpop(best, found)
        if len(best) == window.limit:
            # A heap has its least at its head. Of that time a later sequence may still come.
            floor_ms = max(floor_ms, best[0][0])
    reader.text_bytes += sum(size_of(row) for *_, row in best)
    return [
        (at_ms, sequence, thing_id, (from_column(row[0]), *row[1:4]))
        for at_ms, sequence, thing_id, row in best
    ]


def _keys_of(sources: Sequence[Source], reader: ValueReader) -> list[tuple[ThingId, list[str]]]:
    found = [(source.thing_id, reader.keys(source.thing_id, source.epochs)) for source in sources]
    return [(thing_id, keys) for thing_id, keys in found if keys]


def _documents_of(
    sources: Sequence[Source], name: str, reader: ValueReader
) -> list[tuple[ThingId, JSONText]]:
    found = [
        (source.thing_id, reader.document_text(source.thing_id, source.epochs, name))
        for source in sources
    ]
    return [(thing_id, document) for thing_id, document in found if document is not None]
