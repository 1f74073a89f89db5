"""Objects in memory."""

import asyncio
from asyncio import Future
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from thingstead.features.collections.errors import (
    CollectionFullError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    TooManyCollectionsError,
    TooManyObjectsError,
)
from thingstead.features.collections.etags import etag_of
from thingstead.features.collections.model import (
    Action,
    CollectionLimits,
    ObjectChange,
    ObjectEvent,
    ObjectPage,
    Place,
    StoredObject,
    topic_of,
)
from thingstead.features.collections.ports import Choice, ObjectsCommitted
from thingstead.features.collections.texts import merged_text, size_of
from thingstead.features.live.ports import Missed
from thingstead.features.users.errors import InvalidSessionError
from thingstead.kernel.errors import ThingsteadError
from thingstead.kernel.ids import UserId
from thingstead.storage.sqlite.object_changes import ChangeLogLimits

Result = TypeVar("Result")
PAGE = 50
_LIMITS = ChangeLogLimits()


@dataclass(slots=True)
class KeptObjects:
    """What outlives a store, and what several stores share."""

    texts: dict[tuple[UserId, str], dict[str, str]] = field(default_factory=dict)
    of_nobody: set[UserId] = field(default_factory=set)
    """Deleted users, whose objects are still there but in no collection that is listed."""
    deleted_users: set[UserId] = field(default_factory=set)
    changes: list[ObjectChange] = field(default_factory=list)
    """The newest changes of all users, in their order."""
    head: int = 0
    trimmed_to: int = 0


