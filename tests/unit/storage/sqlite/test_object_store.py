"""What is SQLite's own about objects: settings, bounds, turns, the end."""

import asyncio
import sqlite3
import threading

import pytest

from doubles.object_rig import USER, add_users, create, ids, opened, others_turn, place
from thingstead.kernel.errors import OverloadedError, StoreUnavailableError, ThingsteadError
from thingstead.storage.sqlite import core as core_module
from thingstead.storage.sqlite.core import open_core
from thingstead.storage.sqlite.object_store import ObjectStoreLimits


@pytest.fixture
def path(tmp_path):
    return tmp_path / "core.db"


@pytest.fixture
async def core(path):
    async with opened(path) as core:
        yield core


@pytest.fixture
def store(core):
    return core.objects


async def outcomes(futures):
    return await asyncio.gather(*futures, return_exceptions=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("busy_timeout", 5_000),
        ("journal_size_limit", 16 * 1024 * 1024),
    ],
)
def test_the_writer_has_the_settings_that_durability_rests_on(store, name, value):
    assert store._writer._connection.execute(f"PRAGMA {name}").fetchone() == (value,)


def test_the_reader_cannot_write(store):
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store._reader._connection.execute("DELETE FROM object")


async def test_a_page_that_ends_early_lets_the_log_be_copied(store):
    for number in range(10):
        await create(store, place(number), x="x" * 10_000)

    page = await store.page(USER, "things", below=None, limit=10, max_bytes=1)

    assert len(page.objects) == 1
    copied = store._writer._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert copied == (0, 0, 0)


async def test_a_look_up_that_fails_disturbs_no_other(store):
    stored = await create(store, place("a"))

    failure, found = await outcomes([store._look_up(lambda _: 1 / 0), store.get(place("a"))])

    assert type(failure) is ThingsteadError
    assert found == stored


async def test_so_many_changes_may_wait_and_no_more(core, store):
    store._limits = ObjectStoreLimits(waiting_changes=3)

    async with others_turn(core):
        futures = [create(store, place(n)) for n in range(3)]
        with pytest.raises(OverloadedError, match="3 changes") as caught:
            create(store, place("more"))
    await asyncio.gather(*futures)

    assert caught.value.retry_after_s == 1
    await create(store, place("later"))
    assert await ids(store) == ["later", "2", "1", "0"]


async def test_so_many_bytes_may_wait_and_no_more(core, store):
    size = len('{"_id":"0"}')
    store._limits = ObjectStoreLimits(waiting_bytes=2 * size)

    async with others_turn(core):
        futures = [create(store, place(n)) for n in range(2)]
        with pytest.raises(OverloadedError, match="bytes") as caught:
            create(store, place("2"))
        with pytest.raises(OverloadedError):
            store.merge(place(0), {"x": ""}, None, etag=None, at_ms=1)
    await asyncio.gather(*futures)

    assert caught.value.retry_after_s == 1
    await create(store, place("2"))
    assert await ids(store) == ["2", "1", "0"]


async def test_so_many_reads_may_wait_and_no_more(store):
    store._limits = ObjectStoreLimits(waiting_reads=2)
    gate = threading.Event()
    futures = [store._look_up(lambda _: gate.wait()), store.get(place("a"))]

    with pytest.raises(OverloadedError, match="2 reads") as caught:
        store.get(place("a"))
    gate.set()
    await asyncio.gather(*futures)

    assert caught.value.retry_after_s == 1
    assert await store.get(place("a")) is None


async def test_who_gets_no_turn_in_time_is_told_and_nothing_is_stored(core, store, monkeypatch):
    monkeypatch.setattr(core_module, "_WAIT_FOR_CONNECTION_S", 0.01)

    async with others_turn(core):
        futures = [create(store, place(n)) for n in range(501)]
        with pytest.raises(OverloadedError):
            await futures[0]
        # Nobody waits for a second time.
        assert all(future.done() for future in futures)
    failures = await outcomes(futures)
    await create(store, place("later"))

    assert {type(failure) for failure in failures} == {OverloadedError}
    assert failures[0].retry_after_s == 1
    assert await ids(store) == ["later"]


