"""The settings on which durability rests are asserted, and no statement walks a whole table."""

import sqlite3
from contextlib import closing

import pytest

from contract.value_stores import THING, timed, value, write
from doubles.value_rig import on_writer, opened, overheard
from thingstead.features.values.model import DocumentChange, Mark, Source, Window, Write
from thingstead.kernel.errors import StoreUnavailableError
from thingstead.storage.sqlite import value_documents, value_files, value_reader, value_writer
from thingstead.storage.sqlite.value_files import connect

SOURCE = Source(THING, (0, 1))
CONSTANTS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": statement
    for module in (value_documents, value_reader, value_writer)
    for name, statement in vars(module).items()
    if isinstance(statement, str) and statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))
}


@pytest.fixture
async def store(tmp_path):
    async with opened(tmp_path / "values.db") as store:
        yield store


def plan_of(connection, statement):
    parameters = [None] * statement.count("?")
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]


def walks(steps):
    # Several rows in one INSERT are a "scan of constant rows", which walks no table.
    walking = [step for step in steps if "SCAN" in step or "TEMP B-TREE" in step]
    return [step for step in walking if "CONSTANT ROW" not in step]


@pytest.mark.parametrize("name", CONSTANTS)
def test_no_statement_of_reader_and_writer_walks_or_sorts_a_table(store, tmp_path, name):
    with closing(sqlite3.connect(tmp_path / "values.db")) as connection:
        assert walks(plan_of(connection, CONSTANTS[name])) == []


def test_the_reader_s_statements_are_among_those_whose_plans_are_read():
    assert {
        "value_reader.NEWEST",
        "value_reader.SERIES",
        "value_reader.KEYS",
        "value_reader.NEWEST_TO_MERGE",
        "value_reader.PAGE",
        "value_documents.DOCUMENT",
        "value_writer._INSERT",
    } <= set(CONSTANTS)


async def test_no_statement_of_writing_and_sweeping_walks_or_sorts_a_table(store, tmp_path):
    with overheard(store._writer._connection) as statements:
        await store.append(write(value("a"), timed("b", 2.5)))
        change = DocumentChange("$settings", ("a",), 1, 100)
        await store.append(Write(THING, (), (change, change)))
        await store.delete_before(10_000, 0)
        await store.archive.delete_values(SOURCE, "a", from_ms=1, until_ms=9_000)
        await store.purge_epoch(THING, 0)
        await store.purge(THING)

    done = [one for one in statements if one.startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))]
    assert {one.split()[0] for one in done} == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    with closing(sqlite3.connect(tmp_path / "values.db")) as connection:
        for statement in done:
            steps = plan_of(connection, statement.replace("?", "NULL"))
            assert walks(steps) == [], statement


async def test_no_statement_of_reading_walks_or_sorts_a_table(store, tmp_path):
    await store.append(write(value("a")))

    with overheard(store._reader._connection) as statements:
        await store.newest(THING, (0,), "a", Window(100, 0, 10_000))
        await store.keys(THING, (0,))
        await store.document(THING, (0,), "$settings")

    assert len(statements) == 4
    read_plans(statements, tmp_path)


async def test_no_statement_over_many_things_or_epochs_walks_or_sorts_a_table(store, tmp_path):
    await store.append(write(value("a")))
    await store.append(Write(THING, (value("a"),), epochs=(0, 1)))
    archive = store.archive

    with overheard(store._reader._connection) as statements:
        await store.newest(THING, (0, 1), "a", Window(100))
        await store.keys(THING, (0, 1))
        await store.document(THING, (0, 1), "$settings")
        await archive.newest_of([SOURCE], "a", Window(100, 0))
        await archive.keys_of([SOURCE])
        await archive.documents_of([SOURCE], "$geo")
        await archive.page(SOURCE, "a", after=Mark(1, 1), limit=10)

    # Two series are found, once; then each of the seven asks both epochs.
    assert len(statements) == 2 + 7 * 2
    read_plans(statements, tmp_path)


def read_plans(statements, tmp_path):
    with closing(sqlite3.connect(tmp_path / "values.db")) as connection:
        for statement in statements:
            assert walks(plan_of(connection, statement)) == [], statement


@pytest.mark.parametrize("side", ["_writer", "_reader"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [("journal_mode", "wal"), ("synchronous", 2), ("auto_vacuum", 2), ("fullfsync", 1)],
)
async def test_both_connections_have_the_settings_of_durable_commits(store, side, name, expected):
    (actual,) = getattr(store, side)._connection.execute(f"PRAGMA {name}").fetchone()

    assert actual == expected


async def test_the_reader_cannot_write(store):
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store._reader._connection.execute("DELETE FROM value")


async def test_the_writer_can_write(store):
    assert await on_writer(store, "PRAGMA query_only") == 0


def test_a_file_that_cannot_have_a_journal_is_refused():
    with pytest.raises(StoreUnavailableError, match="PRAGMA journal_mode is 'memory' and not"):
        connect(":memory:", is_writer=True)


def test_a_setting_that_was_not_accepted_closes_the_connection(monkeypatch):
    opened_connections = []
    connect_to = sqlite3.connect

    def noted(*arguments, **options):
        opened_connections.append(connect_to(*arguments, **options))
        return opened_connections[-1]

    monkeypatch.setattr(value_files.sqlite3, "connect", noted)

    with pytest.raises(StoreUnavailableError):
        connect(":memory:", is_writer=False)

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened_connections[0].execute("SELECT 1")
