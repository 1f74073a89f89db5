"""What is SQLite's own about `core.db`: settings, files, errors, other processes."""

import asyncio
import os
import sqlite3
import stat
import sys
from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from thingstead.features.products.model import SealedCode
from thingstead.features.things.model import SealedToken
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.errors import OverloadedError, StorageFullError, StoreUnavailableError
from thingstead.kernel.ids import ThingId, digest
from thingstead.storage.sql.changes import announce
from thingstead.storage.sqlite import core as core_module
from thingstead.storage.sqlite.changes import MOST_AT_ONCE, SQLiteChangeSignal
from thingstead.storage.sqlite.core import SQLiteDatabase, open_core
from thingstead.storage.sqlite.failures import DatabaseUnusableError, translated_errors
from thingstead.storage.sqlite.opening import prepare_file

INSERT = "INSERT INTO product (id, name, hash, created_at_ms)"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "core.db"


@pytest.fixture
async def core(path):
    core = await open_core(path)
    yield core
    await core.close()


@pytest.fixture
async def database(path):
    prepare_file(path, "core")
    database = SQLiteDatabase(path)
    yield database
    await database.close()


async def pragma(connection, name):
    return (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("busy_timeout", 5_000),
        ("auto_vacuum", 2),
        ("journal_size_limit", 16 * 1024 * 1024),
    ],
)
async def test_the_writer_has_the_settings_that_durability_rests_on(database, name, value):
    async with database.writing() as connection:
        assert await pragma(connection, name) == value


async def test_a_reader_cannot_write(database):
    with pytest.raises(StoreUnavailableError, match="readonly"):
        async with database.reading() as connection:
            await connection.execute(text("DELETE FROM product"))


async def test_a_setting_that_is_not_accepted_refuses_the_start(path, monkeypatch):
    monkeypatch.setattr(core_module, "_SETTINGS", (("synchronous", "FULL", 3),))

    with pytest.raises(StoreUnavailableError, match="synchronous"):
        await open_core(path)


async def test_only_the_owner_may_read_the_files(core, path):
    await core.products.add_product("Station", "hash", at_ms=1)

    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    assert modes == dict.fromkeys(["core.db", "core.db-wal", "core.db-shm", ".migrate.lock"], 0o600)


async def test_closing_leaves_one_file_that_holds_everything(path):
    core = await open_core(path)
    product = await core.products.add_product("Station", "hash", at_ms=1)
    await core.close()

    assert not path.with_name("core.db-wal").exists()
    again = await open_core(path)
    assert await again.products.product(product.id) == product
    await again.close()


async def test_the_id_of_a_deleted_product_does_not_come_back(core, database):
    first = await core.products.add_product("Station", "hash", at_ms=1)
    async with database.writing() as connection:
        await connection.execute(text("DELETE FROM product"))

    second = await core.products.add_product("Station", "other hash", at_ms=1)

    assert second.id > first.id


async def test_a_used_code_can_no_longer_be_shown(core, path):
    product = await core.products.add_product("Station", "hash", at_ms=1)
    await core.products.add_codes(product.id, [SealedCode(digest("C"), b"sealed")], at_ms=1)

    await core.things.activate(
        digest("C"),
        None,
        thing_id=ThingId("one"),
        token=SealedToken(digest("t"), b"sealed"),
        at_ms=9,
    )

    with closing(sqlite3.connect(path)) as connection:
        kept = connection.execute("SELECT sealed, used_at_ms, thing_id FROM activation_code")
        assert kept.fetchall() == [(None, 9, "one")]


async def test_expired_tokens_are_forgotten_when_the_next_one_comes(core, path):
    product = await core.products.add_product("Station", "hash", at_ms=1)
    await core.things.add_thing(
        product.id, thing_id=ThingId("one"), token=SealedToken(digest("0"), b"s"), at_ms=1
    )

    for number in range(1, 5):
        await core.things.replace_token(
            ThingId("one"),
            SealedToken(digest(str(number)), b"s"),
            at_ms=number * 100,
            old_expires_at_ms=number * 100 + 50,
        )

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM thing_token").fetchone() == (2,)


async def test_a_broken_constraint_is_a_mistake_and_not_translated(database):
    with pytest.raises(IntegrityError):
        async with database.writing() as connection:
            await connection.execute(text("INSERT INTO thing VALUES ('one', 1, 1, 0)"))


async def test_an_error_in_the_block_undoes_the_transaction(core, database):
    async def insert_and_fail():
        async with database.writing() as connection:
            await connection.execute(text(f"{INSERT} VALUES (10009, 'n', 'h', 1)"))
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        await insert_and_fail()

    assert await core.products.products(after=None, limit=1) == []


