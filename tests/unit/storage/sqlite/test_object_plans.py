"""No statement of collections walks through a table, or sorts."""

import sqlite3
from contextlib import ExitStack, closing

import pytest

from doubles.object_rig import LIMITS, USER, create, merge, opened, place
from doubles.value_rig import overheard

CALLS = {
    "create": lambda store: create(store, place("b")),
    "create in a new collection": lambda store: create(store, place("b", "new")),
    "merge": lambda store: merge(store, place("a"), n=1),
    "delete": lambda store: store.delete(place("a"), etag=None),
    "get": lambda store: store.get(place("a")),
    "first page": lambda store: store.page(USER, "things", below=None, limit=5, max_bytes=9),
    "next page": lambda store: store.page(USER, "things", below="b", limit=5, max_bytes=9),
    "collections": lambda store: store.collections(USER),
}


def steps_of(connection, statement):
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    return [step[3] for step in plan]


def assert_is_search(steps):
    assert not [step for step in steps if "SCAN" in step or "TEMP B-TREE" in step], steps


@pytest.mark.parametrize("name", CALLS)
async def test_every_statement_finds_its_rows_by_an_index(tmp_path, name):
    async with opened(tmp_path / "core.db") as core:
        store = core.objects
        await create(store, place("a"), LIMITS)
        with ExitStack() as stack:
            heard = [
                stack.enter_context(overheard(side._connection))
                for side in (store._writer, store._reader)
            ]
            await CALLS[name](store)

        statements = [text for texts in heard for text in texts]
        statements = [text for text in statements if text not in ("BEGIN IMMEDIATE", "COMMIT")]
        assert statements
        with closing(sqlite3.connect(tmp_path / "core.db")) as connection:
            for statement in statements:
                assert_is_search(steps_of(connection, statement))
