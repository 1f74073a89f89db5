"""What telling values again costs, how far a page goes, and what is remembered of packets."""

import asyncio
import itertools
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from contract.value_stores import THING, timed, value, write
from doubles.value_rig import busy_writer, on_writer, opened, overheard
from thingstead.features.values.model import (
    Delivery,
    DocumentChange,
    MagicEcho,
    Source,
    Write,
)
from thingstead.kernel.errors import StoreUnavailableError, ThingsteadError
from thingstead.kernel.ids import ThingId
from thingstead.storage.sqlite import value_arrivals, value_deliveries, value_replay
from thingstead.storage.sqlite.value_store import ValueStoreLimits

SOURCES = [Source(THING, (0,))]
FEW, MANY = SOURCES, [*SOURCES, *(Source(ThingId(f"other {n}"), (0,)) for n in range(100))]


@pytest.fixture
async def store(tmp_path):
    async with opened(tmp_path / "values.db") as store:
        yield store


async def pages(store, sources=SOURCES, key=None):
    """Return the values of each page, and that the last one alone was complete."""
    found, after = [], 0
    while True:
        page = await store.replay.missed(sources, key=key, after=after)
        found.append([entry.value for event in page.events for entry in event.entries])
        if page.is_complete:
            return found
        assert page.scanned_to > after
        after = page.scanned_to


async def in_one_commit(store, *requests):
    async with busy_writer(store):
        futures = [store.append(request) for request in requests]
    return await asyncio.gather(*futures)


async def test_a_commit_is_one_row(store):
    await in_one_commit(store, *(write(value("t", n), value("u", n)) for n in range(5)))

    assert await on_writer(store, "SELECT count(*) FROM arrival") == 1
    assert await on_writer(store, "SELECT length(places) FROM arrival") == 24 * 10


async def test_a_commit_of_which_nothing_is_told_is_no_row(store):
    await store.append(replace(write(value("t", 1)), is_broadcast=False))
    await store.append(write(timed("t", 1, 1_000)))
    await store.deliveries.release("s", 1)

    assert await on_writer(store, "SELECT count(*) FROM arrival") == 0


@pytest.mark.parametrize("sources", [FEW, MANY], ids=["few", "many"])
@pytest.mark.parametrize(("rows", "sizes"), [(3, [3]), (4, [3, 1])])
async def test_a_page_looks_at_so_many_rows(store, monkeypatch, sources, rows, sizes):
    monkeypatch.setattr(value_replay, "ROWS_A_PAGE", 3)
    for number in range(rows):
        await store.append(write(value("t", number)))

    assert [len(page) for page in await pages(store, sources)] == sizes


@pytest.mark.parametrize(("values", "sizes"), [(3, [3]), (4, [3, 1])])
async def test_a_page_ends_within_a_commit_when_it_has_looked_for_so_many_values(
    store, monkeypatch, values, sizes
):
    monkeypatch.setattr(value_replay, "LOOK_UPS_A_PAGE", 3)
    await in_one_commit(store, *(write(value("t", n)) for n in range(values)))

    assert await on_writer(store, "SELECT count(*) FROM arrival") == 1
    assert [len(page) for page in await pages(store)] == sizes


async def test_a_page_goes_on_where_the_last_one_ended_with_many_sources_too(store, monkeypatch):
    monkeypatch.setattr(value_replay, "LOOK_UPS_A_PAGE", 3)
    monkeypatch.setattr(value_replay, "_SERIES_KEPT", 1)
    requests = (write(value(f"k{n % 3}", n), value(f"k{n % 2}", n)) for n in range(7))
    await in_one_commit(store, *requests)

    found = await pages(store, MANY)

    assert len(found) > 3
    assert list(itertools.chain(*found)) == [n for n in range(7) for _ in range(2)]


