"""The log of changes of objects: what is told again to those who missed it.

Each change is appended in its own transaction by the objects' writer, which trims the log as
well: the newest changes of all users stay, up to a number and a size.
"""

import sqlite3
from dataclasses import dataclass

from thingstead.features.collections.model import Action, Place
from thingstead.features.collections.texts import size_of
from thingstead.storage.sql import objects as statements
from thingstead.storage.sqlite.object_statements import compiled

_ROWS_A_SLICE = 1_000
_BYTES_A_SLICE = 8 * 1024 * 1024
_SLACK = 64


@dataclass(frozen=True, slots=True)
class ChangeLogLimits:
    """How many of the newest changes are kept, and how many bytes of their objects."""

    changes: int = 100_000
    bytes: int = 64 * 1024 * 1024


class ChangeLog:
    """Appends and trims, within transactions that the writer begins and commits."""

    def __init__(self, connection: sqlite3.Connection, limits: ChangeLogLimits) -> None:
        self._connection = connection
        self._limits = limits
        self._sequence = 0
        # Of all that was appended; what was purged counts for as long as it would have stayed.
        self._bytes: int | None = None
        self._bytes_before = 0
        self._due_sequence = 0
        self._due_bytes = 0

    def begin(self) -> None:
        """Begin a transaction; the last one may have been rolled back."""
        self._bytes_before, self._bytes = self._bytes or 0, None

    def append(self, place: Place, action: Action, text: str) -> int:
        """Append a change and return its sequence."""
        before = self._bytes_so_far()
        added = self._connection.execute(
            compiled(statements.ADD_CHANGE),
            {
                "owner": place.user_id,
                "of_collection": place.collection,
                "new_action": action.value,
                "with_id": place.id,
                "new_bytes_before": before,
                "new_text": text,
            },
        )
        self._bytes = before + size_of(text)
        self._sequence = int(added.lastrowid or 0)
        return self._sequence

    def trim(self) -> None:
        """Delete a slice of the oldest changes, if it is time; the next batch deletes the next.

        It is time when a sixty-fourth more than the limits has gathered, so that most batches
        need not look.
        """
        if self._bytes is None:
            return
        if self._sequence < self._due_sequence and self._bytes <= self._due_bytes:
            return
        limits = self._limits
        first_number, first_byte = self._sequence - limits.changes, self._bytes - limits.bytes
        last, deleted_from = None, None
        binds = {"after": 0, "most": _ROWS_A_SLICE}
        oldest = self._connection.execute(compiled(statements.OLDEST_CHANGES), binds).fetchall()
        for sequence, before in oldest:
            deleted_from = before if deleted_from is None else deleted_from
            if sequence > first_number and before >= first_byte:
                self._due_sequence = sequence + limits.changes + limits.changes // _SLACK
                self._due_bytes = before + limits.bytes + limits.bytes // _SLACK
                break
            if before - deleted_from > _BYTES_A_SLICE:
                break
            last = sequence
        if last is not None:
            self._connection.execute(compiled(statements.TRIM_CHANGES), {"until": last})

    def _bytes_so_far(self) -> int:
        if self._bytes is None:
            found = self._connection.execute(compiled(statements.NEWEST_CHANGE), {"after": 0})
            newest = found.fetchone()
            self._bytes = 0 if newest is None else newest[0] + size_of(newest[1])
            if self._bytes != self._bytes_before:
                # It was rolled back, or a purge took the newest: what was concluded is void.
                self._due_sequence = self._due_bytes = 0
        return self._bytes
