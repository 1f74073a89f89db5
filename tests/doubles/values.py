"""Values and documents in memory, and ways to make what a test of them needs."""

import asyncio
import json
from asyncio import Future
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from doubles.arrivals import KeptArrivals, MemoryDeliveries, MemoryValueReplay
from thingstead.features.magic.documents import changed_document
from thingstead.features.values.errors import TooManyKeysError
from thingstead.features.values.model import (
    Appended,
    ArchivedValue,
    Mark,
    NewValue,
    Position,
    Reading,
    Row,
    Source,
    Window,
    Write,
)
from thingstead.features.values.ports import Committed
from thingstead.kernel.errors import OverloadedError, ThingsteadError
from thingstead.kernel.ids import ThingId
from thingstead.kernel.json_values import JSONText

_Epoch = tuple[ThingId, int]


@dataclass(frozen=True, slots=True)
class _KeptValue:
    at_ms: int
    sequence: int
    value: object
    position: Position | None


@dataclass(slots=True)
class KeptValues:
    """What outlives a store: several stores on one of these are one after the other."""

    sequence: int = 0
    series: dict[_Epoch, dict[str, list[_KeptValue]]] = field(default_factory=dict)
    documents: dict[_Epoch, dict[str, str]] = field(default_factory=dict)
    arrivals: KeptArrivals = field(default_factory=KeptArrivals)

    def values(self, thing_id: ThingId, epochs: tuple[int, ...], key: str) -> list[_KeptValue]:
        """Return the values of the epochs, oldest first, equal times in the order stored."""
        found = [self.series.get((thing_id, epoch), {}).get(key, []) for epoch in epochs]
        return sorted(chain.from_iterable(found), key=lambda one: (one.at_ms, one.sequence))

    def keys(self, thing_id: ThingId, epochs: tuple[int, ...]) -> list[str]:
        return sorted({key for epoch in epochs for key in self.series.get((thing_id, epoch), ())})

    def document(self, thing_id: ThingId, epochs: tuple[int, ...], name: str) -> object | None:
        text = self.document_text(thing_id, epochs, name)
        return None if text is None else json.loads(text)

    def document_text(self, thing_id: ThingId, epochs: tuple[int, ...], name: str) -> str | None:
        for epoch in reversed(epochs):
            text = self.documents.get((thing_id, epoch), {}).get(name)
            if text is not None:
                return text
        return None


class MemoryValueStore:
    """Commits everything that was queued in one turn of the event loop at once."""

    def __init__(
        self,
        kept: KeptValues | None = None,
        *,
        max_waiting_values: int = 10_000,
        max_keys: int = 1_000,
        replay_values: int = 1_000_000,
    ) -> None:
        self.kept = kept or KeptValues()
        self.archive = MemoryValueArchive(self.kept)
        self.replay = MemoryValueReplay(self.kept)
        self.deliveries = MemoryDeliveries(self.kept.arrivals)
        self._replay_values = replay_values
        self._max_waiting_values = max_waiting_values
        self._max_keys = max_keys
        self._queue: list[tuple[Write, Future[Appended]]] = []
        self._committed: Committed | None = None

    def append(self, write: Write) -> "Future[Appended]":
        waiting = sum(_weight(queued) for queued, _ in self._queue)
        if waiting + _weight(write) > self._max_waiting_values:
            raise OverloadedError("too many values wait", retry_after_s=1)
        loop = asyncio.get_running_loop()
        if not self._queue:
            loop.call_soon(self._commit)
        future: Future[Appended] = loop.create_future()
        self._queue.append((write, future))
        return future

    def newest(
        self, thing_id: ThingId, epochs: tuple[int, ...], key: str, window: Window
    ) -> "Future[Reading | None]":
        future: Future[Reading | None] = asyncio.get_running_loop().create_future()
        future.set_result(self._newest(Source(thing_id, epochs), key, window))
        return future

    async def check(self) -> None:
        """Nothing can keep it from serving."""

    async def keys(self, thing_id: ThingId, epochs: tuple[int, ...]) -> list[str]:
        return self.kept.keys(thing_id, epochs)

    async def document(
        self, thing_id: ThingId, epochs: tuple[int, ...], name: str
    ) -> object | None:
        return self.kept.document(thing_id, epochs, name)

    async def purge(self, thing_id: ThingId) -> bool:
        for kept in (self.kept.series, self.kept.documents):
            for epoch in [epoch for epoch in kept if epoch[0] == thing_id]:
                del kept[epoch]
        return True

    async def purge_epoch(self, thing_id: ThingId, epoch: int) -> bool:
        self.kept.series.pop((thing_id, epoch), None)
        self.kept.documents.pop((thing_id, epoch), None)
        return True

    def on_commit(self, listener: Committed) -> None:
        self._committed = listener

    async def close(self) -> None:
        """Nothing is open."""

    def _commit(self) -> None:
        queue, self._queue = self._queue, []
        results: list[Appended | ThingsteadError] = []
        for write, _ in queue:
            try:
                results.append(self._deliver(write))
            except ThingsteadError as error:
                results.append(error)
        committed = [
            (write, result)
            for (write, _), result in zip(queue, results, strict=True)
            if isinstance(result, Appended)
        ]
        if committed and self._committed is not None:
            self._committed(committed)
        for (_, future), result in zip(queue, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, Appended):
                future.set_result(result)
            else:
                future.set_exception(result)

    def _deliver(self, write: Write) -> Appended:
        arrivals = self.kept.arrivals
        if write.delivery is not None and arrivals.is_repeat(write.delivery):
            return Appended(self.kept.sequence, is_repeat=True)
        appended = self._store(write)
        arrivals.add(write, appended, keep=self._replay_values)
        if write.delivery is not None:
            arrivals.keep(write.delivery)
        return appended

    def _store(self, write: Write) -> Appended:
        epoch = (write.thing_id, write.epochs[-1])
        documents: dict[str, str] = {}
        for change in write.changes:
            before = self.kept.document(write.thing_id, write.epochs, change.name)
            if change.name in documents:
                before = json.loads(documents[change.name])
            documents[change.name] = changed_document(before, [change])
        series = self.kept.series.get(epoch, {})
        if len(series.keys() | {value.key for value in write.values}) > self._max_keys:
            raise TooManyKeysError("a thing may not have more keys")
        if write.changes:
            self.kept.documents.setdefault(epoch, {}).update(documents)
        repeats = [index for index, value in enumerate(write.values) if not self._add(write, value)]
        if write.changes and len(repeats) == len(write.values):
            self.kept.sequence += 1
        return Appended(self.kept.sequence, frozenset(repeats))

    def _add(self, write: Write, value: NewValue) -> bool:
        """Keep the value and return True, or False for an exact repeat."""
        epoch = (write.thing_id, write.epochs[-1])
        kept = self.kept.series.setdefault(epoch, {}).setdefault(value.key, [])
        seen = self.kept.values(write.thing_id, write.epochs, value.key)
        if value.has_own_time and any(_is_repeat(known, value) for known in seen):
            return False
        self.kept.sequence += 1
        kept.append(_KeptValue(value.at_ms, self.kept.sequence, value.value, value.position))
        return True

    def _newest(self, source: Source, key: str, window: Window) -> Reading | None:
        if key not in self.kept.keys(source.thing_id, source.epochs):
            return None
        values = self.kept.values(source.thing_id, source.epochs, key)[::-1]
        rows = [_row(value) for value in values if _is_within(value, window)]
        return Reading(key, rows[: window.limit])


