"""`core.db`: the engine under the statements of `storage/sql`, and how it is opened.

One connection writes and a few read. The driver's own BEGIN is switched off and every write
begins with BEGIN IMMEDIATE (SQLAlchemy's documentation, "Transactions with SQLite and the
sqlite3 driver"), so that a transaction never finds out half-way that another process writes.
Objects of collections have a second writer for the same file (`object_store.py`); the two
take turns. Values have their own file, their own thread and no SQLAlchemy: `value_store.py`.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from thingstead.features.kept_sessions.model import KeptSessionLimits
from thingstead.features.things.ports import Seal
from thingstead.kernel.errors import OverloadedError, StoreUnavailableError
from thingstead.storage.sql.accounts import SQLAccountStore
from thingstead.storage.sql.apps import SQLAppStore
from thingstead.storage.sql.campaigns import SQLCampaignStore
from thingstead.storage.sql.devices import SQLDeviceStore
from thingstead.storage.sql.firmware_updates import SQLUpdateStore
from thingstead.storage.sql.firmwares import SQLFirmwareStore
from thingstead.storage.sql.grants import SQLGrantStore
from thingstead.storage.sql.kept_sessions import SQLKeptSessionStore
from thingstead.storage.sql.link_ids import SQLLinkIdStore
from thingstead.storage.sql.links import SQLLinkStore
from thingstead.storage.sql.mail_links import SQLMailLinkStore
from thingstead.storage.sql.outbox import SQLOutbox
from thingstead.storage.sql.products import SQLProductStore
from thingstead.storage.sql.purge import SQLPurgeList
from thingstead.storage.sql.reach import SQLReachStore
from thingstead.storage.sql.sessions import SQLSessionStore
from thingstead.storage.sql.tags import SQLTagStore
from thingstead.storage.sql.things import SQLThingStore
from thingstead.storage.sql.user_settings import SQLSettingsStore
from thingstead.storage.sql.waiting_messages import SQLWaitingMessageStore
from thingstead.storage.sqlite.changes import SQLiteChangeSignal
from thingstead.storage.sqlite.failures import translated_errors
from thingstead.storage.sqlite.object_store import ObjectStoreLimits, SQLiteObjectStore
from thingstead.storage.sqlite.opening import BUSY_TIMEOUT_S, prepare_file

_READERS = 4
_WAIT_FOR_CONNECTION_S = 10.0
_JOURNAL_LIMIT_BYTES = 16 * 1024 * 1024
_SETTINGS = (
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    # On macOS only F_FULLFSYNC reaches the platter; elsewhere these two change nothing.
    ("fullfsync", "ON", 1),
    ("checkpoint_fullfsync", "ON", 1),
    ("foreign_keys", "ON", 1),
    ("journal_size_limit", str(_JOURNAL_LIMIT_BYTES), _JOURNAL_LIMIT_BYTES),
    ("busy_timeout", str(round(BUSY_TIMEOUT_S * 1_000)), round(BUSY_TIMEOUT_S * 1_000)),
)


class SQLiteDatabase:
    """Connections to `core.db`: one to write, a few to read; `close` closes them all."""

    def __init__(self, path: Path) -> None:
        url = URL.create("sqlite+aiosqlite", database=str(path))
        self._writer = create_async_engine(
            url,
            # One writer: whoever comes second waits here, in order, and not in SQLite's lock.
            pool_size=1,
            max_overflow=0,
            pool_timeout=_WAIT_FOR_CONNECTION_S,
            connect_args={"isolation_level": None},
            hide_parameters=True,
        )
        self._readers = create_async_engine(
            url,
            pool_size=_READERS,
            max_overflow=0,
            pool_timeout=_WAIT_FOR_CONNECTION_S,
            # A read is one statement, and one statement sees one state without a transaction.
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            hide_parameters=True,
        )
        self._turn = asyncio.Lock()
        event.listen(self._writer.sync_engine, "connect", _set_up_writer)
        event.listen(self._writer.sync_engine, "begin", _begin_immediate)
        event.listen(self._readers.sync_engine, "connect", _set_up_reader)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection for one statement that changes nothing."""
        with translated_errors():
            async with self._readers.connect() as connection:
                yield connection

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Have this process's writers of the file wait until the block ends; first come first.

        Raises:
            OverloadedError: the turn did not come in time; nothing was done.
        """
        try:
            async with asyncio.timeout(_WAIT_FOR_CONNECTION_S):
                await self._turn.acquire()
        except TimeoutError as exc:
            raise OverloadedError(
                "too many requests are waiting to be stored", retry_after_s=1
            ) from exc
        try:
            yield
        finally:
            self._turn.release()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction: durable after the block, undone if it raises."""
        async with self.turn():
            with translated_errors():
                async with self._writer.begin() as connection:
                    yield connection

    async def check(self) -> None:
        """Open one connection of each kind, which asserts its settings.

        Raises:
            StoreUnavailableError: the file cannot be opened, or a setting was not accepted.
        """
        with translated_errors():
            for engine in self._engines():
                async with engine.connect():
                    pass

    async def close(self) -> None:
        """Close the connections; nothing may be using them any more."""
        for engine in self._engines():
            await engine.dispose()

    def _engines(self) -> tuple[AsyncEngine, AsyncEngine]:
        return self._writer, self._readers


