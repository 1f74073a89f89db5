"""The one writer of objects: many changes, one durable commit.

Runs in its own thread on its own connection. Each change is checked completely before its one
statement is carried out, so a refused change leaves nothing behind, while the others of its
batch are stored. If the commit itself fails, every change of the batch fails.
"""

import logging
import sqlite3
from asyncio import Future
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from sqlalchemy import ClauseElement

from thingstead.features.collections.errors import (
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
)
from thingstead.features.collections.etags import etag_of
from thingstead.features.collections.model import (
    Action,
    CollectionLimits,
    ObjectChange,
    Place,
    StoredObject,
)
from thingstead.features.collections.texts import merged_text, size_of
from thingstead.kernel.errors import ThingsteadError
from thingstead.storage.sql import objects as statements
from thingstead.storage.sqlite.failures import translated
from thingstead.storage.sqlite.object_changes import ChangeLog, ChangeLogLimits
from thingstead.storage.sqlite.object_statements import compiled
from thingstead.storage.sqlite.object_tallies import Tallies

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Create:
    """An object to add."""

    place: Place
    text: str
    limits: CollectionLimits
    at_ms: int


@dataclass(frozen=True, slots=True)
class Merge:
    """Members to set in an object."""

    place: Place
    members: Mapping[str, object]
    limits: CollectionLimits
    etag: str | None
    at_ms: int


@dataclass(frozen=True, slots=True)
class Delete:
    """An object to delete."""

    place: Place
    etag: str | None


@dataclass(slots=True)
class ChangeJob:
    """A change on its way; one of `committed` and `error` is set at the end."""

    change: Create | Merge | Delete
    size: int
    future: "Future[StoredObject]"
    committed: ObjectChange | None = None
    error: ThingsteadError | None = None


class ObjectWriter:
    """Stores batches of changes; used by one thread only."""

    def __init__(self, connection: sqlite3.Connection, kept: ChangeLogLimits) -> None:
        self._connection = connection
        self._log = ChangeLog(connection, kept)

    def store(self, jobs: Sequence[ChangeJob]) -> None:
        """Store the jobs in one transaction and set what became of each; never raises."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._log.begin()
            tallies = Tallies(self._connection)
            for job in jobs:
                self._carry_out(job, tallies)
            tallies.write()
            self._log.trim()
            self._connection.execute("COMMIT")
        except Exception as exc:  # noqa: BLE001  # Supervises the thread: one batch ends here.
            self._undo()
            error = translated(exc)
            for job in jobs:
                job.committed, job.error = None, error

    def _undo(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as exc:
            # The next batch cannot begin, fails as this one did, and comes here again.
            _log.error("a failed transaction could not be rolled back: %s", exc)

    def _carry_out(self, job: ChangeJob, tallies: Tallies) -> None:
        try:
            job.committed = self._changed(job.change, tallies)
        except ThingsteadError as exc:
            job.error = exc
        except sqlite3.Error:
            raise
        except Exception as exc:  # noqa: BLE001  # Supervises the batch: others must not pay for a mistake.
            job.error = translated(exc)

    def _changed(self, change: Create | Merge | Delete, tallies: Tallies) -> ObjectChange:
        match change:
            case Create():
                return self._create(change, tallies)
            case Merge():
                return self._merge(change, tallies)
            case Delete():
                return self._delete(change, tallies)
            case _:
                assert_never(change)

    def _create(self, change: Create, tallies: Tallies) -> ObjectChange:
        place, text = change.place, change.text
        tallies.check_owner(place.user_id)
        if self._text(place) is not None:
            raise ObjectExistsError
        size = size_of(text)
        tallies.check_room(place, size, change.limits)
        self._execute(statements.ADD_OBJECT, place, new_text=text, at_ms=change.at_ms)
        tallies.change(place, objects=1, size=size)
        return self._noted(place, Action.CREATE, text)

    def _merge(self, change: Merge, tallies: Tallies) -> ObjectChange:
        place = change.place
        tallies.check_owner(place.user_id)
        before = self._existing(place, change.etag)
        text = merged_text(before, change.members, max_bytes=change.limits.object_bytes)
        growth = size_of(text) - size_of(before)
        tallies.check_growth(place, growth, change.limits)
        self._execute(statements.CHANGE_OBJECT, place, new_text=text, at_ms=change.at_ms)
        tallies.change(place, objects=0, size=growth)
        return self._noted(place, Action.UPDATE, text)

    def _delete(self, change: Delete, tallies: Tallies) -> ObjectChange:
        place = change.place
        text = self._existing(place, change.etag)
        self._execute(statements.DELETE_OBJECT, place)
        tallies.change(place, objects=-1, size=-size_of(text))
        return self._noted(place, Action.DELETE, text)

    def _noted(self, place: Place, action: Action, text: str) -> ObjectChange:
        sequence = self._log.append(place, action, text)
        stored = StoredObject(place.id, text)
        return ObjectChange(place.user_id, place.collection, action, stored, sequence)

    def _existing(self, place: Place, etag: str | None) -> str:
        text = self._text(place)
        if text is None:
            raise ObjectNotFoundError
        if etag is not None and etag_of(StoredObject(place.id, text)) != etag:
            raise ObjectChangedError
        return text

    def _text(self, place: Place) -> str | None:
        found = self._execute(statements.TEXT, place).fetchone()
        return None if found is None else str(found[0])

    def _execute(self, statement: ClauseElement, place: Place, **binds: object) -> sqlite3.Cursor:
        return self._connection.execute(
            compiled(statement),
            {
                "owner": place.user_id,
                "of_collection": place.collection,
                "with_id": place.id,
                **binds,
            },
        )
