"""What every `ValueReplay` promises: live subscribers' events once more, for any cursor."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.value_stores import ENGINES, OTHER_THING, THING, timed, value, value_stores, write
from thingstead.features.live.model import LiveEvent
from thingstead.features.values.errors import TooManyKeysError
from thingstead.features.values.model import (
    DocumentChange,
    MagicEcho,
    NewValue,
    Position,
    Source,
    StoredValue,
    Write,
)
from thingstead.features.values.service import _entries
from thingstead.kernel.ids import ThingId

SOURCE, OTHER_SOURCE = Source(THING, (0,)), Source(OTHER_THING, (0,))
BOTH = [SOURCE, OTHER_SOURCE]
HERE = Position(41.5, 2.25)


@pytest.fixture(params=ENGINES)
async def open_store(request, tmp_path):
    async with value_stores(request.param, tmp_path) as opener:
        yield opener


@pytest.fixture
async def store(open_store):
    return await open_store()


def setting(key, set_to, *values, **options):
    """A write of a magic resource, and of values behind it."""
    name, *path = key.split(".")
    change = DocumentChange(name, tuple(path), set_to, 16_384)
    echo = (MagicEcho(key, set_to), *range(len(values)))
    return Write(THING, values, (change,), echo, **options)


def overhear(store):
    """Note every event that live subscribers would hear."""
    heard = []

    def note(committed):
        for one, appended in committed:
            entries = _entries(one, appended)
            if one.is_broadcast and not appended.is_repeat and entries:
                heard.append(LiveEvent(one.thing_id, appended.sequence, entries, one.epochs[-1]))

    store.on_commit(note)
    return heard


async def replayed(store, sources=BOTH, key=None, after=0):
    """Return the events of all pages."""
    events = []
    while True:
        page = await store.replay.missed(sources, key=key, after=after)
        events += page.events
        if page.is_complete:
            return events
        assert page.scanned_to > after
        after = page.scanned_to


def numbers(events):
    return [[entry.value for entry in event.entries] for event in events]


async def test_a_store_without_values_has_nothing_to_tell(store):
    page = await store.replay.missed(BOTH, key=None, after=0)

    assert (page.events, page.scanned_to, page.is_complete, page.has_gap) == ([], 0, True, False)
    assert await store.replay.head() == 0


async def test_a_write_is_told_as_it_was_heard(store):
    heard = overhear(store)
    await store.append(
        write(value("t", 1.5, 1_000, HERE), timed("u", {"a": [1, None]}, 500), value("t", True))
    )

    assert await replayed(store) == heard
    assert heard[0].entries[0] == StoredValue("t", 1.5, 1_000, HERE)


async def test_writes_of_one_commit_are_told_apart_and_in_order(store):
    heard = overhear(store)
    await asyncio.gather(
        *(store.append(write(value("t", n), value("u", n))) for n in range(5)),
        *(store.append(write(value("t", n), thing=OTHER_THING)) for n in range(5)),
    )

    assert len(heard) == 10
    assert await replayed(store) == heard


async def test_only_what_came_behind_the_cursor_is_told(store):
    stored = await asyncio.gather(*(store.append(write(value("t", n))) for n in range(4)))

    assert numbers(await replayed(store, after=stored[1].sequence)) == [[2], [3]]
    assert await replayed(store, after=stored[3].sequence) == []


async def test_a_cursor_within_a_write_does_no_harm(store):
    await store.append(write(value("t", 1), value("t", 2), value("t", 3)))

    [event] = await replayed(store, after=2)

    assert event.sequence == 3


async def test_other_things_and_other_epochs_are_left_out(store):
    await store.append(write(value("t", "mine")))
    await store.append(write(value("t", "of a former owner"), epochs=(0, 1)))
    await store.append(write(value("t", "another's"), thing=OTHER_THING))

    assert numbers(await replayed(store, [SOURCE])) == [["mine"]]
    assert numbers(await replayed(store, [Source(THING, (1,))])) == [["of a former owner"]]
    assert numbers(await replayed(store, [Source(THING, (2,))])) == []
    assert numbers(await replayed(store, [])) == []


async def test_a_key_leaves_the_other_entries_out(store):
    await store.append(write(value("t", 1), value("u", 2)))
    await store.append(write(value("u", 3)))
    await store.append(setting("$settings.a", 4, value("t", 5)))

    assert numbers(await replayed(store, key="t")) == [[1], [5]]
    assert numbers(await replayed(store, key="$settings.a")) == [[4]]
    assert numbers(await replayed(store, key="never")) == []


async def test_writes_that_were_not_broadcast_are_not_told(store):
    await store.append(replace(write(value("t", 1)), is_broadcast=False))
    await store.append(setting("$settings.a", 1, is_broadcast=False))
    await store.append(write(value("t", 2)))

    assert numbers(await replayed(store)) == [[2]]


async def test_repeats_are_told_once(store):
    await store.append(write(timed("t", 1, 5)))
    await store.append(write(timed("t", 1, 5)))
    await store.append(write(timed("t", 1, 5), timed("t", 2, 6)))

    assert numbers(await replayed(store)) == [[1], [2]]


async def test_a_refused_write_is_not_told(open_store):
    store = await open_store(keys_per_thing=1)
    outcomes = await asyncio.gather(
        store.append(write(value("t", 1))),
        store.append(write(value("u", 2))),
        store.append(write(value("t", 3))),
        return_exceptions=True,
    )

    assert isinstance(outcomes[1], TooManyKeysError)
    assert numbers(await replayed(store)) == [[1], [3]]


async def test_magic_resources_are_told_with_their_present_value(store):
    await store.append(setting("$settings.a", {"b": 1}))
    await store.append(setting("$settings.a.b", 2, value("t", 7)))
    await store.append(setting("description", {"name": "x"}))

    events = await replayed(store)

    assert [event.entries for event in events] == [
        (MagicEcho("$settings.a", {"b": 2}),),
        (MagicEcho("$settings.a.b", 2), StoredValue("t", 7, 1_000)),
        (MagicEcho("description", {"name": "x"}),),
    ]


async def test_a_magic_resource_without_a_value_any_more_is_left_out(store):
    await store.append(setting("$settings.a", 1))
    await store.append(setting("$settings.b", None))
    await store.append(setting("$settings", {"b": None}))

    assert [event.entries for event in await replayed(store)] == [
        (MagicEcho("$settings.b", None),),
        (MagicEcho("$settings", {"b": None}),),
    ]


async def test_deleted_values_are_not_told(store):
    await store.append(write(value("t", 1, 1_000), value("u", 2, 1_000)))
    await store.append(write(value("t", 3, 2_000)))
    await store.append(write(value("t", 4, 3_000)))

    await store.archive.delete_values(SOURCE, "t", from_ms=0, until_ms=3_000)

    assert numbers(await replayed(store)) == [[2], [4]]


async def test_of_a_deleted_thing_nothing_is_told(store):
    await store.append(setting("$settings.a", 1, value("t", 1)))
    await store.append(write(value("t", 2), thing=OTHER_THING))

    while not await store.purge(THING):
        pass
    await store.append(write(value("t", 3)))

    assert numbers(await replayed(store)) == [[2], [3]]


async def test_another_process_tells_the_same(open_store):
    store = await open_store()
    heard = overhear(store)
    await store.append(write(value("t", 1)))
    await store.append(setting("$settings.a", 1))
    await store.close()

    again = await open_store()

    assert await replayed(again) == heard
    assert await again.replay.head() == 2


async def test_a_cursor_of_another_history_is_a_gap(store):
    await store.append(write(value("t", 1)))

    at_head = await store.replay.missed(BOTH, key=None, after=1)
    beyond = await store.replay.missed(BOTH, key=None, after=2)

    assert (at_head.has_gap, beyond.has_gap) == (False, True)
    assert beyond.events == []


@pytest.mark.parametrize(("after", "has_gap"), [(0, True), (1, True), (2, False), (5, False)])
async def test_what_is_trimmed_is_a_gap_for_cursors_before_it(open_store, after, has_gap):
    store = await open_store(replay_values=3)
    for number in range(5):
        await store.append(write(value("t", number)))

    page = await store.replay.missed(BOTH, key=None, after=after)

    assert page.has_gap is has_gap
    assert numbers(page.events) == [[number] for number in range(max(2, after), 5)]


@pytest.mark.parametrize(("writes", "kept"), [(3, 3), (4, 3)])
async def test_as_many_values_stay_as_asked(open_store, writes, kept):
    store = await open_store(replay_values=3)
    for number in range(writes):
        await store.append(write(value("t", number)))

    assert len(await replayed(store)) == kept


async def test_a_gap_is_known_after_a_restart(open_store):
    store = await open_store(replay_values=2)
    for number in range(4):
        await store.append(write(value("t", number)))
    await store.close()

    again = await open_store(replay_values=2)

    assert (await again.replay.missed(BOTH, key=None, after=1)).has_gap
    assert not (await again.replay.missed(BOTH, key=None, after=2)).has_gap


async def test_many_sources_are_told_like_few(store):
    heard = overhear(store)
    await asyncio.gather(*(store.append(write(value("t", n))) for n in range(3)))
    await store.append(write(value("u", 9), thing=OTHER_THING))
    others = [Source(ThingId(f"other {n}"), (0,)) for n in range(200)]

    assert await replayed(store, [SOURCE, *others]) == heard[:3]
    assert await replayed(store, [SOURCE, OTHER_SOURCE, *others], "u") == heard[3:]


async def test_epochs_of_a_source_named_twice_are_all_told(store):
    await store.append(write(value("t", 1)))
    await store.append(write(value("t", 2), epochs=(0, 1)))

    assert numbers(await replayed(store, [SOURCE, Source(THING, (1,))])) == [[1], [2]]


KEYS = st.sampled_from(["t", "u"])
TIMES = st.integers(1, 3)
VALUES = st.lists(
    st.builds(
        NewValue,
        KEYS,
        st.sampled_from([1, 1.0, "x", None, True, {"a": [1]}]),
        TIMES,
        st.sampled_from([None, HERE]),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def writes(draw):
    thing = draw(st.sampled_from([THING, OTHER_THING]))
    epochs = draw(st.sampled_from([(0,), (0, 1), (1,)]))
    values = draw(VALUES)
    # Each magic resource is written at most once, so that it has its present value for ever.
    magic = draw(st.booleans())
    return thing, epochs, values, magic, draw(st.integers(0, 4)), draw(st.booleans())


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    batches=st.lists(st.lists(writes(), min_size=1, max_size=4), min_size=1, max_size=5),
    reopened=st.integers(0, 5),
)
@pytest.mark.parametrize("engine", ENGINES)
async def test_for_any_cursor_what_is_told_is_what_was_heard(
    tmp_path_factory, engine, batches, reopened
):
    async with value_stores(engine, tmp_path_factory.mktemp("replay")) as opener:
        store = await opener()
        heard = overhear(store)
        count = 0
        for number, batch in enumerate(batches):
            if number == reopened:
                await store.close()
                store = await opener()
                before, heard = heard, overhear(store)
                heard[:] = before
            requests = []
            for thing, epochs, values, magic, at, is_broadcast in batch:
                count += 1
                requests.append(_request(thing, epochs, values, magic and count, at, is_broadcast))
            await asyncio.gather(*map(store.append, requests))

        sources = [Source(THING, (0, 1)), Source(OTHER_THING, (0,))]
        visible = [one for one in heard if one.epoch in sources[one.thing_id == OTHER_THING].epochs]
        for after in {0, *(one.sequence for one in heard)}:
            expected = [one for one in visible if one.sequence > after]
            assert await replayed(store, sources, after=after) == expected


def _request(thing, epochs, values, magic, at, is_broadcast):
    if not magic:
        return Write(thing, tuple(values), is_broadcast=is_broadcast, epochs=epochs)
    # In a document of its own name, because only the newest epoch's document is seen.
    name = f"$d{magic}"
    order = list(range(len(values)))
    order.insert(min(at, len(values)), MagicEcho(f"{name}.a", magic))
    change = DocumentChange(name, ("a",), magic, 999)
    return Write(thing, tuple(values), (change,), tuple(order), is_broadcast, epochs)
