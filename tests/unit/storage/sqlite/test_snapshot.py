"""A file is copied whole before it is upgraded, so that there is a way back."""

import errno
import logging
import os
import shutil
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest

from doubles.old_files import make_old_file
from thingstead.kernel.errors import StorageFullError, StoreUnavailableError
from thingstead.storage.migrations.migrate import REVISIONS, SchemaTooNewError, sqlite_revision
from thingstead.storage.sqlite import opening, snapshot
from thingstead.storage.sqlite.opening import prepare_file

NEWEST = REVISIONS["values"][-1]


def connect(path):
    return closing(sqlite3.connect(path, isolation_level=None))


def add_document(connection, name):
    connection.execute("INSERT INTO document VALUES ('thing', ?, '{}')", (name,))


def names_in(path):
    with connect(path) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM document")]


def revision_of(path):
    with connect(path) as connection:
        return sqlite_revision(connection, "values")


@pytest.fixture
def old(tmp_path):
    """A file of the first revision with one document."""
    path = tmp_path / "values.db"
    make_old_file(path, "values", "0001")
    with connect(path) as connection:
        add_document(connection, "first")
    return path


@pytest.fixture
def copy(tmp_path):
    """Where the copy goes."""
    return tmp_path / f"values.db.before-{NEWEST}"


def has_room(monkeypatch, free):
    usage = SimpleNamespace(disk_usage=lambda _folder: SimpleNamespace(free=free))
    monkeypatch.setattr(snapshot, "shutil", usage)


def test_the_file_is_copied_as_it_was_and_then_upgraded(old, copy):
    prepare_file(old, "values")

    assert revision_of(old) == NEWEST
    assert revision_of(copy) == "0001"
    assert names_in(copy) == ["first"]


def test_the_copy_is_sound_and_has_the_settings_of_the_file(old, copy):
    prepare_file(old, "values")

    with connect(copy) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert connection.execute("PRAGMA page_size").fetchone() == (2_048,)


def test_the_copy_put_back_is_upgraded_like_the_file_it_was_made_of(old, copy):
    prepare_file(old, "values")
    shutil.copyfile(copy, old)

    prepare_file(old, "values")

    assert revision_of(old) == NEWEST
    assert names_in(old) == ["first"]


def test_what_lies_in_the_log_only_is_in_the_copy(old, copy):
    with connect(old) as other:
        # While another connection is open, the last one to close does not copy the log.
        add_document(other, "in the log")
        assert old.with_name("values.db-wal").stat().st_size > 0

        prepare_file(old, "values")

        assert names_in(copy) == ["first", "in the log"]


def test_only_the_owner_may_read_the_copy(old, copy):
    before = os.umask(0)
    try:
        prepare_file(old, "values")
    finally:
        os.umask(before)

    assert copy.stat().st_mode & 0o777 == 0o600


def test_a_new_file_is_not_copied(tmp_path):
    prepare_file(tmp_path / "values.db", "values")

    assert list(tmp_path.glob("*before*")) == []


def test_a_file_that_is_up_to_date_is_not_copied(old, copy):
    prepare_file(old, "values")
    copy.unlink()

    prepare_file(old, "values")

    assert not copy.exists()


def test_a_file_of_a_newer_version_is_not_copied(old, tmp_path):
    with connect(old) as connection:
        connection.execute("UPDATE alembic_version_values SET version_num = '9999'")

    with pytest.raises(SchemaTooNewError):
        prepare_file(old, "values")

    assert list(tmp_path.glob("*before*")) == []


def test_the_copy_is_told_of_in_one_line(old, copy, caplog):
    with caplog.at_level(logging.INFO, logger="thingstead"):
        prepare_file(old, "values")

    told = [record for record in caplog.records if copy.name in record.getMessage()]
    assert [record.levelno for record in told] == [logging.INFO]


def test_nothing_but_file_and_copy_is_left(old, copy, tmp_path):
    prepare_file(old, "values")

    left = {path.name for path in tmp_path.iterdir()} - {".migrate.lock"}
    assert left == {old.name, copy.name}


def test_an_upgrade_that_failed_leaves_the_copy_and_the_next_one_replaces_it(
    old, copy, monkeypatch
):
    def fails(*_):
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(opening, "upgrade", fails)
        with pytest.raises(ZeroDivisionError):
            prepare_file(old, "values")
    assert names_in(copy) == ["first"]
    with connect(old) as connection:
        add_document(connection, "second")

    prepare_file(old, "values")

    assert names_in(copy) == ["first", "second"]


def test_what_a_crash_left_of_a_copy_is_no_obstacle(old, copy):
    part = copy.with_name(f"{copy.name}.part")
    part.write_bytes(b"half a copy")

    prepare_file(old, "values")

    assert names_in(copy) == ["first"]
    assert not part.exists()


@pytest.mark.parametrize("missing", [0, 1])
def test_the_copy_is_made_where_there_is_room_for_it_to_the_byte(old, copy, monkeypatch, missing):
    with connect(old) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    has_room(monkeypatch, pages * 2_048 - missing)

    if missing:
        with pytest.raises(StorageFullError, match="are free"):
            prepare_file(old, "values")
    else:
        prepare_file(old, "values")

    assert copy.exists() is not bool(missing)
    assert revision_of(old) == ("0001" if missing else NEWEST)


def test_a_copy_that_is_there_outlasts_one_that_has_no_room(old, copy, monkeypatch):
    copy.write_bytes(b"the last one")
    has_room(monkeypatch, 0)

    with pytest.raises(StorageFullError):
        prepare_file(old, "values")

    assert copy.read_bytes() == b"the last one"


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, StorageFullError),
        (errno.EDQUOT, StorageFullError),
        (errno.EIO, StoreUnavailableError),
    ],
)
def test_a_disk_that_refuses_the_copy_keeps_the_file_from_being_upgraded(
    old, copy, monkeypatch, tmp_path, number, expected
):
    def refuses(_descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(snapshot, "os", SimpleNamespace(**{**vars(os), "fsync": refuses}))

    with pytest.raises(expected):
        prepare_file(old, "values")

    assert revision_of(old) == "0001"
    assert list(tmp_path.glob("*before*")) == []
