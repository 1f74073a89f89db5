"""Making an SQLite file ready: it exists, has the right page settings, and is migrated.

Both files of the data folder go through here before anybody else opens them. An ordinary start
reads two rows and imports no Alembic. Everything here waits for the disk, so it runs in a
thread (`core.py`). What connections need for themselves stands with their engines.
"""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import URL

from thingstead.kernel.errors import StoreUnavailableError
from thingstead.storage.migrations.lock import migration_lock
from thingstead.storage.migrations.migrate import (
    REVISIONS,
    Schema,
    is_current,
    sqlite_revision,
    upgrade,
)
from thingstead.storage.sqlite.failures import DatabaseUnusableError, translated_errors
from thingstead.storage.sqlite.snapshot import fsync_folder, snapshot

BUSY_TIMEOUT_S = 5.0
_OLDEST_SQLITE = (3, 35, 0)  # RETURNING
_INCREMENTAL = 2  # what `PRAGMA auto_vacuum` reads back
# A commit writes whole pages to the log, and 64 values of 64 things touch 64 pages: half the
# page is a quarter less time for a durable batch (benchmarks/README.md, write path).
_PAGE_BYTES: Mapping[Schema, int] = MappingProxyType({"core": 4_096, "values": 2_048})


def prepare_file(path: Path, schema: Schema) -> None:
    """Make the file if it is missing, and migrate it if it is behind; twice is the same as once.

    The folder must exist. A new file is readable by its owner only; SQLite gives its journal
    the same mode. A file that is behind is copied first, next to it, as `NAME.before-REVISION`.

    Raises:
        DatabaseUnusableError: the file is damaged, or no database of this program.
        SchemaTooNewError: a newer version wrote it.
        StoreUnavailableError: it cannot be opened, or is locked for too long.
        StorageFullError: the disk is full, or has no room for the copy; the file is as it was.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise DatabaseUnusableError(
            f"SQLite {sqlite3.sqlite_version} is older than"
            f" {'.'.join(map(str, _OLDEST_SQLITE))}; use a newer Python"
        )
    try:
        with translated_errors():
            _create(path)
            if _is_ready(path, schema):
                return
            with migration_lock(path.parent):
                # Another process may have migrated it while this one waited.
                if not _is_ready(path, schema):
                    _copy_if_used(path, schema)
                    _set_page_settings(path, schema)
                    upgrade(URL.create("sqlite", database=str(path)), schema)
    except OSError as exc:
        raise StoreUnavailableError(f"{path.name}: {exc.strerror}") from exc


def _create(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    # The file's name must outlast a power cut as surely as what is written into it.
    fsync_folder(path.parent)


def _is_ready(path: Path, schema: Schema) -> bool:
    with closing(_connect(path)) as connection:
        if is_current(connection, schema):
            _assert_page_settings(connection, path)
            return True
        if sqlite_revision(connection, schema) is None and _has_tables(connection):
            raise DatabaseUnusableError(f"{path.name} holds tables of another program")
        return False


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def _copy_if_used(path: Path, schema: Schema) -> None:
    """Keep the file as it is before the upgrade, unless it is new and has nothing to keep."""
    with closing(_connect(path)) as connection:
        if sqlite_revision(connection, schema) is not None:
            snapshot(connection, path.with_name(f"{path.name}.before-{REVISIONS[schema][-1]}"))


def _set_page_settings(path: Path, schema: Schema) -> None:
    """Set what has to be set before the first table, in this order: WAL writes the first page."""
    with closing(_connect(path)) as connection:
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES[schema]}").fetchall()
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL").fetchall()
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
    # A new connection reads the setting from the file, not from what the last one was told.
    with closing(_connect(path)) as connection:
        _assert_page_settings(connection, path)


def _assert_page_settings(connection: sqlite3.Connection, path: Path) -> None:
    (actual,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if actual != _INCREMENTAL:
        raise DatabaseUnusableError(f"{path.name}: PRAGMA auto_vacuum is {actual}")
