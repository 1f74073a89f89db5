"""A `values.db` of an earlier version is upgraded, and nothing of it is lost."""

import sqlite3
from contextlib import closing

import pytest

from contract.value_stores import OTHER_THING, THING, timed, value, write
from doubles.old_files import make_old_file
from doubles.value_rig import on_writer, opened
from doubles.values import decoded
from thingstead.features.values.model import DocumentChange, Source, Window, Write
from thingstead.storage.sqlite.opening import prepare_file

ALL = Window(limit=10_000)


def connect(path):
    return closing(sqlite3.connect(path, isolation_level=None))


@pytest.fixture
def path(tmp_path):
    """Two things with three series, ids 3, 5 and 7, and a document each; nine ids were given."""
    path = tmp_path / "values.db"
    make_old_file(path, "values", "0001")
    with connect(path) as connection:
        connection.executemany(
            "INSERT INTO series (id, thing_id, key) VALUES (?, ?, ?)",
            [(3, THING, "t"), (5, OTHER_THING, "t"), (7, THING, "u"), (9, THING, "gone")],
        )
        connection.execute("DELETE FROM series WHERE id = 9")
        connection.executemany(
            "INSERT INTO value VALUES (?, ?, ?, ?, ?, ?)",
            [
                (3, 1_000, 1, 21.5, 41.5, 2.25),
                (3, 2_000, 2, "warm", None, None),
                (5, 1_000, 3, 7, None, None),
                (7, 1_000, 4, b"[true]", None, None),
            ],
        )
        connection.executemany(
            "INSERT INTO document VALUES (?, ?, ?)",
            [(THING, "$settings", '{"a":1}'), (OTHER_THING, "description", '{"b":2}')],
        )
        connection.execute("UPDATE counter SET value = 4 WHERE name = 'sequence'")
    return path


async def values_of(store, key, thing=THING):
    rows = (await store.newest(thing, (0,), key, ALL)).rows
    return [(decoded(read), *others) for read, *others in rows]


async def test_everything_is_there_after_the_upgrade_in_epoch_0(path):
    async with opened(path) as store:
        assert await store.keys(THING, (0,)) == ["t", "u"]
        assert await values_of(store, "t") == [
            ("warm", 2_000, None, None),
            (21.5, 1_000, 41.5, 2.25),
        ]
        assert await values_of(store, "u") == [([True], 1_000, None, None)]
        assert await values_of(store, "t", OTHER_THING) == [(7, 1_000, None, None)]
        assert await store.document(THING, (0,), "$settings") == {"a": 1}
        assert await store.document(OTHER_THING, (0,), "description") == {"b": 2}


async def test_nothing_of_it_is_in_another_epoch(path):
    async with opened(path) as store:
        assert await store.keys(THING, (1,)) == []
        assert await store.document(THING, (1,), "$settings") is None


async def test_writing_goes_on_after_the_upgrade(path):
    async with opened(path) as store:
        repeated = await store.append(write(timed("t", "warm", 2_000)))
        change = DocumentChange("$settings", ("b",), 2, 99)
        appended = await store.append(Write(THING, (value("t", "new", 3_000),), (change,)))

        assert repeated.repeats == {0}
        assert appended.sequence == 5
        assert [row[0] for row in await values_of(store, "t")] == ["new", "warm", 21.5]
        assert await store.document(THING, (0,), "$settings") == {"a": 1, "b": 2}


async def test_the_id_of_a_series_deleted_before_the_upgrade_is_not_given_again(path):
    async with opened(path) as store:
        await store.append(write(value("new")))

        assert await on_writer(store, "SELECT max(id) FROM series") == 10


async def test_ids_go_on_when_no_series_was_left(path):
    with connect(path) as connection:
        connection.execute("DELETE FROM series")

    async with opened(path) as store:
        await store.append(write(value("new")))

        assert await on_writer(store, "SELECT group_concat(id) FROM series") == "10"


async def test_ids_begin_at_one_when_there_never_was_a_series(tmp_path):
    make_old_file(tmp_path / "values.db", "values", "0001")

    async with opened(tmp_path / "values.db") as store:
        await store.append(write(value("new")))

        assert await on_writer(store, "SELECT group_concat(id) FROM series") == "1"


def test_the_table_of_values_is_left_alone(path):
    root = "SELECT rootpage, sql FROM sqlite_master WHERE name = 'value'"
    with connect(path) as connection:
        before = connection.execute(root).fetchone()

    prepare_file(path, "values")

    with connect(path) as connection:
        assert connection.execute(root).fetchone() == before
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_key_has_one_series_in_an_epoch(path):
    prepare_file(path, "values")

    with connect(path) as connection:
        insert = "INSERT INTO series (thing_id, key, epoch) VALUES (?, 't', ?)"
        connection.execute(insert, (THING, 1))
        with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
            connection.execute(insert, (THING, 0))


def test_an_upgraded_file_has_the_tables_of_a_new_one(path, tmp_path):
    prepare_file(path, "values")
    prepare_file(tmp_path / "new.db", "values")
    described = []

    for one in (path, tmp_path / "new.db"):
        with connect(one) as connection:
            tables = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
            described.append(connection.execute(tables).fetchall())

    assert described[0] == described[1]


async def test_of_what_was_written_before_the_upgrade_nothing_is_told_and_that_is_known(path):
    source = Source(THING, (0,))
    async with opened(path) as store:
        before = await store.replay.missed([source], key=None, after=3)
        await store.append(write(value("t", "new", 3_000)))
        since = await store.replay.missed([source], key=None, after=4)

        assert await store.replay.head() == 5
    assert (before.events, before.has_gap) == ([], True)
    assert [event.entries[0].value for event in since.events] == ["new"]
    assert not since.has_gap