class MemoryObjectStore:
    """Commits everything that was queued in one turn of the event loop at once."""

    def __init__(self, kept: KeptObjects | None = None, limits: ChangeLogLimits = _LIMITS) -> None:
        self.kept = kept or KeptObjects()
        self.replay = MemoryObjectReplay(self.kept)
        self._limits = limits
        self._queue: list[tuple[Callable[[], ObjectChange], Future[StoredObject]]] = []
        self._committed: ObjectsCommitted | None = None

    def on_commit(self, listener: ObjectsCommitted) -> None:
        self._committed = listener

    def create(
        self, place: Place, text: str, limits: CollectionLimits, *, at_ms: int
    ) -> "Future[StoredObject]":
        return self._put(lambda: self._create(place, text, limits))

    def merge(
        self,
        place: Place,
        members: Mapping[str, object],
        limits: CollectionLimits,
        *,
        etag: str | None,
        at_ms: int,
    ) -> "Future[StoredObject]":
        return self._put(lambda: self._merge(place, members, limits, etag))

    def delete(self, place: Place, *, etag: str | None) -> "Future[StoredObject]":
        return self._put(lambda: self._delete(place, etag))

    def get(self, place: Place) -> "Future[StoredObject | None]":
        text = self._of(place).get(place.id)
        return _resolved(None if text is None else StoredObject(place.id, text))

    def page(
        self,
        user_id: UserId,
        collection: str,
        *,
        below: str | None,
        limit: int,
        max_bytes: int,
        chosen: Choice | None = None,
    ) -> "Future[ObjectPage]":
        texts = self.kept.texts.get((user_id, collection), {})
        page: list[StoredObject] = []
        for object_id in sorted(texts, reverse=True):
            if limit == 0 or max_bytes <= 0:
                break
            if below is None or object_id < below:
                page.append(StoredObject(object_id, texts[object_id]))
                limit -= 1
                max_bytes -= size_of(texts[object_id])
        last = page[-1].id if page else None
        return _resolved(ObjectPage([one for one in page if not chosen or chosen(one)], last))

    def collections(self, user_id: UserId) -> "Future[list[str]]":
        return _resolved(
            sorted(
                name
                for (owner, name), texts in self.kept.texts.items()
                if owner == user_id and owner not in self.kept.of_nobody
            )
        )

    def _put(self, change: Callable[[], ObjectChange]) -> "Future[StoredObject]":
        loop = asyncio.get_running_loop()
        if not self._queue:
            loop.call_soon(self._commit)
        future: Future[StoredObject] = loop.create_future()
        self._queue.append((change, future))
        return future

    def _commit(self) -> None:
        queue, self._queue = self._queue, []
        results: list[ObjectChange | ThingsteadError] = []
        for change, _ in queue:
            try:
                results.append(change())
            except ThingsteadError as error:
                results.append(error)
        committed = [result for result in results if isinstance(result, ObjectChange)]
        if committed and self._committed is not None:
            self._committed(committed)
        for (_, future), result in zip(queue, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, ObjectChange):
                future.set_result(result.stored)
            else:
                future.set_exception(result)

    def _create(self, place: Place, text: str, limits: CollectionLimits) -> ObjectChange:
        self._check_owner(place)
        texts = self._of(place)
        if place.id in texts:
            raise ObjectExistsError
        if len(texts) >= limits.objects_per_collection:
            raise TooManyObjectsError(f"at most {limits.objects_per_collection} in a collection")
        self._check_growth(place, size_of(text), limits)
        owned = sum(owner == place.user_id for owner, _ in self.kept.texts)
        if not texts and owned >= limits.collections_per_user:
            raise TooManyCollectionsError(f"at most {limits.collections_per_user} of one user")
        return self._keep(place, Action.CREATE, text)

    def _merge(
        self,
        place: Place,
        members: Mapping[str, object],
        limits: CollectionLimits,
        etag: str | None,
    ) -> ObjectChange:
        self._check_owner(place)
        before = self._existing(place, etag)
        text = merged_text(before, members, max_bytes=limits.object_bytes)
        self._check_growth(place, size_of(text) - size_of(before), limits)
        return self._keep(place, Action.UPDATE, text)

    def _delete(self, place: Place, etag: str | None) -> ObjectChange:
        text = self._existing(place, etag)
        texts = self._of(place)
        del texts[place.id]
        if not texts:
            del self.kept.texts[place.user_id, place.collection]
        return self._noted(place, Action.DELETE, text)

    def _check_owner(self, place: Place) -> None:
        if place.user_id in self.kept.deleted_users:
            raise InvalidSessionError

    def _existing(self, place: Place, etag: str | None) -> str:
        text = self._of(place).get(place.id)
        if text is None:
            raise ObjectNotFoundError
        if etag is not None and etag_of(StoredObject(place.id, text)) != etag:
            raise ObjectChangedError
        return text

    def _keep(self, place: Place, action: Action, text: str) -> ObjectChange:
        self.kept.texts.setdefault((place.user_id, place.collection), {})[place.id] = text
        return self._noted(place, action, text)

    def _noted(self, place: Place, action: Action, text: str) -> ObjectChange:
        kept = self.kept
        kept.head += 1
        stored = StoredObject(place.id, text)
        change = ObjectChange(place.user_id, place.collection, action, stored, kept.head)
        kept.changes.append(change)
        while (
            len(kept.changes) > self._limits.changes
            or sum(size_of(one.stored.text) for one in kept.changes) > self._limits.bytes
        ):
            kept.trimmed_to = kept.changes.pop(0).sequence
        return change

    def _check_growth(self, place: Place, growth: int, limits: CollectionLimits) -> None:
        size = sum(map(size_of, self._of(place).values()))
        if growth > 0 and size + growth > limits.bytes_per_collection:
            raise CollectionFullError(f"at most {limits.bytes_per_collection} bytes in one")

    def _of(self, place: Place) -> dict[str, str]:
        return self.kept.texts.get((place.user_id, place.collection), {})


class MemoryObjectReplay:
    """The changes that were kept."""

    def __init__(self, kept: KeptObjects) -> None:
        self._kept = kept

    async def head(self) -> int:
        return self._kept.head

    async def missed(self, user_id: UserId, collection: str, *, after: int) -> Missed:
        topic = topic_of(user_id, collection)
        found = [
            change
            for change in self._kept.changes
            if change.sequence > after and topic_of(change.user_id, change.collection) == topic
        ]
        page = found[:PAGE]
        return Missed(
            [ObjectEvent(topic, change) for change in page],
            page[-1].sequence if page else after,
            is_complete=len(found) == len(page),
            has_gap=after < self._kept.trimmed_to or after > self._kept.head,
        )


def _resolved(result: Result) -> "Future[Result]":
    future: Future[Result] = asyncio.get_running_loop().create_future()
    future.set_result(result)
    return future
