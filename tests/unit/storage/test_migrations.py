"""Migrations: they run once, all or none, and their outcome is what the code expects."""

import ast
import multiprocessing
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine

import thingstead.storage.migrations
import thingstead.storage.sql.device_tables
import thingstead.storage.sql.firmware_tables
import thingstead.storage.sql.kept_session_tables
import thingstead.storage.sql.object_tables
import thingstead.storage.sql.sharing_tables
import thingstead.storage.sql.user_tables
from doubles.old_files import make_old_file
from thingstead.kernel.errors import StoreUnavailableError
from thingstead.storage.migrations.lock import migration_lock
from thingstead.storage.migrations.migrate import (
    REVISIONS,
    SchemaTooNewError,
    is_current,
    sqlite_revision,
    upgrade,
)
from thingstead.storage.sql.tables import METADATA
from thingstead.storage.sqlite.opening import prepare_file

SCRIPTS = Path(thingstead.storage.migrations.__file__).parent
SCHEMAS = ("core", "values")


def url(path):
    return f"sqlite:///{path}"


def connect(path):
    return closing(sqlite3.connect(path, isolation_level=None))


def set_revision(path, schema, revision):
    with connect(path) as connection:
        connection.execute(f"UPDATE alembic_version_{schema} SET version_num = ?", (revision,))


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_listed_revisions_are_those_of_the_script_directory(schema):
    scripts = ScriptDirectory(str(SCRIPTS / schema))

    oldest_first = [script.revision for script in scripts.walk_revisions()][::-1]

    assert tuple(oldest_first) == REVISIONS[schema]
    assert scripts.get_heads() == [REVISIONS[schema][-1]]


def test_the_migrated_schema_is_the_one_that_the_statements_use(tmp_path):
    upgrade(url(tmp_path / "core.db"), "core")

    engine = create_engine(url(tmp_path / "core.db"), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": "alembic_version_core", "compare_type": True}
        )
        differences = compare_metadata(context, METADATA)
    assert differences == []


def definitions(path):
    """What the file says of tables and indexes, white space and the order of columns aside."""
    with connect(path) as connection:
        found = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'"
        ).fetchall()
    return {name: sorted(re.split(r"[\s,()]+", sql)) for name, sql in found}


def test_indexes_and_keys_are_those_that_the_tables_describe(tmp_path):
    # Beyond what Alembic compares: conditions of partial indexes, ids that never come back.
    upgrade(url(tmp_path / "migrated.db"), "core")
    engine = create_engine(url(tmp_path / "described.db"), poolclass=NullPool)
    METADATA.create_all(engine)

    assert definitions(tmp_path / "migrated.db") == definitions(tmp_path / "described.db")


def columns(connection, table):
    return [(row[1], row[2], row[5]) for row in connection.execute(f"PRAGMA table_info({table})")]


def test_the_values_schema_is_the_one_agreed_on(tmp_path):
    upgrade(url(tmp_path / "values.db"), "values")

    with connect(tmp_path / "values.db") as connection:
        assert columns(connection, "value") == [
            ("series_id", "INTEGER", 1),
            ("at_ms", "INTEGER", 2),
            ("sequence", "INTEGER", 3),
            ("value", "", 0),
            ("lat", "REAL", 0),
            ("long", "REAL", 0),
        ]
        assert columns(connection, "series") == [
            ("id", "INTEGER", 1),
            ("thing_id", "TEXT", 0),
            ("key", "TEXT", 0),
            ("epoch", "INTEGER", 0),
        ]
        assert columns(connection, "document") == [
            ("thing_id", "TEXT", 1),
            ("name", "TEXT", 2),
            ("epoch", "INTEGER", 3),
            ("value", "TEXT", 0),
        ]
        assert columns(connection, "arrival") == [
            ("last_sequence", "INTEGER", 1),
            ("places", "BLOB", 0),
            ("echoes", "TEXT", 0),
        ]
        assert columns(connection, "delivery") == [
            ("session_id", "TEXT", 1),
            ("qos", "INTEGER", 2),
            ("packet_id", "INTEGER", 3),
            ("digest", "BLOB", 0),
            ("sequence", "INTEGER", 0),
        ]
        counters = connection.execute("SELECT * FROM counter").fetchall()
        assert counters == [("arrivals_after", 0), ("sequence", 0)]


