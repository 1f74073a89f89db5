"""Noticing, within one process, what any process announced: the `ChangeSignal` of SQLite.

`PRAGMA data_version` moves when another connection, of this process or any other, committed
to the file (https://www.sqlite.org/pragma.html#pragma_data_version). It takes some
microseconds and no lock, so it may be asked on the event loop; only when it moved is the
counter read. Knows nothing of what changed.
"""

import sqlite3
from pathlib import Path

from thingstead.storage.sql.tables import CHANGES
from thingstead.storage.sqlite.failures import translated_errors


class SQLiteChangeSignal:
    """Watches the counter of changes in one file; `close` ends the watch."""

    def __init__(self, path: Path) -> None:
        with translated_errors():
            # No waiting for locks, because `has_changed` runs on the event loop.
            self._watch = sqlite3.connect(
                path, timeout=0, isolation_level=None, check_same_thread=False
            )
            try:
                self._watch.execute("PRAGMA query_only=ON").fetchall()
                self._version = self._data_version()
                self._count = self._changes()
            except sqlite3.Error:
                self._watch.close()
                raise

    def has_changed(self) -> bool:
        """Return whether somebody announced since the last call.

        When the file cannot be read the answer is yes: what is cached can then not be
        trusted, and the next read says what is wrong.
        """
        try:
            # The version is read first: a commit in between is then noticed by the next call.
            version = self._data_version()
            if version == self._version:
                return False
            count = self._changes()
        except sqlite3.Error:
            return True
        has_moved = count != self._count
        self._version, self._count = version, count
        return has_moved

    def close(self) -> None:
        """End the watch."""
        self._watch.close()

    def _data_version(self) -> int:
        return int(self._watch.execute("PRAGMA data_version").fetchone()[0])

    def _changes(self) -> int:
        statement = "SELECT value FROM installation WHERE key = ?"
        return int(self._watch.execute(statement, (CHANGES,)).fetchone()[0])
