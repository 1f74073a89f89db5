"""Copying the write-ahead log into the file, without stopping writers for it.

SQLite would do this inside the commit that fills the log, which then takes 10 to 30 ms instead
of 0.6 (measured: benchmarks/README.md, write path). Here another thread copies the bulk while
commits go on, and the writer itself then copies the little that came meanwhile: only when
nothing is left may the log begin anew, so without that second step it would grow for ever.
"""

import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from thingstead.storage.sqlite.batch_thread import BatchThread

_log = logging.getLogger(__name__)

# 16 MiB of pages of 2 KiB; a start after a crash reads that much again, in some hundredths of
# a second.
_PAGES_BEFORE_COPY = 8_192
_PASSIVE = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpointer:
    """Looks after the log of one file; all methods but the thread's are the writer's to call."""

    def __init__(
        self,
        path: Path,
        writer: sqlite3.Connection,
        copier: sqlite3.Connection,
        *,
        on_copied: Callable[[], None],
        pages: int = _PAGES_BEFORE_COPY,
    ) -> None:
        """`on_copied` is called in the thread; it has the writer call `settle` soon."""
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._writer = writer
        self._copier = copier
        self._threshold = pages
        self._on_copied = on_copied
        self._pages = 0
        self._is_copying = False
        self._is_copied = False
        self._thread: BatchThread[None] = BatchThread(
            "thingstead-checkpoint", self._copy, max_batch=1
        )

    @property
    def is_busy(self) -> bool:
        """Whether the log is being copied, or waits for the writer to copy the rest."""
        return self._is_copying

    def settle(self) -> None:
        """Copy the rest, if the thread has copied the bulk; otherwise do nothing."""
        if self._is_copied:
            self._finish()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End the thread; return whether it ended in time."""
        return self._thread.stop(timeout_s)

    def note(self, pages: int) -> None:
        """Take note of a commit that added at most so many pages to the log."""
        self._pages += pages
        if self._pages >= self._threshold and not self._is_copying:
            self._is_copying = True
            self._thread.put(None)

    def close(self) -> None:
        """Close the file; to be called when every connection is closed. Twice is once.

        Closing any descriptor of a file drops the locks that its process holds on it
        (POSIX), SQLite's among them, so this one stays open for as long as they matter.
        """
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _copy(self, _jobs: list[None]) -> float:
        try:
            self._copier.execute(_PASSIVE).fetchall()
            # SQLite flushes the file only after a copy that reached the log's end, which
            # under load is the writer's: it took 25 to 30 ms there, and takes them here now.
            os.fsync(self._file)
        except (sqlite3.Error, OSError) as exc:
            # The next commits ask again; until then the log only grows.
            _log.warning("the write-ahead log was not copied: %s", exc)
        self._is_copied = True
        self._on_copied()
        return 0.0

    def _finish(self) -> None:
        self._is_copied = self._is_copying = False
        try:
            _, in_log, copied = self._writer.execute(_PASSIVE).fetchone()
        except sqlite3.Error as exc:
            _log.warning("the write-ahead log was not copied to its end: %s", exc)
            return
        # A reader in the middle of a look-up can hold the end back; then it is asked again.
        self._pages = max(0, in_log - copied)
