"""`ObjectReplay` on SQLite: what live subscribers of a collection heard, told again.

Runs on the event loop; the log is read in the reader's thread, a bounded page at a time. A page
ends with what was announced: what is committed but not announced yet reaches the subscriber as
a live event, and would be heard twice otherwise.
"""

import sqlite3
from asyncio import Future
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from thingstead.features.live.ports import Missed
from thingstead.kernel.ids import UserId
from thingstead.storage.sqlite.object_reader import ObjectReader

Result = TypeVar("Result")


class LookUp(Protocol):
    """Has the reader's thread carry out a look-up."""

    def __call__(self, look_up: Callable[[ObjectReader], Result]) -> "Future[Result]":
        """Return the future of what the look-up gives."""
        ...


def newest_sequence(connection: sqlite3.Connection) -> int:
    """Return the sequence of the newest change ever made, whether it is kept or not."""
    found = connection.execute(
        "SELECT seq FROM sqlite_sequence WHERE name = 'object_change'"
    ).fetchone()
    return 0 if found is None else int(found[0])


class SQLiteObjectReplay:
    """The event loop's side; `head` is that of the file when nothing was announced yet."""

    def __init__(self, look_up: LookUp, *, head: int) -> None:
        self._look_up = look_up
        self._head = head

    def announced(self, sequence: int) -> None:
        """Take note that all changes up to the sequence are being announced now."""
        self._head = sequence

    async def head(self) -> int:
        """Return the sequence of the newest change that was announced."""
        return self._head

    async def missed(self, user_id: UserId, collection: str, *, after: int) -> Missed:
        """Return changes behind a sequence; see `ObjectReplay.missed`."""
        until = self._head
        if after >= until:
            return Missed([], until, is_complete=True, has_gap=after > until)

        def look_up(reader: ObjectReader) -> Missed:
            page = reader.changes(user_id, collection, after=after, until=until)
            # Asked for at the end: what was trimmed in between is then a gap too many, and not
            # one too few.
            oldest = reader.oldest_change()
            known_after = until if oldest is None else oldest - 1
            return replace(page, has_gap=after < known_after)

        return await self._look_up(look_up)