async def test_a_cancelled_write_is_undone_and_the_next_one_succeeds(core, database):
    has_written = asyncio.Event()

    async def write_and_wait():
        async with database.writing() as connection:
            await connection.execute(text(f"{INSERT} VALUES (10009, 'n', 'h', 1)"))
            has_written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write_and_wait())
    await has_written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    product = await core.products.add_product("Station", "hash", at_ms=1)
    assert await core.products.products(after=None, limit=2) == [product]


async def test_calls_that_are_cancelled_anywhere_leave_a_working_store(core):
    product = await core.products.add_product("Station", "hash", at_ms=1)

    async def write(number):
        await core.things.add_thing(
            product.id,
            thing_id=ThingId(str(number)),
            token=SealedToken(digest(str(number)), b"s"),
            at_ms=1,
        )
        await core.things.thing(ThingId(str(number)))

    for turns in range(60):
        task = asyncio.create_task(write(turns))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await write("last")
    listed = await core.things.things(None, after=None, limit=100)
    assert "last" in [thing.id for thing, _ in listed]


async def test_a_lock_that_another_process_keeps_is_translated(core, path, monkeypatch):
    monkeypatch.setattr(core_module, "_SETTINGS", (("busy_timeout", "1", 1),))
    database = SQLiteDatabase(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreUnavailableError) as caught:
            async with database.writing():
                pass

        other.execute("ROLLBACK")
    await database.close()
    assert caught.value.retry_after_s == 2
    assert caught.value.__cause__ is not None


async def test_readers_do_not_wait_for_a_writer(core, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        assert await core.products.products(after=None, limit=1) == []

        other.execute("ROLLBACK")


async def test_a_full_disk_is_translated_and_reads_go_on(core, path, database):
    async with database.writing() as connection:
        pages = await pragma(connection, "page_count")
        await connection.execute(text(f"PRAGMA max_page_count={pages}"))

    with pytest.raises(StorageFullError):
        async with database.writing() as connection:
            await connection.execute(
                text(f"{INSERT} VALUES (10009, hex(zeroblob(1000000)), 'h', 1)")
            )

    assert await core.products.products(after=None, limit=1) == []


async def test_waiting_too_long_for_the_writer_is_refused(path, monkeypatch):
    prepare_file(path, "core")
    monkeypatch.setattr(core_module, "_WAIT_FOR_CONNECTION_S", 0.01)
    database = SQLiteDatabase(path)

    async with database.writing():
        with pytest.raises(OverloadedError, match="waiting"):
            async with database.writing():
                pass

    await database.close()


def sqlite_error(code):
    error = sqlite3.OperationalError("reason")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_FULL, StorageFullError),
        (sqlite3.SQLITE_BUSY, StoreUnavailableError),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreUnavailableError),
        (sqlite3.SQLITE_IOERR_FSYNC, StoreUnavailableError),
        (sqlite3.SQLITE_CANTOPEN, StoreUnavailableError),
        (sqlite3.SQLITE_CORRUPT_INDEX, DatabaseUnusableError),
        (sqlite3.SQLITE_NOTADB, DatabaseUnusableError),
        (sqlite3.SQLITE_ERROR, sqlite3.OperationalError),
    ],
)
def test_result_codes_have_their_meaning(code, expected):
    with pytest.raises(expected) as raised, translated_errors():
        raise sqlite_error(code)

    assert type(raised.value) is expected


async def test_a_file_that_is_no_database_is_refused(path):
    path.write_bytes(b"a letter to my aunt\n" * 500)

    with pytest.raises(DatabaseUnusableError):
        await open_core(path)


async def test_a_file_of_another_program_is_refused_and_left_alone(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE song (title)")
    before = path.read_bytes()

    with pytest.raises(DatabaseUnusableError, match="another program"):
        await open_core(path)

    assert path.read_bytes() == before


async def test_a_file_with_a_damaged_first_page_is_refused(path):
    await (await open_core(path)).close()
    with path.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(3_000))

    with pytest.raises(DatabaseUnusableError):
        await open_core(path)


async def test_damage_further_in_is_translated_when_it_is_read(path):
    core = await open_core(path)
    await core.products.add_product("Station", "hash", at_ms=1)
    await core.close()
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xa5" * (path.stat().st_size - 4_096))

    async def read():
        core = await open_core(path)
        try:
            await core.products.products(after=None, limit=1)
        finally:
            await core.close()

    with pytest.raises(DatabaseUnusableError):
        await read()


async def test_a_file_without_page_recovery_is_refused(path):
    prepare_file(path, "core")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").fetchall()
        connection.execute("PRAGMA auto_vacuum=NONE").fetchall()
        connection.execute("VACUUM")

    with pytest.raises(DatabaseUnusableError, match="auto_vacuum"):
        await open_core(path)


async def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(StoreUnavailableError, match="No such file"):
        await open_core(tmp_path / "nowhere" / "core.db")


async def test_a_folder_in_place_of_the_file_is_refused(path):
    path.mkdir()

    with pytest.raises(StoreUnavailableError):
        await open_core(path)


