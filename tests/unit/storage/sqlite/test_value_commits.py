"""Many requests share one commit, and share its failure; sequences survive other writers."""

import asyncio
import logging
import sqlite3
from contextlib import closing

import pytest

from contract.value_stores import OTHER_THING, THING, timed, value, write
from doubles.value_rig import busy_writer, on_writer, opened, overheard
from thingstead.features.values.model import DocumentChange, Window, Write
from thingstead.kernel.errors import (
    OverloadedError,
    StorageFullError,
    StoreUnavailableError,
    ThingsteadError,
)
from thingstead.storage.sqlite.value_store import ValueStoreLimits

ALL = Window(limit=10_000)


@pytest.fixture
async def store(tmp_path):
    async with opened(tmp_path / "values.db") as store:
        yield store


async def values_of(store, key="t", thing=THING):
    reading = await store.newest(thing, (0,), key, ALL)
    return None if reading is None else [row[0] for row in reading.rows]


async def outcomes(futures):
    return await asyncio.gather(*futures, return_exceptions=True)


async def test_requests_that_gather_while_the_writer_is_busy_become_one_commit(store):
    calls = []
    store.on_commit(lambda committed: calls.append(len(committed)))

    with overheard(store._writer._connection) as statements:
        async with busy_writer(store):
            futures = [store.append(write(value("t", number))) for number in range(200)]
        await asyncio.gather(*futures)

    assert statements.count("COMMIT") == 1
    assert calls == [200]


async def test_a_request_that_finds_the_writer_idle_is_a_commit_of_its_own(store):
    with overheard(store._writer._connection) as statements:
        for number in range(3):
            await store.append(write(value("t", number)))

    assert statements.count("COMMIT") == 3


async def test_values_of_a_batch_keep_the_order_of_the_requests(store):
    async with busy_writer(store):
        futures = [store.append(write(timed("t", number))) for number in range(50)]
    appended = await asyncio.gather(*futures)

    sequences = [one.sequence for one in appended]
    assert sequences == list(range(sequences[0], sequences[0] + 50))
    assert await values_of(store) == list(range(49, -1, -1))


async def test_a_value_with_the_server_s_time_is_found_by_a_repeat_later_in_its_batch(store):
    async with busy_writer(store):
        futures = [store.append(write(one)) for one in (value("t", 1), timed("t", 1))]

    assert [one.repeats for one in await asyncio.gather(*futures)] == [frozenset(), {0}]


async def test_a_full_disk_fails_every_request_of_the_batch_and_stores_none(store, caplog):
    await store.append(write(value("t", "before")))
    pages = await on_writer(store, "PRAGMA page_count")
    await on_writer(store, f"PRAGMA max_page_count={pages}")

    async with busy_writer(store):
        futures = [
            store.append(write(value("small", 1))),
            store.append(write(*(value("t", "x" * 5_000, at_ms) for at_ms in range(100)))),
            store.append(Write(THING, (), (DocumentChange("$settings", (), {"a": 1}, 99),))),
        ]
    failures = await outcomes(futures)

    assert [type(failure) for failure in failures] == [StorageFullError] * 3
    assert await values_of(store) == ["before"]
    assert await store.keys(THING, (0,)) == ["t"]
    assert await store.document(THING, (0,), "$settings") is None
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_reads_go_on_and_writes_recover_once_there_is_space_again(store):
    first = await store.append(write(value("t", "before")))
    pages = await on_writer(store, "PRAGMA page_count")
    await on_writer(store, f"PRAGMA max_page_count={pages}")
    large = write(*(value("new", "x" * 5_000, at_ms) for at_ms in range(100)))
    with pytest.raises(StorageFullError):
        await store.append(large)

    assert await values_of(store) == ["before"]
    await on_writer(store, "PRAGMA max_page_count=1000000")
    again = await store.append(large)

    assert again.sequence == first.sequence + 100
    assert len(await values_of(store, "new")) == 100


async def test_series_of_a_failed_commit_are_not_mixed_up_afterwards(store):
    await store.append(write(value("t", "before")))
    pages = await on_writer(store, "PRAGMA page_count")
    await on_writer(store, f"PRAGMA max_page_count={pages}")
    async with busy_writer(store):
        futures = [
            store.append(write(value("lost", "x"))),
            store.append(write(*(value("t", "x" * 5_000, at_ms) for at_ms in range(100)))),
        ]
    await outcomes(futures)
    await on_writer(store, "PRAGMA max_page_count=1000000")

    await store.append(write(value("kept", "other"), thing=OTHER_THING))
    await store.append(write(value("lost", "mine")))

    assert await values_of(store, "kept", OTHER_THING) == ["other"]
    assert await values_of(store, "lost") == ["mine"]


async def test_the_listener_does_not_hear_of_a_failed_commit(store):
    heard = []
    store.on_commit(heard.extend)
    pages = await on_writer(store, "PRAGMA page_count")
    await on_writer(store, f"PRAGMA max_page_count={pages}")

    with pytest.raises(StorageFullError):
        await store.append(write(*(value("t", "x" * 5_000, at_ms) for at_ms in range(100))))

    assert heard == []


