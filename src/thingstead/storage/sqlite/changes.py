"""Noticing, within one process, what any process announced: the `ChangeSignal` of SQLite.

`PRAGMA data_version` moves when another connection, of this process or any other, committed
to the file (https://www.sqlite.org/pragma.html#pragma_data_version). It takes some
microseconds and no lock, so it may be asked on the event loop; only when it moved is the list
of announcements read. Knows nothing of what changed.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from thingstead.kernel.changes import Change, Kind
from thingstead.storage.sqlite.failures import translated_errors

# Deleting an account announces each of its things. Reading and telling so many takes 20 ms;
# forgetting everything has every stream and every caller ask the store again.
MOST_AT_ONCE = 10_100
_KINDS = {kind.value: kind for kind in Kind}


class SQLiteChangeSignal:
    """Watches the list of announcements in one file; `close` ends the watch."""

    def __init__(self, path: Path) -> None:
        with translated_errors():
            # No waiting for locks, because `changes` runs on the event loop.
            self._watch = sqlite3.connect(
                path, timeout=0, isolation_level=None, check_same_thread=False
            )
            try:
                self._watch.execute("PRAGMA query_only=ON").fetchall()
                self._version = self._data_version()
                self._seen = self._newest()
            except sqlite3.Error:
                self._watch.close()
                raise

    def changes(self) -> Sequence[Change] | None:
        """Return what was announced since the last call, oldest first.

        None when there is too much of it, when some was trimmed or says what this version does
        not know, or when the file cannot be read: what is cached can then not be trusted, and
        the next read says what is wrong.
        """
        try:
            # The version is read first: a commit in between is then noticed by the next call.
            version = self._data_version()
            if version == self._version:
                return ()
            rows = self._behind_seen()
            self._seen = self._newest() if rows is None else self._seen + len(rows)
        except sqlite3.Error:
            # The version stays as it was, so the next call looks again.
            return None
        self._version = version
        if rows is None or any(kind not in _KINDS for _, kind, _ in rows):
            return None
        return [Change(_KINDS[kind], subject) for _, kind, subject in rows]

    def close(self) -> None:
        """End the watch."""
        self._watch.close()

    def _data_version(self) -> int:
        return int(self._watch.execute("PRAGMA data_version").fetchone()[0])

    def _newest(self) -> int:
        return int(self._watch.execute("SELECT coalesce(max(id), 0) FROM change").fetchone()[0])

    def _behind_seen(self) -> list[tuple[int, str, str]] | None:
        """Return the announcements behind the last one seen, or None when some are missing.

        The last one seen is read too: ids have no gaps, so where it is no longer the first,
        the list was trimmed up to here, or is that of another copy of the file.
        """
        rows = self._watch.execute(
            "SELECT id, kind, subject FROM change WHERE id >= ? ORDER BY id LIMIT ?",
            (self._seen, MOST_AT_ONCE + 2),
        ).fetchall()
        start = self._seen or 1
        # They ascend, so between the first and the last there is no gap when the count is right.
        if rows and (rows[0][0] != start or rows[-1][0] != start + len(rows) - 1):
            return None
        if self._seen and not rows:
            return None
        unseen = rows[1:] if self._seen else rows
        return None if len(unseen) > MOST_AT_ONCE else unseen
