"""A store on a file, with its writer held up and its statements overheard."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from thingstead.storage.sqlite.value_store import SQLiteValueStore, ValueStoreLimits

LIMITS = ValueStoreLimits()


@asynccontextmanager
async def opened(path: Path, limits: ValueStoreLimits = LIMITS) -> AsyncIterator[SQLiteValueStore]:
    """Open a store and close it at the end."""
    store = await SQLiteValueStore.open(path, limits)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def busy_writer(store: SQLiteValueStore) -> AsyncIterator[None]:
    """Keep the writer's thread busy for as long as the block lasts."""
    begun, gate = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def wait(_connection: sqlite3.Connection, _writer: object) -> None:
        loop.call_soon_threadsafe(begun.set)
        gate.wait()

    chore = asyncio.create_task(store._do_chore(wait))
    await begun.wait()
    try:
        yield
    finally:
        gate.set()
        await chore


async def on_writer(store: SQLiteValueStore, statement: str) -> object:
    """Carry out a statement on the writer's connection; return its first column, if any."""

    def run(connection: sqlite3.Connection, _writer: object) -> object:
        row = connection.execute(statement).fetchone()
        return row[0] if row else None

    return await store._do_chore(run)


@contextmanager
def overheard(connection: sqlite3.Connection) -> Iterator[list[str]]:
    """Note every statement that the connection carries out meanwhile."""
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    try:
        yield statements
    finally:
        connection.set_trace_callback(None)
