"""Deleting old values in short slices, and giving the space back to the system.

Each slice is a transaction of its own on the writer's connection, between two commits of
requests, so a write waits for one slice at most. `auto_vacuum=INCREMENTAL` keeps freed pages
in the file until `incremental_vacuum` moves them to its end and cuts them off.
"""

import sqlite3
import time

from thingstead.kernel.ids import ThingId

_ROWS_A_SLICE = 1_000
_PAGES_A_SLICE = 100
_SERIES_A_PAGE = 200
_SLICE_S = 0.01


def delete_before(
    connection: sqlite3.Connection, cutoff_ms: int, after_series: int
) -> tuple[int, int | None]:
    """Delete values older than the cutoff for about 10 ms, starting behind a series id.

    Returns the number deleted and the series id to go on behind, or None when all are done.
    """
    end = time.monotonic() + _SLICE_S
    deleted = 0
    connection.execute("BEGIN IMMEDIATE")
    try:
        while True:
            page = connection.execute(
                "SELECT id FROM series WHERE id > ? ORDER BY id LIMIT ?",
                (after_series, _SERIES_A_PAGE),
            ).fetchall()
            for (series_id,) in page:
                while number := _delete_some(connection, series_id, cutoff_ms):
                    deleted += number
                    if time.monotonic() >= end:
                        connection.execute("COMMIT")
                        return deleted, after_series
                after_series = series_id
            if len(page) < _SERIES_A_PAGE or time.monotonic() >= end:
                connection.execute("COMMIT")
                return deleted, None if len(page) < _SERIES_A_PAGE else after_series
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _delete_some(connection: sqlite3.Connection, series_id: int, cutoff_ms: int) -> int:
    """Delete the oldest values of a series, some thousands at most; return how many."""
    beyond = connection.execute(
        "SELECT at_ms FROM value WHERE series_id = ? AND at_ms < ? ORDER BY at_ms LIMIT 1 OFFSET ?",
        (series_id, cutoff_ms, _ROWS_A_SLICE),
    ).fetchone()
    # Many values may share one time: then all of that time go together, or nothing would.
    limit_ms = cutoff_ms if beyond is None else max(beyond[0], _oldest(connection, series_id) + 1)
    return connection.execute(
        "DELETE FROM value WHERE series_id = ? AND at_ms < ?", (series_id, limit_ms)
    ).rowcount


def _oldest(connection: sqlite3.Connection, series_id: int) -> int:
    (at_ms,) = connection.execute(
        "SELECT min(at_ms) FROM value WHERE series_id = ?", (series_id,)
    ).fetchone()
    return int(at_ms)


def give_space_back(connection: sqlite3.Connection) -> int:
    """Cut some free pages off the file; return how many free ones are left."""
    # `execute` would free one page only: the PRAGMA frees one page a step (`rulings.md`).
    connection.executescript(f"PRAGMA incremental_vacuum({_PAGES_A_SLICE})")
    (left,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(left)


def purge_thing(connection: sqlite3.Connection, thing_id: ThingId) -> bool:
    """Delete some values of a thing, at last the rest of it; return whether all is gone."""
    end = time.monotonic() + _SLICE_S
    connection.execute("BEGIN IMMEDIATE")
    try:
        series = connection.execute(
            "SELECT id FROM series WHERE thing_id = ?", (thing_id,)
        ).fetchall()
        for (series_id,) in series:
            while _delete_some(connection, series_id, 2**63 - 1):
                if time.monotonic() >= end:
                    connection.execute("COMMIT")
                    return False
        connection.execute("DELETE FROM series WHERE thing_id = ?", (thing_id,))
        connection.execute("DELETE FROM document WHERE thing_id = ?", (thing_id,))
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return True
