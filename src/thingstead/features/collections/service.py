"""The rules of collections: whose objects they are, what an object is, who hears of a change.

Every call names the user first, and storage is never asked without. A change is answered
after its durable commit; those who listen to the collection hear of it before that answer.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

from thingstead.features.collections.errors import (
    InvalidCollectionError,
    InvalidFilterError,
    InvalidObjectError,
    ObjectNotFoundError,
    ObjectTooLargeError,
)
from thingstead.features.collections.filters import Filter
from thingstead.features.collections.model import (
    COLLECTION_NAME,
    OBJECT_ID,
    CollectionLimits,
    ObjectChange,
    ObjectEvent,
    Place,
    StoredObject,
    topic_of,
)
from thingstead.features.collections.ports import ObjectReplay, ObjectStore
from thingstead.features.collections.texts import object_text
from thingstead.features.live.ports import Bus, Missed
from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import IdSource, UserId
from thingstead.kernel.json_values import is_larger_than

_PAGE_OBJECTS = 500
# What fits into the first page goes out in one piece. The others are smaller, because many
# lists at once would hold the event loop for long otherwise.
_FIRST_PAGE_BYTES = 256 * 1024
_PAGE_BYTES = 64 * 1024
# Decoding this much takes the store's thread a third of a millisecond; then others' look-ups
# have their turn.
_SLICE_BYTES = 32 * 1024
_SLICES_AT_A_TIME = 4


class Collections:
    """Keeps objects for users whose right to call was checked before."""

    def __init__(
        self,
        store: ObjectStore,
        bus: Bus,
        ids: IdSource,
        clock: Clock,
        *,
        limits: CollectionLimits,
        replay: ObjectReplay,
    ) -> None:
        self._store = store
        self._replay = replay
        self._bus = bus
        self._ids = ids
        self._clock = clock
        self._limits = limits
        # First come first served, slice by slice: who filters much waits for who filters little.
        self._slices = asyncio.Semaphore(_SLICES_AT_A_TIME)
        store.on_commit(self._announce)

    def check_name(self, collection: str) -> None:
        """Refuse what cannot be a collection's name.

        Raises:
            InvalidCollectionError: it cannot.
        """
        _check_collection(collection)

    async def create(self, user_id: UserId, collection: str, value: object) -> StoredObject:
        """Store a JSON value that was checked for depth and texts; `_id` is made if absent.

        Raises:
            InvalidCollectionError, InvalidObjectError, ObjectTooLargeError: it is refused as
                it is.
            ObjectExistsError, TooManyObjectsError, CollectionFullError,
            TooManyCollectionsError: what is stored leaves no place for it.
        """
        _check_collection(collection)
        members = _members(value)
        at_ms = self._clock.now_ms()
        object_id = _own_id(members) if "_id" in members else self._ids.sortable_id(at_ms)
        text = object_text(object_id, members, max_bytes=self._limits.object_bytes)
        place = Place(user_id, collection, object_id)
        return await self._store.create(place, text, self._limits, at_ms=at_ms)

    async def merge(
        self,
        user_id: UserId,
        collection: str,
        object_id: str,
        members: object,
        *,
        etag: str | None = None,
    ) -> StoredObject:
        """Set the members named and keep the others; null sets null.

        With an `etag`, only an object that has it is changed.

        Raises:
            InvalidCollectionError: the name cannot be one.
            InvalidObjectError: no JSON object, or its `_id` is another one.
            ObjectNotFoundError, ObjectChangedError: there is no such object to change.
            ObjectTooLargeError, CollectionFullError, InvalidBodyError: it would become too
                large.
        """
        place = _place(user_id, collection, object_id)
        checked = _members(members)
        if "_id" in checked and _own_id(checked) != object_id:
            raise InvalidObjectError("_id: an object keeps the one it has")
        if is_larger_than(checked, self._limits.object_bytes):
            raise ObjectTooLargeError(f"at most {self._limits.object_bytes} bytes of JSON")
        return await self._store.merge(
            place, checked, self._limits, etag=etag, at_ms=self._clock.now_ms()
        )

    async def delete(
        self, user_id: UserId, collection: str, object_id: str, *, etag: str | None = None
    ) -> StoredObject:
        """Delete the object and return it as it was; `etag` as for `merge`.

        Raises:
            InvalidCollectionError, ObjectNotFoundError, ObjectChangedError.
        """
        return await self._store.delete(_place(user_id, collection, object_id), etag=etag)

    async def get(self, user_id: UserId, collection: str, object_id: str) -> StoredObject:
        """Return the object.

        Raises:
            InvalidCollectionError, ObjectNotFoundError.
        """
        stored = await self._store.get(_place(user_id, collection, object_id))
        if stored is None:
            raise ObjectNotFoundError
        return stored

    def all(
        self,
        user_id: UserId,
        collection: str,
        *,
        where: Mapping[str, object] | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[list[StoredObject], None]:
        """Return pages of the objects that match `where`, descending by id; none is empty.

        Those after the id `after` only, that is smaller ones, and at most `limit` matching
        ones. What is wrong with the call is raised at once and not by the first page. Each
        page is the state of its own moment: an object that changes meanwhile is given as it
        was before or after, one that stays as it is exactly once.

        Raises:
            InvalidCollectionError, InvalidFilterError.
        """
        _check_collection(collection)
        if after is not None and not OBJECT_ID.fullmatch(after):
            raise InvalidFilterError("after: is no object's id")
        if where:
            return self._matching(user_id, collection, Filter(where), after, limit)
        return self._pages(user_id, collection, after, limit)

    async def names(self, user_id: UserId) -> list[str]:
        """Return the names of the user's collections that hold objects, in alphabetical order."""
        return await self._store.collections(user_id)

    async def missed(self, user_id: UserId, collection: str, after: int) -> Missed:
        """Return a page of the changes behind a sequence; see `ObjectReplay.missed`.

        Raises:
            InvalidCollectionError: the name cannot be one.
        """
        _check_collection(collection)
        return await self._replay.missed(user_id, collection, after=after)

    async def head(self) -> int:
        """Return the sequence of the newest change of all."""
        return await self._replay.head()

    async def _pages(
        self, user_id: UserId, collection: str, below: str | None, limit: int | None
    ) -> AsyncGenerator[list[StoredObject], None]:
        max_bytes = _FIRST_PAGE_BYTES
        while limit is None or limit > 0:
            most = _PAGE_OBJECTS if limit is None else min(limit, _PAGE_OBJECTS)
            page = await self._store.page(
                user_id, collection, below=below, limit=most, max_bytes=max_bytes
            )
            if page.last is None:
                return
            yield page.objects
            below, max_bytes = page.last, _PAGE_BYTES
            if limit is not None:
                limit -= len(page.objects)

    async def _matching(
        self,
        user_id: UserId,
        collection: str,
        chosen: Filter,
        below: str | None,
        limit: int | None,
    ) -> AsyncGenerator[list[StoredObject], None]:
        """Gather pages from the slices, of which most may hold nothing that matches."""
        page: list[StoredObject] = []
        size, max_bytes = 0, _FIRST_PAGE_BYTES
        while limit is None or limit > 0:
            async with self._slices:
                looked_at = await self._store.page(
                    user_id,
                    collection,
                    below=below,
                    limit=_PAGE_OBJECTS,
                    max_bytes=_SLICE_BYTES,
                    chosen=chosen.matches,
                )
            if looked_at.last is None:
                break
            below = looked_at.last
            found = looked_at.objects[:limit]
            if limit is not None:
                limit -= len(found)
            page += found
            size += sum(len(stored.text) for stored in found)
            if size >= max_bytes or len(page) >= _PAGE_OBJECTS:
                yield page
                page, size, max_bytes = [], 0, _PAGE_BYTES
        if page:
            yield page

    def _announce(self, changes: Sequence[ObjectChange]) -> None:
        for change in changes:
            topic = topic_of(change.user_id, change.collection)
            if self._bus.has_listener(topic):
                self._bus.publish(ObjectEvent(topic, change))


def _check_collection(collection: str) -> None:
    if not COLLECTION_NAME.fullmatch(collection):
        raise InvalidCollectionError("a name has 1 to 64 letters, digits, hyphens or underscores")


def _place(user_id: UserId, collection: str, object_id: str) -> Place:
    """Return the place; an id that cannot exist is answered as one that does not."""
    _check_collection(collection)
    if not OBJECT_ID.fullmatch(object_id):
        raise ObjectNotFoundError
    return Place(user_id, collection, object_id)


def _members(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise InvalidObjectError("the body must be a JSON object")
    return value


def _own_id(members: Mapping[str, object]) -> str:
    """Return `_id` as text; a whole number becomes its decimal string (`rulings.md`)."""
    own = members["_id"]
    if isinstance(own, int) and not isinstance(own, bool):
        own = str(own)
    if not isinstance(own, str):
        raise InvalidObjectError("_id: must be a text or a whole number")
    if not OBJECT_ID.fullmatch(own):
        raise InvalidObjectError("_id: 1 to 128 letters, digits or _ . : @ -, and neither . nor ..")
    return own