@pytest.mark.parametrize(
    ("value", "kind"), [(7, "integer"), (7.5, "real"), ("7", "text"), (None, "null")], ids=repr
)
def test_a_value_keeps_its_type(tmp_path, value, kind):
    upgrade(url(tmp_path / "values.db"), "values")

    with connect(tmp_path / "values.db") as connection:
        connection.execute("INSERT INTO value VALUES (1, 1, 1, ?, NULL, NULL)", (value,))
        assert connection.execute("SELECT typeof(value) FROM value").fetchone() == (kind,)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_migrated_schema_is_current(tmp_path, schema):
    upgrade(url(tmp_path / "a.db"), schema)

    with connect(tmp_path / "a.db") as connection:
        assert is_current(connection, schema)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_an_empty_file_is_not_current(tmp_path, schema):
    with connect(tmp_path / "a.db") as connection:
        assert not is_current(connection, schema)


def test_an_empty_version_table_is_not_current(tmp_path):
    with connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE alembic_version_core (version_num TEXT)")

        assert not is_current(connection, "core")


def test_migrating_twice_is_the_same_as_once(tmp_path):
    upgrade(url(tmp_path / "a.db"), "core")
    upgrade(url(tmp_path / "a.db"), "core")

    with connect(tmp_path / "a.db") as connection:
        revisions = connection.execute("SELECT version_num FROM alembic_version_core").fetchall()
    assert revisions == [(REVISIONS["core"][-1],)]


def test_things_of_an_earlier_version_are_in_their_first_epoch(tmp_path):
    make_old_file(tmp_path / "core.db", "core", "0002")
    with connect(tmp_path / "core.db") as connection:
        connection.execute("INSERT INTO product VALUES (10001, 'Station', 'hash', 1)")
        connection.execute("INSERT INTO thing VALUES ('one', 10001, 2)")

    prepare_file(tmp_path / "core.db", "core")

    with connect(tmp_path / "core.db") as connection:
        products = connection.execute("SELECT * FROM product").fetchall()
        things = connection.execute("SELECT * FROM thing").fetchall()
    assert products == [(10001, "Station", "hash", 1, None, 0, None, None, None, 0)]
    assert things == [("one", 10001, 2, 0)]


def test_both_schemas_live_in_one_database(tmp_path):
    for schema in SCHEMAS:
        upgrade(url(tmp_path / "both.db"), schema)

    with connect(tmp_path / "both.db") as connection:
        for schema in SCHEMAS:
            assert sqlite_revision(connection, schema) == REVISIONS[schema][-1]


def test_a_connection_is_migrated_in_its_callers_transaction(tmp_path):
    engine = create_engine(url(tmp_path / "a.db"), poolclass=NullPool)
    with engine.connect() as connection:
        connection.connection.isolation_level = None
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        upgrade(connection, "core")
        connection.rollback()

    with connect(tmp_path / "a.db") as after:
        assert after.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path):
    with connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE thing_tag (in_the_way)")

    with pytest.raises(Exception, match="thing_tag already exists"):
        upgrade(url(tmp_path / "a.db"), "core")

    with connect(tmp_path / "a.db") as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("thing_tag",)]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_schema_of_a_newer_version_is_refused(tmp_path, schema):
    path = tmp_path / "a.db"
    prepare_file(path, schema)
    set_revision(path, schema, "9999")

    with pytest.raises(SchemaTooNewError, match="9999"):
        prepare_file(path, schema)
    with pytest.raises(SchemaTooNewError, match="9999"):
        upgrade(url(path), schema)


def test_migrating_leaves_the_logging_set_up_alone(tmp_path):
    program = (
        "import logging, sys\n"
        "from thingstead.storage.migrations.migrate import upgrade\n"
        "before = logging.getLogger('thingstead.here')\n"
        "upgrade(sys.argv[1], 'core')\n"
        "root = logging.getLogger()\n"
        "sys.exit(bool(root.handlers) or before.disabled or root.level != logging.WARNING)\n"
    )

    finished = subprocess.run(
        [sys.executable, "-c", program, url(tmp_path / "a.db")], capture_output=True, check=False
    )

    assert (finished.returncode, finished.stdout, finished.stderr) == (0, b"", b"")


