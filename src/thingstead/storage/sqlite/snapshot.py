"""A copy of an SQLite file as one moment saw it, whole on the disk before its name is there.

Made before a file is upgraded, so that its owner can go back to the version that wrote it. Uses
SQLite's online backup (https://www.sqlite.org/backup.html), because what was committed last may
lie in the write-ahead log only, which copying the file would leave behind.
"""

import errno
import logging
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from thingstead.kernel.errors import StorageFullError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

_log = logging.getLogger(__name__)


def snapshot(source: sqlite3.Connection, target: Path) -> None:
    """Copy the database to `target`, readable by its owner only; one that is there is replaced.

    An upgrade is done whole or not at all. So if there is a copy of this name already, the file
    it was made of is still as it was then, or has been written to since: the new copy is the
    better one. The old one is there until the new one is whole.

    Raises:
        StorageFullError: there is no room; nothing is left of the copy.
        OSError, sqlite3.Error: the copy could not be made; nothing is left of it.
    """
    _check_room(source, target.parent)
    part = target.with_name(f"{target.name}.part")
    # What a crash left behind, of an earlier attempt.
    part.unlink(missing_ok=True)
    try:
        _copy(source, part)
        part.replace(target)
        fsync_folder(target.parent)
    except OSError as exc:
        if exc.errno in _FULL:
            raise StorageFullError(f"{target.name}: no room for the copy") from exc
        raise
    finally:
        part.unlink(missing_ok=True)
    _log.info("the database was copied to %s before its upgrade", target.name)


def fsync_folder(folder: Path) -> None:
    """Have the names in the folder outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_room(source: sqlite3.Connection, folder: Path) -> None:
    (pages,) = source.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = source.execute("PRAGMA page_size").fetchone()
    wanted, free = pages * page_bytes, shutil.disk_usage(folder).free
    if wanted > free:
        raise StorageFullError(
            f"the copy made before an upgrade takes {wanted} bytes, and {free} are free"
        )


def _copy(source: sqlite3.Connection, part: Path) -> None:
    os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(part, isolation_level=None)) as copy:
        # A copy cut short is thrown away whole, so it needs no journal; it is flushed below.
        copy.execute("PRAGMA journal_mode=OFF").fetchall()
        copy.execute("PRAGMA synchronous=OFF").fetchall()
        source.backup(copy)
    descriptor = os.open(part, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
