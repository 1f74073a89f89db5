"""Values and documents in memory, and ways to make what a test of them needs."""

import asyncio
import json
from asyncio import Future
from dataclasses import dataclass, field

from thingstead.features.magic.documents import changed_document
from thingstead.features.values.errors import TooManyKeysError
from thingstead.features.values.model import Appended, NewValue, Position, Reading, Window, Write
from thingstead.features.values.ports import Committed
from thingstead.kernel.errors import OverloadedError, ThingsteadError
from thingstead.kernel.ids import ThingId


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
    series: dict[ThingId, dict[str, list[_KeptValue]]] = field(default_factory=dict)
    documents: dict[ThingId, dict[str, str]] = field(default_factory=dict)


class MemoryValueStore:
    """Commits everything that was queued in one turn of the event loop at once."""

    def __init__(
        self,
        kept: KeptValues | None = None,
        *,
        max_waiting_values: int = 10_000,
        max_keys: int = 1_000,
    ) -> None:
        self.kept = kept or KeptValues()
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

    def newest(self, thing_id: ThingId, key: str, window: Window) -> "Future[Reading | None]":
        future: Future[Reading | None] = asyncio.get_running_loop().create_future()
        future.set_result(self._newest(thing_id, key, window))
        return future

    async def check(self) -> None:
        """Nothing can keep it from serving."""

    async def keys(self, thing_id: ThingId) -> list[str]:
        return sorted(self.kept.series.get(thing_id, ()))

    async def document(self, thing_id: ThingId, name: str) -> object | None:
        return json.loads(self.kept.documents.get(thing_id, {}).get(name, "null"))

    def on_commit(self, listener: Committed) -> None:
        self._committed = listener

    async def close(self) -> None:
        """Nothing is open."""

    def _commit(self) -> None:
        queue, self._queue = self._queue, []
        results: list[Appended | ThingsteadError] = []
        for write, _ in queue:
            try:
                results.append(self._store(write))
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

    def _store(self, write: Write) -> Appended:
        documents = dict(self.kept.documents.get(write.thing_id, {}))
        for change in write.changes:
            before = json.loads(documents.get(change.name, "null"))
            documents[change.name] = changed_document(before, [change])
        series = self.kept.series.get(write.thing_id, {})
        if len(series.keys() | {value.key for value in write.values}) > self._max_keys:
            raise TooManyKeysError("a thing may not have more keys")
        if write.changes:
            self.kept.documents[write.thing_id] = documents
        repeats = [index for index, value in enumerate(write.values) if not self._add(write, value)]
        if write.changes and len(repeats) == len(write.values):
            self.kept.sequence += 1
        return Appended(self.kept.sequence, frozenset(repeats))

    def _add(self, write: Write, value: NewValue) -> bool:
        """Keep the value and return True, or False for an exact repeat."""
        kept = self.kept.series.setdefault(write.thing_id, {}).setdefault(value.key, [])
        if value.has_own_time and any(_is_repeat(known, value) for known in kept):
            return False
        self.kept.sequence += 1
        kept.append(_KeptValue(value.at_ms, self.kept.sequence, value.value, value.position))
        return True

    def _newest(self, thing_id: ThingId, key: str, window: Window) -> Reading | None:
        kept = self.kept.series.get(thing_id, {}).get(key)
        if kept is None:
            return None
        rows = [
            (
                value.value,
                value.at_ms,
                None if value.position is None else value.position.lat,
                None if value.position is None else value.position.long,
            )
            for value in sorted(kept, key=lambda one: (one.at_ms, one.sequence), reverse=True)
            if window.from_ms is None or window.from_ms <= value.at_ms
            if window.until_ms is None or value.at_ms < window.until_ms
        ]
        return Reading(key, rows[: window.limit])


def _weight(write: Write) -> int:
    return len(write.values) + len(write.changes)


def _is_repeat(known: _KeptValue, value: NewValue) -> bool:
    # The text of the value tells 1 from 1.0, from true and from "1".
    return (known.at_ms, json.dumps(known.value), known.position) == (
        value.at_ms,
        json.dumps(value.value),
        value.position,
    )
