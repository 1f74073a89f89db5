"""The reader of objects: bounded look-ups, many per wake-up of the event loop.

Runs in its own thread on its own connection, so a slow disk never stalls the event loop.
Every statement here is answered from an index (a test reads the plans).
"""

import sqlite3
from asyncio import Future
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from thingstead.features.collections.model import (
    Action,
    ObjectChange,
    ObjectEvent,
    ObjectPage,
    Place,
    StoredObject,
    topic_of,
)
from thingstead.features.collections.ports import Choice
from thingstead.features.collections.texts import size_of
from thingstead.features.live.ports import Event, Missed
from thingstead.kernel.errors import ThingsteadError
from thingstead.kernel.ids import UserId
from thingstead.storage.sql import objects as statements
from thingstead.storage.sqlite.failures import translated
from thingstead.storage.sqlite.object_statements import compiled

CHANGES_A_PAGE = 500
CHANGE_BYTES_A_PAGE = 256 * 1024


@dataclass(slots=True)
class LookUpJob:
    """A look-up and where its result goes."""

    look_up: "Callable[[ObjectReader], object]"
    future: "Future[Any]"
    result: object = None
    error: ThingsteadError | None = None


class ObjectReader:
    """Looks objects up; used by one thread only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, jobs: Sequence[LookUpJob]) -> None:
        """Carry out the look-ups and set what became of each; never raises."""
        for job in jobs:
            try:
                job.result = job.look_up(self)
            except Exception as exc:  # noqa: BLE001  # Supervises the thread: one look-up ends here.
                job.error = translated(exc)

    def get(self, place: Place) -> StoredObject | None:
        """Return the object, or None when there is none."""
        found = self._connection.execute(
            compiled(statements.TEXT),
            {"owner": place.user_id, "of_collection": place.collection, "with_id": place.id},
        ).fetchone()
        return None if found is None else StoredObject(place.id, found[0])

    def page(
        self,
        user_id: UserId,
        collection: str,
        *,
        below: str | None,
        limit: int,
        max_bytes: int,
        chosen: Choice | None = None,
    ) -> ObjectPage:
        """Return objects descending by id; see `ObjectStore.page`."""
        statement = statements.FIRST_PAGE if below is None else statements.NEXT_PAGE
        binds = {"owner": user_id, "of_collection": collection, "below": below, "most": limit}
        page: list[StoredObject] = []
        last: str | None = None
        # A statement that is not read to its end holds on to an old state of the file, and to
        # the write-ahead log with it, until its cursor is closed.
        with closing(self._connection.execute(compiled(statement), binds)) as rows:
            for object_id, text in rows:
                last, stored = object_id, StoredObject(object_id, text)
                if chosen is None or chosen(stored):
                    page.append(stored)
                max_bytes -= size_of(text)
                if max_bytes <= 0:
                    break
        return ObjectPage(page, last)

    def changes(self, user_id: UserId, collection: str, *, after: int, until: int) -> Missed:
        """Return what happened behind `after` and not behind `until`; see `ObjectReplay.missed`."""
        binds = {"owner": user_id, "of_collection": collection, "after": after, "until": until}
        topic = topic_of(user_id, collection)
        events: list[Event] = []
        size, is_complete = 0, True
        with closing(self._connection.execute(compiled(statements.CHANGES), binds)) as rows:
            for sequence, action, object_id, text in rows:
                if len(events) >= CHANGES_A_PAGE or size >= CHANGE_BYTES_A_PAGE:
                    is_complete = False
                    break
                size += size_of(text)
                stored = StoredObject(object_id, text)
                change = ObjectChange(user_id, collection, Action(action), stored, sequence)
                events.append(ObjectEvent(topic, change))
                after = sequence
        return Missed(events, after, is_complete, has_gap=False)

    def oldest_change(self) -> int | None:
        """Return the sequence of the oldest change that is kept, of any user."""
        binds = {"after": 0, "most": 1}
        found = self._connection.execute(compiled(statements.OLDEST_CHANGES), binds).fetchone()
        return None if found is None else int(found[0])

    def collections(self, user_id: UserId) -> list[str]:
        """Return the names of the user's collections, in alphabetical order."""
        found = self._connection.execute(compiled(statements.COLLECTIONS), {"owner": user_id})
        return [name for (name,) in found]