class MemoryValueArchive:
    """The same values, over many things."""

    def __init__(self, kept: KeptValues) -> None:
        self._kept = kept

    async def newest_of(
        self, sources: Sequence[Source], key: str, window: Window
    ) -> list[tuple[ThingId, Row]]:
        found = [
            (value.at_ms, value.sequence, source.thing_id, _row(value))
            for source in sources
            for value in self._kept.values(source.thing_id, source.epochs, key)
            if _is_within(value, window)
        ]
        found.sort(key=lambda one: one[:2], reverse=True)
        return [(thing_id, row) for _, _, thing_id, row in found[: window.limit]]

    async def keys_of(self, sources: Sequence[Source]) -> list[tuple[ThingId, list[str]]]:
        found = [(one.thing_id, self._kept.keys(one.thing_id, one.epochs)) for one in sources]
        return [(thing_id, keys) for thing_id, keys in found if keys]

    async def documents_of(
        self, sources: Sequence[Source], name: str
    ) -> list[tuple[ThingId, JSONText]]:
        found = [
            (one.thing_id, self._kept.document_text(one.thing_id, one.epochs, name))
            for one in sources
        ]
        return [
            (thing_id, JSONText(text.encode("utf-8")))
            for thing_id, text in found
            if text is not None and text != "null"
        ]

    async def page(
        self, source: Source, key: str, *, after: Mark | None, limit: int
    ) -> list[ArchivedValue]:
        values = self._kept.values(source.thing_id, source.epochs, key)
        return [
            ArchivedValue(Mark(one.at_ms, one.sequence), _read_back(one.value), one.position)
            for one in values
            if after is None or (after.at_ms, after.sequence) < (one.at_ms, one.sequence)
        ][:limit]

    async def delete_values(
        self, source: Source, key: str, *, from_ms: int | None, until_ms: int | None
    ) -> int:
        window = Window(from_ms=from_ms, until_ms=until_ms)
        deleted = 0
        for epoch in source.epochs:
            series = self._kept.series.get((source.thing_id, epoch), {})
            if key in series:
                before, series[key] = (
                    series[key],
                    [value for value in series[key] if not _is_within(value, window)],
                )
                deleted += len(before) - len(series[key])
        return deleted


def decoded(value: object) -> object:
    """Return a value that was read back, an array or object decoded."""
    return value.decoded() if isinstance(value, JSONText) else value


def _read_back(value: object) -> object:
    if isinstance(value, (dict, list)):
        return JSONText(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    return value


def _row(value: _KeptValue) -> Row:
    position = value.position
    if position is None:
        return (_read_back(value.value), value.at_ms, None, None)
    return (_read_back(value.value), value.at_ms, position.lat, position.long)


def _is_within(value: _KeptValue, window: Window) -> bool:
    return (window.from_ms is None or window.from_ms <= value.at_ms) and (
        window.until_ms is None or value.at_ms < window.until_ms
    )


def _weight(write: Write) -> int:
    return len(write.values) + len(write.changes)


def _is_repeat(known: _KeptValue, value: NewValue) -> bool:
    # The text of the value tells 1 from 1.0, from true and from "1".
    return (known.at_ms, json.dumps(known.value), known.position) == (
        value.at_ms,
        json.dumps(value.value),
        value.position,
    )