class CoreDatabase:
    """The stores on one `core.db`; whoever opened it closes it."""

    def __init__(
        self,
        database: SQLiteDatabase,
        change_signal: SQLiteChangeSignal,
        objects: SQLiteObjectStore,
    ) -> None:
        self._database = database
        self.objects = objects
        self.products = SQLProductStore(database)
        self.things = SQLThingStore(database)
        self.tags = SQLTagStore(database)
        self.devices = SQLDeviceStore(database)
        self.purge_list = SQLPurgeList(database)
        self.apps = SQLAppStore(database)
        self.accounts = SQLAccountStore(database)
        self.sessions = SQLSessionStore(database)
        self.mail_links = SQLMailLinkStore(database)
        self.user_settings = SQLSettingsStore(database)
        self.links = SQLLinkStore(database)
        self.link_ids = SQLLinkIdStore(database)
        self.grants = SQLGrantStore(database)
        self.reach = SQLReachStore(database)
        self.firmwares = SQLFirmwareStore(database)
        self.firmware_updates = SQLUpdateStore(database)
        self.campaigns = SQLCampaignStore(database)
        self.outbox = SQLOutbox(database)
        self.change_signal = change_signal

    def kept_sessions(self, seal: Seal, limits: KeptSessionLimits) -> SQLKeptSessionStore:
        """Return the store of kept sessions; the seal closes what may hold a token."""
        return SQLKeptSessionStore(self._database, seal, limits)

    def waiting_messages(self, seal: Seal, limits: KeptSessionLimits) -> SQLWaitingMessageStore:
        """Return the store of what waits in kept sessions, with the same seal and limits."""
        return SQLWaitingMessageStore(self._database, seal, limits)

    async def close(self) -> None:
        """Store what is queued and close every connection."""
        await self.objects.close()
        self.change_signal.close()
        await self._database.close()


async def open_core(path: Path, object_limits: ObjectStoreLimits | None = None) -> CoreDatabase:
    """Open the file, which is made and migrated when it has to be; its folder must exist.

    Raises:
        DatabaseUnusableError: the file is damaged, or no database of this program.
        SchemaTooNewError: a newer version wrote it.
        StoreUnavailableError: it cannot be opened, or a setting was not accepted.
        StorageFullError: the disk is full.
    """
    await asyncio.to_thread(prepare_file, path, "core")
    database = SQLiteDatabase(path)
    signal: SQLiteChangeSignal | None = None
    try:
        await database.check()
        signal = await asyncio.to_thread(SQLiteChangeSignal, path)
        objects = await SQLiteObjectStore.open(path, database.turn, _apply_settings, object_limits)
    except BaseException:
        if signal is not None:
            signal.close()
        await database.close()
        raise
    return CoreDatabase(database, signal, objects)


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _set_up_writer(connection: DBAPIConnection, _record: object) -> None:
    _apply_settings(connection)


def _set_up_reader(connection: DBAPIConnection, _record: object) -> None:
    _apply_settings(connection)
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only=ON")
    cursor.close()


def _apply_settings(connection: DBAPIConnection | sqlite3.Connection) -> None:
    """Set each PRAGMA and read it back: one that was refused looks like one that was taken."""
    cursor = connection.cursor()
    for name, value, expected in _SETTINGS:
        cursor.execute(f"PRAGMA {name}={value}")
        cursor.execute(f"PRAGMA {name}")
        row = cursor.fetchone()
        if row is None or row[0] != expected:
            raise StoreUnavailableError(f"PRAGMA {name} is not {value}")
    cursor.close()
