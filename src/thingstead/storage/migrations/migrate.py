"""Bringing a schema up to date, and knowing cheaply when it is.

Alembic runs the migrations, without its ini file and without touching the logging set-up. It
takes a tenth of a second to import, so `is_current` decides without it: the revisions are
listed here, and a test holds the list to the script directories. Who makes the file, and who
keeps two processes from migrating at once, is the caller's business (`sqlite/opening.py`).
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from sqlalchemy import URL, Connection, NullPool, create_engine, event, inspect, text

from thingstead.kernel.errors import Category, ThingsteadError

Schema = Literal["core", "values"]

REVISIONS: Mapping[Schema, tuple[str, ...]] = MappingProxyType(
    {
        "core": ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008"),
        "values": ("0001", "0002", "0003"),
    }
)


class SchemaTooNewError(ThingsteadError):
    """The database has a schema that this version does not know; the start is refused."""

    category = Category.UNAVAILABLE
    code = "schema-too-new"
    message = "The database was written by a newer version"
    advice = "Install that version again, or restore a backup made before it."


def version_table(schema: Schema) -> str:
    """Return the table that holds the schema's revision; each has its own in one database."""
    return f"alembic_version_{schema}"


def is_current(connection: sqlite3.Connection, schema: Schema) -> bool:
    """Return whether the schema in an SQLite file is the newest; imports no Alembic.

    Raises:
        SchemaTooNewError: a newer version wrote it.
    """
    return is_newest(sqlite_revision(connection, schema), schema)


def is_newest(revision: str | None, schema: Schema) -> bool:
    """Return whether the revision, None for an empty database, is the newest one known.

    Raises:
        SchemaTooNewError: the revision is not known.
    """
    if revision is not None and revision not in REVISIONS[schema]:
        raise SchemaTooNewError(f"schema {schema} has revision {revision[:40]!r}")
    return revision == REVISIONS[schema][-1]


def sqlite_revision(connection: sqlite3.Connection, schema: Schema) -> str | None:
    """Return the revision that the file has, None when it was never migrated."""
    table = version_table(schema)
    has_table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    if connection.execute(has_table, (table,)).fetchone() is None:
        return None
    # The table's name is one of two constants, and names cannot be bound.
    row = connection.execute(f"SELECT version_num FROM {table}").fetchone()  # noqa: S608
    return None if row is None else str(row[0])


def upgrade(target: Connection | URL | str, schema: Schema) -> None:
    """Run the migrations that are missing, all or none; none missing changes nothing.

    On a connection the caller begins and commits; for a URL both happen here. On SQLite, BEGIN
    must be the caller's as well (the driver's isolation level None), or it is not all or none.

    Raises:
        SchemaTooNewError: a newer version wrote the schema.
    """
    if isinstance(target, Connection):
        _run(target, schema)
        return
    engine = create_engine(target, poolclass=NullPool, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _take_over_transactions)
        event.listen(engine, "begin", _begin_immediate)
    with engine.begin() as connection:
        _run(connection, schema)


def _take_over_transactions(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _run(connection: Connection, schema: Schema) -> None:
    if is_newest(_revision(connection, schema), schema):
        return
    # Imported here because an ordinary start migrates nothing and should not wait for it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    scripts = str(Path(__file__).parent / schema)
    # Alembic expands percent signs in its settings, and a folder's name may have some.
    config.set_main_option("script_location", scripts.replace("%", "%%"))
    command.upgrade(config, "head")


def _revision(connection: Connection, schema: Schema) -> str | None:
    table = version_table(schema)
    if not inspect(connection).has_table(table):
        return None
    # The table's name is one of two constants, and names cannot be bound.
    row = connection.execute(text(f"SELECT version_num FROM {table}")).first()  # noqa: S608
    return None if row is None else str(row[0])
