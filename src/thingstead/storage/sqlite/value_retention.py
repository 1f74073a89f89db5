"""Deleting values in short slices, and giving the space back to the system.

Each slice is a transaction of its own on the writer's connection, between two commits of
requests, so a write waits for one slice at most. `auto_vacuum=INCREMENTAL` keeps freed pages
in the file until `incremental_vacuum` moves them to its end and cuts them off.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from thingstead.features.values.model import Source, Window
from thingstead.kernel.ids import ThingId
from thingstead.storage.sqlite.value_reader import EARLIEST, LATEST

_ROWS_A_SLICE = 1_000
_PAGES_A_SLICE = 100
_SERIES_A_PAGE = 200
_SLICE_S = 0.01


def delete_before(
    connection: sqlite3.Connection, cutoff_ms: int, after_series: int, touched: set[ThingId]
) -> tuple[int, int | None]:
    """Delete values older than the cutoff for about 10 ms, starting behind a series id.

    Returns the number deleted and the series id to go on behind, or None when all are done. The
    things of which something was deleted are added to `touched`.
    """
    end = time.monotonic() + _SLICE_S
    deleted = 0
    with _transaction(connection):
        while True:
            page = connection.execute(
                "SELECT id, thing_id FROM series WHERE id > ? ORDER BY id LIMIT ?",
                (after_series, _SERIES_A_PAGE),
            ).fetchall()
            for series_id, thing_id in page:
                while number := _delete_some(connection, series_id, EARLIEST, cutoff_ms):
                    deleted += number
                    touched.add(thing_id)
                    if time.monotonic() >= end:
                        return deleted, after_series
                after_series = series_id
            if len(page) < _SERIES_A_PAGE or time.monotonic() >= end:
                return deleted, None if len(page) < _SERIES_A_PAGE else after_series


def delete_window(
    connection: sqlite3.Connection, source: Source, key: str, window: Window
) -> tuple[int, bool]:
    """Delete values of a key in the window, whatever its limit, for about 10 ms.

    Returns the number deleted and whether none is left; the key stays known.
    """
    end = time.monotonic() + _SLICE_S
    from_ms = EARLIEST if window.from_ms is None else window.from_ms
    until_ms = LATEST if window.until_ms is None else window.until_ms
    deleted = 0
    with _transaction(connection):
        for epoch in source.epochs:
            found = connection.execute(
                "SELECT id FROM series WHERE thing_id = ? AND epoch = ? AND key = ?",
                (source.thing_id, epoch, key),
            ).fetchone()
            while found and (number := _delete_some(connection, found[0], from_ms, until_ms)):
                deleted += number
                if time.monotonic() >= end:
                    return deleted, False
    return deleted, True


def _delete_some(
    connection: sqlite3.Connection, series_id: int, from_ms: int, until_ms: int
) -> int:
    """Delete the oldest values of a window, a thousand at most; return how many."""
    beyond = connection.execute(
        "SELECT at_ms, sequence FROM value WHERE series_id = ? AND at_ms >= ? AND at_ms < ?"
        " ORDER BY at_ms, sequence LIMIT 1 OFFSET ?",
        (series_id, from_ms, until_ms, _ROWS_A_SLICE),
    ).fetchone()
    # Many values may share one time, so the sequence has a part in where to stop.
    return connection.execute(
        "DELETE FROM value WHERE series_id = ? AND at_ms >= ? AND (at_ms, sequence) < (?, ?)",
        (series_id, from_ms, *(beyond or (until_ms, EARLIEST))),
    ).rowcount


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def give_space_back(connection: sqlite3.Connection) -> int:
    """Cut some free pages off the file; return how many free ones are left."""
    # `execute` would free one page only: the PRAGMA frees one page a step (`rulings.md`).
    connection.executescript(f"PRAGMA incremental_vacuum({_PAGES_A_SLICE})")
    (left,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(left)


def purge_thing(connection: sqlite3.Connection, thing_id: ThingId) -> bool:
    """Delete some values of a thing, at last the rest of it; return whether all is gone."""
    of_thing = (thing_id,)
    with _transaction(connection):
        series = connection.execute("SELECT id FROM series WHERE thing_id = ?", of_thing).fetchall()
        is_empty = _empty(connection, series)
        if is_empty:
            connection.execute("DELETE FROM series WHERE thing_id = ?", of_thing)
            connection.execute("DELETE FROM document WHERE thing_id = ?", of_thing)
    return is_empty


def purge_epoch(connection: sqlite3.Connection, thing_id: ThingId, epoch: int) -> bool:
    """Delete some values of an epoch, at last the rest of it; return whether all is gone."""
    of_epoch = (thing_id, epoch)
    with _transaction(connection):
        series = connection.execute(
            "SELECT id FROM series WHERE thing_id = ? AND epoch = ?", of_epoch
        ).fetchall()
        is_empty = _empty(connection, series)
        if is_empty:
            connection.execute("DELETE FROM series WHERE thing_id = ? AND epoch = ?", of_epoch)
            connection.execute("DELETE FROM document WHERE thing_id = ? AND epoch = ?", of_epoch)
    return is_empty


def _empty(connection: sqlite3.Connection, series: list[tuple[int]]) -> bool:
    """Delete values of the series for about 10 ms; return whether none is left."""
    end = time.monotonic() + _SLICE_S
    for (series_id,) in series:
        while _delete_some(connection, series_id, EARLIEST, LATEST):
            if time.monotonic() >= end:
                return False
    return True
