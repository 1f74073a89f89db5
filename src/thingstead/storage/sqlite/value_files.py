"""Connections to `values.db`.

One file holds everything that a device's request writes (values, series ids, documents,
sequence), because WAL commits are atomic per file only. Every connection asserts its own
settings: a PRAGMA that was not carried out looks just like one that was (`measured.md`).
"""

import sqlite3
from pathlib import Path

from thingstead.kernel.errors import StoreUnavailableError

_BUSY_TIMEOUT_S = 2.0
_CACHE_KIB = 16 * 1024
_JOURNAL_LIMIT_BYTES = 64 * 1024 * 1024
# `value_checkpoint.py` keeps the log short; this is for when its thread cannot.
_PAGES_BEFORE_BLOCKING = 32_768
_FULL = 2  # what `PRAGMA synchronous` reads back when every commit is flushed to the disk


def connect(path: Path, *, is_writer: bool) -> sqlite3.Connection:
    """Open the migrated database; the caller closes the connection.

    Raises:
        StoreUnavailableError: a setting on which durability rests was not accepted.
    """
    connection = sqlite3.connect(
        path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.execute("PRAGMA synchronous=FULL").fetchall()
    # On macOS only F_FULLFSYNC reaches the platter; elsewhere these two change nothing.
    connection.execute("PRAGMA fullfsync=ON").fetchall()
    connection.execute("PRAGMA checkpoint_fullfsync=ON").fetchall()
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}").fetchall()
    connection.execute(f"PRAGMA journal_size_limit={_JOURNAL_LIMIT_BYTES}").fetchall()
    connection.execute(f"PRAGMA wal_autocheckpoint={_PAGES_BEFORE_BLOCKING}").fetchall()
    if not is_writer:
        connection.execute("PRAGMA query_only=ON").fetchall()
    _assert_setting(connection, "journal_mode", "wal")
    _assert_setting(connection, "synchronous", _FULL)
    return connection


def _assert_setting(connection: sqlite3.Connection, name: str, expected: object) -> None:
    (actual,) = connection.execute(f"PRAGMA {name}").fetchone()
    if actual != expected:
        connection.close()
        raise StoreUnavailableError(f"PRAGMA {name} is {actual!r} and not {expected!r}")