async def test_a_failed_commit_makes_room_for_waiting_values(tmp_path):
    async with opened(tmp_path / "values.db", ValueStoreLimits(waiting_values=100)) as store:
        pages = await on_writer(store, "PRAGMA page_count")
        await on_writer(store, f"PRAGMA max_page_count={pages}")
        large = write(*(value("t", "x" * 5_000, at_ms) for at_ms in range(100)))
        with pytest.raises(StorageFullError):
            await store.append(large)
        await on_writer(store, "PRAGMA max_page_count=1000000")

        await store.append(large)

        assert len(await values_of(store)) == 100


async def test_a_statement_that_fails_fails_the_batch_and_leaves_no_transaction_open(store):
    await store.append(write(value("t", "before")))
    refusal = "BEGIN SELECT RAISE(ABORT, 'no'); END"
    await on_writer(store, f"CREATE TEMP TRIGGER no BEFORE INSERT ON main.value {refusal}")
    async with busy_writer(store):
        futures = [store.append(write(value("new", number))) for number in range(3)]
    failures = await outcomes(futures)
    await on_writer(store, "DROP TRIGGER no")

    appended = await store.append(write(value("t", "after")))

    assert [type(failure) for failure in failures] == [ThingsteadError] * 3
    assert appended.sequence == 2
    assert await store.keys(THING, (0,)) == ["t"]
    assert await values_of(store) == ["after", "before"]


async def test_a_file_that_another_process_keeps_locked_fails_the_batch_and_stores_none(
    store, tmp_path
):
    await on_writer(store, "PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(tmp_path / "values.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with busy_writer(store):
            futures = [store.append(write(value("t", number))) for number in range(3)]

        failures = await outcomes(futures)

    assert [type(failure) for failure in failures] == [StoreUnavailableError] * 3
    assert failures[0].retry_after_s == 2
    assert await values_of(store) is None


async def test_writes_go_on_once_the_lock_is_gone(store, tmp_path):
    await on_writer(store, "PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(tmp_path / "values.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError):
            await store.append(write(value("t", "lost")))
        other.execute("ROLLBACK")

    await store.append(write(value("t", "kept")))

    assert await values_of(store) == ["kept"]


async def test_a_sequence_that_another_process_raised_is_gone_on_from(store, tmp_path):
    await store.append(write(value("t")))
    with closing(sqlite3.connect(tmp_path / "values.db", isolation_level=None)) as other:
        other.execute("UPDATE counter SET value = 5000 WHERE name = 'sequence'")

    assert (await store.append(write(value("t")))).sequence == 5_001


async def test_two_writers_of_one_file_never_give_a_sequence_twice(tmp_path):
    path = tmp_path / "values.db"
    async with opened(path) as one, opened(path) as other:
        appended = []
        for number in range(10):
            appended.append(await one.append(write(value("t", number), value("t", number))))
            appended.append(await other.append(write(value("t", number))))
        together = [
            store.append(write(value("t", number)))
            for number in range(20)
            for store in (one, other)
        ]
        appended += await asyncio.gather(*together)

        assert len({result.sequence for result in appended}) == len(appended)
        assert len(await values_of(one)) == 10 * 3 + 40
        assert await values_of(one) == await values_of(other)


async def test_keys_that_another_process_made_are_used_and_not_made_again(tmp_path):
    path = tmp_path / "values.db"
    async with opened(path) as one, opened(path) as other:
        await one.append(write(value("a", 1)))
        await other.append(write(value("b", 2)))

        await one.append(write(value("b", 3)))

        assert await values_of(other, "b") == [3, 2]
        assert await one.keys(THING, (0,)) == ["a", "b"]


async def test_as_many_reads_may_wait_as_the_limit_and_no_more(tmp_path):
    async with opened(tmp_path / "values.db", ValueStoreLimits(waiting_reads=2)) as store:
        waiting = [store.newest(THING, (0,), "t", ALL), store.newest(THING, (0,), "t", ALL)]

        with pytest.raises(OverloadedError) as refused:
            store.newest(THING, (0,), "t", ALL)

        assert refused.value.retry_after_s == 1
        assert await asyncio.gather(*waiting) == [None, None]
        assert await store.newest(THING, (0,), "t", ALL) is None


async def test_a_look_up_that_fails_fails_alone(store):
    await store.append(write(value("t")))

    def broken(reader):
        reader._connection.execute("SELECT nothing FROM nowhere")

    failing, good = store._look_up(broken), store.newest(THING, (0,), "t", ALL)

    with pytest.raises(ThingsteadError, match="Internal server error"):
        await failing
    assert (await good).rows == [(1, 1_000, None, None)]


async def test_a_chore_that_fails_fails_alone(store):
    with pytest.raises(ThingsteadError, match="Internal server error"):
        await on_writer(store, "SELECT nothing FROM nowhere")

    await store.append(write(value("t")))


async def test_a_write_that_waits_with_a_chore_is_stored_too(store):
    async with busy_writer(store):
        chore = asyncio.create_task(store.give_space_back())
        await asyncio.sleep(0)
        future = store.append(write(value("t", 1)))

    await chore
    await future
    assert await values_of(store) == [1]


async def test_a_store_whose_thread_does_not_end_in_time_says_so_and_stays_open(tmp_path, caplog):
    async with opened(tmp_path / "values.db") as store:
        async with busy_writer(store):
            await store.close(timeout_s=0.0)

        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        await store.newest(THING, (0,), "t", ALL)