async def test_turns_come_in_the_order_in_which_they_were_asked_for(core):
    order = []

    async def take_turn(number):
        async with others_turn(core):
            order.append(number)

    async with others_turn(core):
        tasks = [asyncio.create_task(take_turn(number)) for number in range(5)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)

    assert order == [0, 1, 2, 3, 4]


async def test_a_turn_that_is_given_up_while_waiting_stops_nobody(core, store):
    async def take_turn():
        async with others_turn(core):
            pass

    async with others_turn(core):
        task = asyncio.create_task(take_turn())
        await asyncio.sleep(0)
        task.cancel()
        await outcomes([task])

    await create(store, place("a"))
    assert await ids(store) == ["a"]


async def test_both_writers_of_the_file_never_meet_in_its_lock(path, monkeypatch):
    settings = [one for one in core_module._SETTINGS if one[0] != "busy_timeout"]
    # Without patience, a writer that meets the other one's lock fails at once.
    monkeypatch.setattr(core_module, "_SETTINGS", (*settings, ("busy_timeout", "0", 0)))

    async def add_objects(core, client):
        for number in range(20):
            await create(core.objects, place(f"{client}-{number}"))

    async def add_products(core, client):
        for number in range(10):
            await core.products.add_product("Station", f"hash {client}-{number}", at_ms=1)

    async with opened(path) as core:
        await asyncio.gather(
            *(add_objects(core, client) for client in range(20)),
            *(add_products(core, client) for client in range(5)),
        )

        assert len(await ids(core.objects)) == 400
        assert len(await core.products.products(after=None, limit=100)) == 50


async def test_closing_stores_what_is_queued(path):
    core = await open_core(path)
    await add_users(core)
    futures = [create(core.objects, place(n)) for n in range(1_200)]

    await core.close()

    assert all(future.done() for future in futures)
    async with opened(path) as again:
        assert len(await ids(again.objects)) == 1_200


async def test_closing_ends_the_threads_and_leaves_one_file(path):
    core = await open_core(path)
    await add_users(core)
    await create(core.objects, place("a"))
    names = {thread.name for thread in threading.enumerate()}

    await core.close()

    ended = names - {thread.name for thread in threading.enumerate()}
    assert {"thingstead-object-writer", "thingstead-object-reader"} <= ended
    assert not path.with_name("core.db-wal").exists()


async def test_a_closed_store_takes_nothing_more(path):
    core = await open_core(path)
    await core.close()

    with pytest.raises(StoreUnavailableError):
        create(core.objects, place("a"))
    with pytest.raises(StoreUnavailableError):
        core.objects.get(place("a"))


async def test_what_finds_no_turn_before_the_end_is_refused(path):
    core = await open_core(path)
    async with others_turn(core):
        future = create(core.objects, place("a"))

        await core.objects.close(timeout_s=0.01)
    with pytest.raises(StoreUnavailableError):
        await future
    await core.close()

    async with opened(path) as again:
        assert await ids(again.objects) == []


async def test_a_file_that_cannot_be_set_up_leaves_no_thread_behind(path, monkeypatch):
    await (await open_core(path)).close()
    before = set(threading.enumerate())

    apply = core_module._apply_settings

    def refuse_objects(connection):
        if isinstance(connection, sqlite3.Connection):
            raise StoreUnavailableError("PRAGMA synchronous is not FULL")
        apply(connection)

    monkeypatch.setattr(core_module, "_apply_settings", refuse_objects)
    with pytest.raises(StoreUnavailableError, match="synchronous"):
        await open_core(path)

    assert not [t for t in set(threading.enumerate()) - before if "object" in t.name]
