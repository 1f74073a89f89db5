"""What the rules of collections need from storage."""

from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from thingstead.features.collections.model import (
    CollectionLimits,
    ObjectChange,
    ObjectPage,
    Place,
    StoredObject,
)
from thingstead.features.live.ports import Missed
from thingstead.kernel.ids import UserId

ObjectsCommitted = Callable[[Sequence[ObjectChange]], None]
"""Called on the event loop after each durable commit, before any of its futures resolves,
with all changes of that commit in commit order."""


Choice = Callable[[StoredObject], bool]
"""Whether an object belongs to an answer; called in the store's thread, so it shares nothing."""


class ObjectStore(Protocol):
    """Keeps objects; every change is durable when its future resolves.

    Never waits itself. Raises OverloadedError at once when too many changes or reads wait.
    A change that is refused leaves nothing behind and disturbs no other.
    """

    def create(
        self, place: Place, text: str, limits: CollectionLimits, *, at_ms: int
    ) -> "Future[StoredObject]":
        """Add an object.

        Raises (from the future):
            InvalidSessionError: the user has been deleted meanwhile.
            ObjectExistsError: the id is taken; this comes before any quota, so that whoever
                sends a request again learns that the first one was stored.
            TooManyObjectsError, CollectionFullError, TooManyCollectionsError: a quota is met.
        """
        ...

    def merge(
        self,
        place: Place,
        members: Mapping[str, object],
        limits: CollectionLimits,
        *,
        etag: str | None,
        at_ms: int,
    ) -> "Future[StoredObject]":
        """Set the members named and keep the others; of parallel merges none is lost.

        With an `etag` (`etags.py`), only an object that has it is changed. What the object
        becomes is `texts.merged_text`; a merge that lets it shrink meets no quota.

        Raises (from the future):
            InvalidSessionError: the user has been deleted meanwhile.
            ObjectNotFoundError, ObjectChangedError, ObjectTooLargeError, CollectionFullError.
            InvalidBodyError: it would have too many members.
        """
        ...

    def delete(self, place: Place, *, etag: str | None) -> "Future[StoredObject]":
        """Delete the object and return it as it was.

        Raises (from the future):
            ObjectNotFoundError, ObjectChangedError.
        """
        ...

    def get(self, place: Place) -> "Future[StoredObject | None]":
        """Return the object, or None when there is none."""
        ...

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
        """Return objects descending by id (by code point), those below an id only.

        Looks at `limit` at most, and at no further one once `max_bytes` of text are passed;
        of those it looked at, the ones `chosen` are returned, without it all.
        """
        ...

    def collections(self, user_id: UserId) -> "Future[list[str]]":
        """Return the names of the user's collections that hold objects, in alphabetical order."""
        ...

    def on_commit(self, listener: ObjectsCommitted) -> None:
        """Have the listener called after each commit; there is one listener at most."""
        ...


class ObjectReplay(Protocol):
    """Tells again what live subscribers of a collection heard, in the same order and form."""

    async def missed(self, user_id: UserId, collection: str, *, after: int) -> Missed:
        """Return the changes whose sequence is larger than `after`, in its order.

        A page is bounded; it may be empty and not the last one. Raises OverloadedError when too
        many reads wait.
        """
        ...

    async def head(self) -> int:
        """Return the sequence of the newest change of all, 0 before the first."""
        ...
