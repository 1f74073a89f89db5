"""Many changes share one commit, and share its failure; a refused one disturbs no other."""

import asyncio
import logging
import sqlite3
from contextlib import closing

import pytest

from doubles.object_rig import USER, create, ids, merge, opened, others_turn, place
from doubles.value_rig import overheard
from thingstead.features.collections.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    TooManyObjectsError,
)
from thingstead.features.collections.model import CollectionLimits, StoredObject
from thingstead.kernel.errors import StorageFullError, StoreUnavailableError, ThingsteadError


@pytest.fixture
async def core(tmp_path):
    async with opened(tmp_path / "core.db") as core:
        yield core


@pytest.fixture
def store(core):
    return core.objects


def writer_of(store):
    """The writer's connection; a test uses it only while no change is under way."""
    return store._writer._connection


def pragma(store, text):
    return writer_of(store).execute(f"PRAGMA {text}").fetchone()[0]


async def outcomes(futures):
    return await asyncio.gather(*futures, return_exceptions=True)


async def test_changes_that_gather_become_one_commit(core, store):
    calls = []
    store.on_commit(lambda changes: calls.append(len(changes)))

    with overheard(writer_of(store)) as statements:
        async with others_turn(core):
            futures = [create(store, place(n)) for n in range(200)]
        await asyncio.gather(*futures)

    assert statements.count("COMMIT") == 1
    assert calls == [200]


async def test_a_change_that_finds_the_writer_idle_is_a_commit_of_its_own(store):
    with overheard(writer_of(store)) as statements:
        for number in range(3):
            await create(store, place(number))

    assert statements.count("COMMIT") == 3


@pytest.mark.parametrize(("changes", "commits"), [(500, 1), (501, 2)])
async def test_a_batch_has_at_most_500_changes(core, store, changes, commits):
    with overheard(writer_of(store)) as statements:
        async with others_turn(core):
            futures = [create(store, place(n)) for n in range(changes)]
        await asyncio.gather(*futures)

    assert statements.count("COMMIT") == commits


@pytest.mark.parametrize(("objects", "commits"), [(4, 1), (5, 2)])
async def test_a_batch_has_about_4_mib_at_most(core, store, objects, commits):
    limits = CollectionLimits(object_bytes=2**21)
    empty = len('{"_id":"0","x":""}')

    with overheard(writer_of(store)) as statements:
        async with others_turn(core):
            futures = [
                create(store, place(n), limits, x="x" * (2**20 - empty)) for n in range(objects)
            ]
        await asyncio.gather(*futures)

    assert statements.count("COMMIT") == commits


async def test_a_collection_s_row_is_written_once_a_batch(core, store):
    with overheard(writer_of(store)) as statements:
        async with others_turn(core):
            futures = [create(store, place(n)) for n in range(100)]
        await asyncio.gather(*futures)

    assert len([text for text in statements if "INTO collection" in text]) == 1


async def test_the_row_of_a_collection_counts_its_objects_and_bytes(core, store, tmp_path):
    texts = [(await create(store, place(n), x="\u00fc" * n)).text for n in range(3)]
    texts[1] = (await merge(store, place(1), y="more")).text
    await store.delete(place(0), etag=None)
    await create(store, place(0, "gone"))
    await store.delete(place(0, "gone"), etag=None)

    size = sum(len(text.encode()) for text in texts[1:])
    with closing(sqlite3.connect(tmp_path / "core.db")) as connection:
        rows = connection.execute("SELECT * FROM collection").fetchall()
    assert rows == [(USER, "things", 2, size)]