@pytest.mark.parametrize(("size", "pages_of"), [(99, [2]), (100, [1, 1])])
async def test_a_page_ends_with_so_much_text(store, monkeypatch, size, pages_of):
    monkeypatch.setattr(value_replay, "PAGE_BYTES", 100)
    await in_one_commit(store, write(value("t", "x" * size)), write(value("t", "y")))

    assert [len(page) for page in await pages(store)] == pages_of


async def test_documents_count_as_text_for_each_event(store, monkeypatch):
    monkeypatch.setattr(value_replay, "PAGE_BYTES", 100)
    change = DocumentChange("$settings", (), {"a": "x" * 100}, 999)
    echo = (MagicEcho("$settings", change.value),)
    await in_one_commit(store, *(Write(THING, (), (change,), echo) for _ in range(3)))

    assert [len(page) for page in await pages(store)] == [1, 1, 1]


@pytest.mark.parametrize(("places", "sizes"), [(2, [2]), (3, [3, 1])])
async def test_a_page_looks_at_no_further_row_after_so_many_places(
    store, monkeypatch, places, sizes
):
    monkeypatch.setattr(value_replay, "PLACES_A_PAGE", 3)
    await store.append(write(*(value("t", n) for n in range(places))))
    if places == 3:
        await store.append(write(value("t", 9)))

    assert [len(page) for page in await pages(store)] == sizes


@pytest.mark.parametrize(("series", "is_looked_up"), [(3, True), (4, False)])
async def test_series_beyond_a_number_are_looked_up_when_they_are_met(
    store, monkeypatch, series, is_looked_up
):
    monkeypatch.setattr(value_replay, "_SERIES_LOOKED_UP", 3)
    await store.append(write(*(value(f"k{n}", n) for n in range(series))))

    with overheard(store._reader._connection) as statements:
        found = await pages(store)

    assert found == [list(range(series))]
    met = [text for text in statements if text.startswith("SELECT thing_id, epoch, key")]
    assert len(met) == (0 if is_looked_up else series)


@pytest.mark.parametrize(("changes", "told"), [(2, ["$settings.k0", "$settings.k1"]), (3, None)])
async def test_of_many_magic_resources_only_the_documents_are_told(
    store, monkeypatch, changes, told
):
    monkeypatch.setattr(value_arrivals, "_ECHOES_A_WRITE", 2)
    made = [DocumentChange("$settings", (f"k{n}",), n, 999) for n in range(changes)]
    echo = [MagicEcho(f"$settings.k{n}", n) for n in range(changes)]
    await store.append(Write(THING, (value("t", 5),), tuple(made), (*echo, 0)))

    page = await store.replay.missed(SOURCES, key=None, after=0)

    [event] = page.events
    keys = [entry.key for entry in event.entries]
    assert keys == ([*told, "t"] if told else ["t", "$settings"])


async def test_what_was_not_announced_yet_is_not_told(store):
    await store.append(write(value("t", 1)))
    seen = []

    def look(_committed):
        # Committed, and being announced: whoever listens hears of it as a live event.
        seen.append(store.replay._head)

    store.on_commit(look)
    await store.append(write(value("t", 2)))
    store.replay._head = 1

    page = await store.replay.missed(SOURCES, key=None, after=0)

    assert seen == [2]
    assert [event.sequence for event in page.events] == [1]
    assert page.is_complete


async def test_trimming_goes_in_slices_with_the_commits(tmp_path, monkeypatch):
    async with opened(tmp_path / "values.db") as store:
        for number in range(20):
            await store.append(write(value("t", number)))
    monkeypatch.setattr(value_arrivals, "_ROWS_A_SLICE", 5)

    async with opened(tmp_path / "values.db", ValueStoreLimits(replay_values=2)) as store:
        left = []
        for number in range(6):
            await store.append(write(value("t", number)))
            left.append(await on_writer(store, "SELECT count(*) FROM arrival"))

    assert left == [16, 12, 8, 4, 2, 2]