def test_an_ordinary_start_does_not_import_alembic(tmp_path):
    prepare_file(tmp_path / "core.db", "core")
    program = (
        "import asyncio, pathlib, sys\n"
        "from thingstead.storage.sqlite.core import open_core\n"
        "async def start():\n"
        "    await (await open_core(pathlib.Path(sys.argv[1]))).close()\n"
        "asyncio.run(start())\n"
        "sys.exit('alembic' in sys.modules)\n"
    )

    finished = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "core.db")], check=False
    )

    assert finished.returncode == 0


def test_a_folder_name_with_a_percent_sign_is_no_obstacle(tmp_path, monkeypatch):
    linked = tmp_path / "100%s"
    linked.symlink_to(SCRIPTS)
    monkeypatch.setattr(
        "thingstead.storage.migrations.migrate.__file__", str(linked / "migrate.py")
    )

    upgrade(url(tmp_path / "a.db"), "core")

    with connect(tmp_path / "a.db") as connection:
        assert is_current(connection, "core")


def test_migrations_import_nothing_of_the_program():
    for script in SCRIPTS.glob("*/versions/*.py"):
        imported = [
            name
            for node in ast.walk(ast.parse(script.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (getattr(node, "module", None), *(alias.name for alias in node.names))
        ]

        assert not [name for name in imported if name and name.startswith("thingstead")], script


def prepare_in_process(path, schema, start):
    start.wait(30)
    prepare_file(Path(path), schema)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_processes_that_start_at_once_migrate_once(tmp_path, schema):
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    processes = [
        context.Process(target=prepare_in_process, args=(str(tmp_path / "a.db"), schema, start))
        for _ in range(4)
    ]
    for process in processes:
        process.start()

    start.set()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    with connect(tmp_path / "a.db") as connection:
        assert is_current(connection, schema)


def test_the_lock_is_waited_for_only_so_long(tmp_path):
    with (
        migration_lock(tmp_path),
        pytest.raises(StoreUnavailableError, match="still migrating"),
        migration_lock(tmp_path, timeout_s=0),
    ):
        pass


def test_the_lock_is_free_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), migration_lock(tmp_path):
        _ = 1 / 0

    with migration_lock(tmp_path, timeout_s=0):
        pass


def test_grants_of_an_earlier_version_are_kept_and_found_by_their_place(tmp_path):
    path = tmp_path / "core.db"
    make_old_file(path, "core", "0003")
    entry = ("grant", "thing", "door", 1)
    with connect(path) as connection:
        connection.execute("INSERT INTO grant_entry VALUES (?, ?, ?, ?)", entry)

    prepare_file(path, "core")

    with connect(path) as connection:
        assert connection.execute("SELECT * FROM grant_entry").fetchall() == [entry]
        found = "SELECT * FROM grant_entry WHERE thing_id = 'thing' AND resource = 'door'"
        ((*_, step),) = connection.execute(f"EXPLAIN QUERY PLAN {found}")
        assert "ix_grant_entry_by_place (thing_id=? AND resource=?)" in step
        indexes = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")
        assert ("ix_grant_entry_by_thing",) not in indexes.fetchall()
        assert connection.execute("SELECT count(*) FROM purge_user").fetchone() == (0,)


def test_products_of_an_earlier_version_make_no_things_by_themselves(tmp_path):
    path = tmp_path / "core.db"
    make_old_file(path, "core", "0004")
    with connect(path) as connection:
        connection.execute("INSERT INTO product VALUES (10001, 'Station', 'hash', 1, NULL)")

    prepare_file(path, "core")

    with connect(path) as connection:
        columns = "is_automatic, format, decoder, sealed_udp_key"
        assert connection.execute(f"SELECT {columns} FROM product").fetchall() == [
            (0, None, None, None)
        ]
        assert connection.execute("SELECT count(*) FROM device").fetchone() == (0,)


def test_products_of_an_earlier_version_demand_no_signatures(tmp_path):
    path = tmp_path / "core.db"
    make_old_file(path, "core", "0007")
    with connect(path) as connection:
        connection.execute(
            "INSERT INTO product (id, name, hash, created_at_ms) VALUES (10001, 'S', 'hash', 1)"
        )

    prepare_file(path, "core")

    with connect(path) as connection:
        assert connection.execute("SELECT needs_signature FROM product").fetchall() == [(0,)]
        assert connection.execute("SELECT count(*) FROM firmware").fetchone() == (0,)
