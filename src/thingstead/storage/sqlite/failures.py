"""What SQLite's errors mean to the platform.

The only place that knows SQLite's result codes (https://www.sqlite.org/rescode.html). What is
no fault of disk, file or load, such as a broken constraint, is a mistake in this program: it
is not translated and ends in the log.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from thingstead.kernel.errors import StorageFullError, StoreUnavailableError, ThingsteadError

_RETRY_AFTER_S = 2
_UNUSABLE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOLFS,
    }
)


class DatabaseUnusableError(StoreUnavailableError):
    """The file is damaged, or no database of this program; nothing in it was changed."""

    code = "database-unusable"
    message = "The database file cannot be used"
    advice = "Check the path of the data folder, or put a copy of the folder back."


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise SQLite's errors from the block as the platform's, the original as their cause.

    Raises:
        StorageFullError: the disk is full.
        DatabaseUnusableError: the file is damaged or no database.
        StoreUnavailableError: it is locked, cannot be read or written, or too many are waiting.
    """
    try:
        yield
    except PoolTimeoutError as exc:
        raise StoreUnavailableError(
            "too many requests are waiting for it", retry_after_s=_RETRY_AFTER_S
        ) from exc
    except (DBAPIError, sqlite3.Error) as exc:
        error = _translated(exc.orig if isinstance(exc, DBAPIError) else exc)
        if error is None:
            raise
        raise error from exc


def translated(error: Exception) -> ThingsteadError:
    """Return the platform's error for one of SQLite's; any other is a mistake, so internal."""
    found = _translated(error) or ThingsteadError()
    found.__cause__ = error
    return found


def _translated(error: BaseException | None) -> ThingsteadError | None:
    """Return the platform's error, or None when it is a mistake of the program."""
    # Extended codes carry the primary one in their lowest byte.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageFullError()
    if code in _UNUSABLE:
        return DatabaseUnusableError(str(error))
    if code in _PASSING:
        return StoreUnavailableError(str(error), retry_after_s=_RETRY_AFTER_S)
    return None