async def test_a_slice_ends_after_so_many_sequences(tmp_path, monkeypatch):
    async with opened(tmp_path / "values.db") as store:
        for _ in range(4):
            await store.append(write(*(value("t", number) for number in range(5))))
    monkeypatch.setattr(value_arrivals, "_SEQUENCES_A_SLICE", 5)

    async with opened(tmp_path / "values.db", ValueStoreLimits(replay_values=1)) as store:
        await store.append(write(value("t", 9)))

        assert await on_writer(store, "SELECT min(last_sequence) FROM arrival") == 15


async def test_a_failed_commit_leaves_no_arrival_and_no_packet(store):
    delivery = Delivery("s", 7, 1, b"x", is_again=False)
    await store.append(replace(write(value("t", 1)), delivery=replace(delivery, packet_id=6)))
    await on_writer(store, "ALTER TABLE counter RENAME TO gone")
    with pytest.raises((StoreUnavailableError, ThingsteadError)):
        await store.append(replace(write(value("t", 2)), delivery=delivery))
    await on_writer(store, "ALTER TABLE gone RENAME TO counter")

    again = replace(delivery, is_again=True)
    appended = await store.append(replace(write(value("t", 3)), delivery=again))

    assert not appended.is_repeat
    assert await pages(store) == [[1, 3]]


async def test_a_bounded_number_of_sessions_is_remembered(store, monkeypatch):
    monkeypatch.setattr(value_deliveries, "_SESSIONS_KEPT", 2)
    for name in ("a", "b", "c"):
        delivery = Delivery(name, 1, 1, b"x", is_again=False)
        await store.append(replace(write(value("t", 1)), delivery=delivery))

    assert len(store._writer._deliveries._newest) == 2
    again = Delivery("a", 1, 1, b"x", is_again=True)
    assert (await store.append(replace(write(value("t", 1)), delivery=again))).is_repeat


async def test_a_release_shares_the_commit_of_the_writes_around_it(store):
    def held(number):
        delivery = Delivery("s", 7, 2, b"", is_again=False)
        return replace(write(value("t", number)), delivery=delivery)

    with overheard(store._writer._connection) as statements:
        async with busy_writer(store):
            futures = [
                store.append(held(1)),
                store.append(held(2)),
                store.deliveries.release("s", 7),
                store.deliveries.release("s", 8),
                store.append(held(3)),
            ]
        first, again, _, _, after = await asyncio.gather(*futures)

    assert [one.is_repeat for one in (first, again, after)] == [False, True, False]
    assert statements.count("COMMIT") == 1


async def test_no_statement_of_telling_again_or_of_packets_walks_or_sorts_much(store, tmp_path):
    delivery = Delivery("s", 7, 1, b"x", is_again=False)
    connections = (store._writer._connection, store._reader._connection)
    with overheard(connections[0]) as written, overheard(connections[1]) as read:
        for qos in (1, 2):
            request = replace(write(value("t", 1)), delivery=replace(delivery, qos=qos))
            await store.append(request)
        await store.deliveries.release("s", 7)
        await store.deliveries.open_ids("s")
        await store.deliveries.forget("s")
        for sources in (FEW, MANY):
            for key in (None, "t"):
                await store.replay.missed(sources, key=key, after=0)

    extra = [value_arrivals.NUMBERED, value_arrivals.LAST, value_arrivals.TRIM]
    done = [one for one in (*written, *read, *extra) if one.startswith(("SELECT", "DELETE"))]
    with closing(sqlite3.connect(tmp_path / "values.db")) as connection:
        for statement in done:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement.replace('?', 'NULL')}")
            steps = [step[3] for step in plan]
            # The packets of QoS 1 of one session are few, and sorted when they are first needed.
            assert "ORDER BY sequence" in statement or "TEMP" not in " ".join(steps), statement
            assert not [step for step in steps if step.startswith("SCAN")], statement