async def test_a_refused_change_leaves_nothing_behind_and_disturbs_no_other(core, store):
    limits = CollectionLimits(objects_per_collection=2)

    async with others_turn(core):
        futures = [
            create(store, place("a"), limits),
            create(store, place("a"), limits),
            store.delete(place("missing"), etag=None),
            create(store, place("b"), limits),
            create(store, place("c"), limits),
            merge(store, place("b"), n=1),
        ]
    results = await outcomes(futures)

    assert [type(result) for result in results] == [
        StoredObject,
        ObjectExistsError,
        ObjectNotFoundError,
        StoredObject,
        TooManyObjectsError,
        StoredObject,
    ]
    assert await ids(store) == ["b", "a"]


async def test_a_change_that_meets_a_mistake_disturbs_no_other(core, store, tmp_path, caplog):
    await create(store, place("broken"))
    with closing(sqlite3.connect(tmp_path / "core.db")) as connection, connection:
        connection.execute("UPDATE object SET text = 'no JSON'")

    async with others_turn(core):
        futures = [create(store, place("a")), merge(store, place("broken"), n=1)]
    first, second = await outcomes(futures)

    assert type(second) is ThingsteadError
    assert await store.get(place("a")) == first
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_full_disk_fails_every_change_of_the_batch_and_stores_none(core, store, caplog):
    await create(store, place("before"))
    pragma(store, f"max_page_count={pragma(store, 'page_count')}")

    async with others_turn(core):
        futures = [
            create(store, place("small")),
            merge(store, place("before"), n=1),
            *(create(store, place(n), x="x" * 60_000) for n in range(10)),
            store.delete(place("missing"), etag=None),
        ]
    failures = await outcomes(futures)

    assert [type(failure) for failure in failures] == [StorageFullError] * 13
    assert await ids(store) == ["before"]
    assert (await store.get(place("before"))).text == '{"_id":"before"}'
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_batch_that_the_database_breaks_off_is_undone_completely(core, store, tmp_path):
    with closing(sqlite3.connect(tmp_path / "core.db")) as connection, connection:
        connection.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON object WHEN NEW.id = 'bad'"
            " BEGIN SELECT RAISE(ABORT, 'broken'); END"
        )

    async with others_turn(core):
        futures = [create(store, place(object_id)) for object_id in ("a", "bad", "b")]
    failures = await outcomes(futures)

    assert [type(failure) for failure in failures] == [ThingsteadError] * 3
    assert await ids(store) == []
    assert await store.collections(USER) == []
    await create(store, place("c"))
    assert await ids(store) == ["c"]


async def test_changes_go_on_once_there_is_space_again(store):
    await create(store, place("before"))
    pragma(store, f"max_page_count={pragma(store, 'page_count')}")
    with pytest.raises(StorageFullError):
        await create(store, place("a"), x="x" * 60_000)

    pragma(store, "max_page_count=1000000")
    await create(store, place("a"), x="x" * 60_000)

    assert await ids(store) == ["before", "a"]


async def test_failures_are_logged_once_a_second_at_most(store, caplog):
    await create(store, place("before"))
    pragma(store, f"max_page_count={pragma(store, 'page_count')}")

    for number in range(5):
        with pytest.raises(StorageFullError):
            await create(store, place(number), x="x" * 60_000)

    assert len(caplog.records) == 1


async def test_a_lock_that_another_process_keeps_is_translated(store, tmp_path):
    pragma(store, "busy_timeout=1")

    with closing(sqlite3.connect(tmp_path / "core.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError) as caught:
            await create(store, place("a"))
        other.execute("ROLLBACK")
    await create(store, place("a"))

    assert caught.value.retry_after_s == 2
    assert await ids(store) == ["a"]


async def test_a_listener_that_fails_costs_nobody_the_answer(store, caplog):
    store.on_commit(lambda _changes: 1 / 0)

    stored = await create(store, place("a"))

    assert await store.get(place("a")) == stored
    assert "did not hear" in caplog.text


async def test_who_no_longer_waits_disturbs_no_other(core, store):
    async with others_turn(core):
        gone, other = create(store, place("a")), create(store, place("b"))
        gone.cancel()

    await other

    assert await ids(store) == ["b", "a"]