async def test_an_announcement_of_another_process_is_noticed(core, path):
    program = (
        "import asyncio, pathlib, sys\n"
        "from thingstead.features.things.model import SealedToken\n"
        "from thingstead.storage.sqlite.core import open_core\n"
        "async def announce():\n"
        "    core = await open_core(pathlib.Path(sys.argv[1]))\n"
        "    product = await core.products.add_product('p', 'h', at_ms=1)\n"
        "    token = SealedToken(b'd', b's')\n"
        "    await core.things.add_thing(product.id, thing_id='t', token=token, at_ms=1)\n"
        "    await core.things.delete_thing('t', at_ms=2)\n"
        "    await core.close()\n"
        "asyncio.run(announce())\n"
    )
    assert core.change_signal.changes() == ()

    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(path))
    assert await process.wait() == 0

    assert core.change_signal.changes() == [Change(Kind.THING, "t")]
    assert core.change_signal.changes() == ()


async def announce_many(database, number):
    async with database.writing() as connection:
        await announce(connection, *(Change(Kind.USER, str(one)) for one in range(number)))


async def test_as_many_announcements_as_are_read_at_once_are_told(core, database):
    await announce_many(database, MOST_AT_ONCE)

    told = core.change_signal.changes()

    assert told == [Change(Kind.USER, str(one)) for one in range(MOST_AT_ONCE)]


@pytest.mark.parametrize("announced_before", [0, 5])
async def test_of_too_many_announcements_nobody_is_told_each(core, database, announced_before):
    if announced_before:
        await announce_many(database, announced_before)
        core.change_signal.changes()
    await announce_many(database, MOST_AT_ONCE + 1)

    told = core.change_signal.changes()

    assert told is None
    assert core.change_signal.changes() == ()


async def test_what_comes_after_too_many_announcements_is_told(core, database):
    await announce_many(database, MOST_AT_ONCE + 1)
    core.change_signal.changes()

    await announce_many(database, 1)

    assert core.change_signal.changes() == [Change(Kind.USER, "0")]


async def test_the_list_of_announcements_is_kept_short(core, database, path):
    for _ in range(3):
        await announce_many(database, 8_000)

    with closing(sqlite3.connect(path)) as connection:
        kept = connection.execute("SELECT count(*), max(id) FROM change").fetchone()
    assert kept == (20_000, 24_000)


async def test_announcements_that_were_trimmed_are_not_told_as_none(core, database, path):
    await announce_many(database, 3)
    assert len(core.change_signal.changes()) == 3
    await announce_many(database, 3)
    async with database.writing() as connection:
        await connection.execute(text("DELETE FROM change WHERE id <= 4"))

    assert core.change_signal.changes() is None
    assert core.change_signal.changes() == ()


async def test_a_list_that_lost_what_was_seen_already_is_not_trusted(core, database):
    await announce_many(database, 3)
    core.change_signal.changes()
    async with database.writing() as connection:
        await connection.execute(text("DELETE FROM change"))

    assert core.change_signal.changes() is None


async def test_an_announcement_of_an_unknown_kind_may_concern_anything(core, database):
    async with database.writing() as connection:
        await connection.execute(text("INSERT INTO change (kind, subject) VALUES ('new', 'x')"))

    assert core.change_signal.changes() is None
    assert core.change_signal.changes() == ()
    await announce_many(database, 1)
    assert core.change_signal.changes() == [Change(Kind.USER, "0")]


async def test_an_announcement_that_was_undone_leaves_no_gap(core, database):
    async def announce_and_fail():
        async with database.writing() as connection:
            await announce(connection, Change(Kind.APP, "undone"))
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        await announce_and_fail()
    await announce_many(database, 1)

    assert core.change_signal.changes() == [Change(Kind.USER, "0")]


async def test_looking_for_announcements_does_not_wait_for_a_writer(core, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO change (kind, subject) VALUES ('app', 'a')")

        during = core.change_signal.changes()
        other.execute("COMMIT")

    assert during == ()
    assert core.change_signal.changes() == [Change(Kind.APP, "a")]


async def test_a_file_that_cannot_be_looked_at_counts_as_changed(path):
    core = await open_core(path)
    await core.close()

    assert core.change_signal.changes() is None


async def test_a_file_that_is_no_database_cannot_be_watched(tmp_path):
    other = tmp_path / "letter.db"
    other.write_bytes(b"a letter to my aunt\n" * 500)

    with pytest.raises(DatabaseUnusableError):
        SQLiteChangeSignal(other)


async def test_a_path_with_odd_characters_is_opened(tmp_path):
    folder = tmp_path / "data ?%20#ü"
    folder.mkdir()

    await (await open_core(folder / "core.db")).close()

    assert {file.name for file in folder.iterdir()} == {"core.db", ".migrate.lock"}
