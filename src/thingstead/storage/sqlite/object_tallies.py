"""Whose the collections are and how much each holds, as one transaction sees and changes it.

Lives for one batch: rows are read when they are first needed and written at its end, once
for each collection, however many objects the batch brings. What another connection changes
between two batches is thereby seen.
"""

import sqlite3
from dataclasses import dataclass

from sqlalchemy import ClauseElement

from thingstead.features.collections.errors import (
    CollectionFullError,
    TooManyCollectionsError,
    TooManyObjectsError,
)
from thingstead.features.collections.model import CollectionLimits, Place
from thingstead.features.users.errors import InvalidSessionError
from thingstead.kernel.ids import UserId
from thingstead.storage.sql import objects as statements
from thingstead.storage.sqlite.object_statements import compiled


@dataclass(slots=True)
class _Tally:
    """What a collection holds; `stored` is the number of objects that its row says, 0 for none."""

    objects: int
    bytes: int
    stored: int


class Tallies:
    """The quotas of all users, within a transaction that the caller begins and commits."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._tallies: dict[tuple[UserId, str], _Tally] = {}
        self._collections: dict[UserId, int] = {}
        self._owners: dict[UserId, bool] = {}

    def check_owner(self, user_id: UserId) -> None:
        """Check that the user still is there; what is stored later would never be deleted.

        Raises:
            InvalidSessionError.
        """
        is_there = self._owners.get(user_id)
        if is_there is None:
            found = self._connection.execute(compiled(statements.OWNER), {"owner": user_id})
            is_there = self._owners[user_id] = found.fetchone() is not None
        if not is_there:
            raise InvalidSessionError

    def check_room(self, place: Place, size: int, limits: CollectionLimits) -> None:
        """Check that one more object of the size fits.

        Raises:
            TooManyObjectsError, CollectionFullError, TooManyCollectionsError.
        """
        tally = self._of(place)
        if tally.objects >= limits.objects_per_collection:
            raise TooManyObjectsError(f"at most {limits.objects_per_collection} in a collection")
        self.check_growth(place, size, limits)
        if tally.objects == 0:
            count = self._count(place.user_id)
            if count >= limits.collections_per_user:
                raise TooManyCollectionsError(f"at most {limits.collections_per_user} of one user")

    def check_growth(self, place: Place, growth: int, limits: CollectionLimits) -> None:
        """Check that the collection may grow by so many bytes; it may always shrink.

        Raises:
            CollectionFullError.
        """
        if growth > 0 and self._of(place).bytes + growth > limits.bytes_per_collection:
            raise CollectionFullError(f"at most {limits.bytes_per_collection} bytes in one")

    def change(self, place: Place, *, objects: int, size: int) -> None:
        """Note that the collection has so many objects and bytes more, or less."""
        tally = self._of(place)
        was_empty = tally.objects == 0
        tally.objects += objects
        tally.bytes += size
        is_empty = tally.objects == 0
        if was_empty != is_empty and place.user_id in self._collections:
            self._collections[place.user_id] += -1 if is_empty else 1

    def write(self) -> None:
        """Write what has changed; a collection that holds nothing any more has no row."""
        for (user_id, collection), tally in self._tallies.items():
            if tally.objects == 0 and tally.stored == 0:
                continue
            statement: ClauseElement = statements.CHANGE_COLLECTION
            if tally.stored == 0:
                statement = statements.ADD_COLLECTION
            elif tally.objects == 0:
                statement = statements.DELETE_COLLECTION
            self._connection.execute(
                compiled(statement),
                {
                    "owner": user_id,
                    "of_collection": collection,
                    "new_objects": tally.objects,
                    "new_bytes": tally.bytes,
                },
            )

    def _of(self, place: Place) -> _Tally:
        key = (place.user_id, place.collection)
        tally = self._tallies.get(key)
        if tally is None:
            binds = {"owner": place.user_id, "of_collection": place.collection}
            found = self._connection.execute(compiled(statements.TALLY), binds).fetchone()
            objects, size = found or (0, 0)
            tally = self._tallies[key] = _Tally(objects, size, objects)
        return tally

    def _count(self, user_id: UserId) -> int:
        """Return how many collections the user has, those of this batch included."""
        count = self._collections.get(user_id)
        if count is None:
            statement = compiled(statements.COLLECTION_COUNT)
            (count,) = self._connection.execute(statement, {"owner": user_id}).fetchone()
            # The rows are as the batch found them; what has begun or ended since comes on top.
            for (owner, _), tally in self._tallies.items():
                if owner == user_id:
                    count += (tally.objects > 0) - (tally.stored > 0)
            self._collections[user_id] = count
        return int(count)
