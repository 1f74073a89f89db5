"""A `core.db` on a file, with its objects' writer held up, and what a test puts into it."""

from asyncio import Future
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from thingstead.features.collections.model import CollectionLimits, Place, StoredObject
from thingstead.features.collections.texts import object_text
from thingstead.kernel.ids import UserId
from thingstead.storage.sql.user_tables import APP, APP_USER
from thingstead.storage.sqlite.core import CoreDatabase, open_core
from thingstead.storage.sqlite.object_store import SQLiteObjectStore

USER, OTHER_USER = UserId("one"), UserId("two")
LIMITS = CollectionLimits()


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[CoreDatabase]:
    """Open the file and close it at the end."""
    core = await open_core(path)
    await add_users(core)
    try:
        yield core
    finally:
        await core.close()


async def add_users(core: CoreDatabase) -> None:
    """Add the users whose objects the tests store, unless the file has them."""
    app = {"id": "home", "name": "Home", "resources": "", "settings": "{}", "created_at_ms": 1}
    async with core._database.writing() as connection:
        await connection.execute(sqlite_insert(APP).values(app).on_conflict_do_nothing())
        for user_id in (USER, OTHER_USER):
            user = {"id": user_id, "app_id": "home", "email": user_id, "password_hash": ""}
            statement = sqlite_insert(APP_USER).values(user | {"created_at_ms": 1})
            await connection.execute(statement.on_conflict_do_nothing())


def others_turn(core: CoreDatabase):
    """Keep the turn, so that changes of objects gather for as long as the block lasts."""
    return core._database.turn()


def place(object_id: object, collection: str = "things", user: UserId = USER) -> Place:
    return Place(user, collection, str(object_id))


def create(
    store: SQLiteObjectStore, at: Place, limits: CollectionLimits = LIMITS, **members: object
) -> "Future[StoredObject]":
    text = object_text(at.id, members, max_bytes=limits.object_bytes)
    return store.create(at, text, limits, at_ms=1)


def merge(store: SQLiteObjectStore, at: Place, **members: object) -> "Future[StoredObject]":
    return store.merge(at, members, LIMITS, etag=None, at_ms=2)


async def ids(store: SQLiteObjectStore, collection: str = "things", user: UserId = USER):
    page = await store.page(user, collection, below=None, limit=10_000, max_bytes=2**30)
    return [stored.id for stored in page.objects]
