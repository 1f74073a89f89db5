"""What every `ValueArchive` promises: reading over many things, whole timelines, deleting."""

import asyncio

import pytest

from contract.value_stores import ENGINES, OTHER_THING, THING, timed, value, value_stores, write
from doubles.values import decoded
from thingstead.features.values.model import (
    ArchivedValue,
    DocumentChange,
    Mark,
    Position,
    Source,
    Window,
    Write,
)
from thingstead.kernel.ids import ThingId
from thingstead.kernel.json_values import JSONText

ALL = Window(limit=10_000)
HERE = Position(41.5, 2.25)
MINE = Source(THING, (0,))
# More than one look-up takes, and no multiple of it.
MANY = [Source(ThingId(f"thing {number:03d}"), (0,)) for number in range(450)]


@pytest.fixture(params=ENGINES)
async def store(request, tmp_path):
    """One store, empty."""
    async with value_stores(request.param, tmp_path) as opener:
        yield await opener()


@pytest.fixture
def archive(store):
    return store.archive


async def fill(store, *writes):
    await asyncio.gather(*[store.append(one) for one in writes])


async def found(archive, sources, window=ALL, key="t"):
    """Return what `newest_of` gives as pairs of thing and value."""
    return [(thing, row[0]) for thing, row in await archive.newest_of(sources, key, window)]


async def values_of(store, epochs=(0,), key="t", window=ALL):
    reading = await store.newest(THING, epochs, key, window)
    return None if reading is None else [row[0] for row in reading.rows]


# The newest over many things.


async def test_the_newest_of_several_things_come_with_their_thing_newest_first(store, archive):
    await fill(
        store,
        write(timed("t", "a", 1_000, HERE), timed("t", "c", 3_000)),
        write(timed("t", "b", 2_000), timed("t", "d", 4_000), thing=OTHER_THING),
    )

    assert await archive.newest_of([MINE, Source(OTHER_THING, (0,))], "t", ALL) == [
        (OTHER_THING, ("d", 4_000, None, None)),
        (THING, ("c", 3_000, None, None)),
        (OTHER_THING, ("b", 2_000, None, None)),
        (THING, ("a", 1_000, 41.5, 2.25)),
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
async def test_the_newest_are_those_of_all_things_together(store, archive, limit):
    await fill(store, write(*(timed("t", n, n) for n in (1, 2, 9))))
    await fill(store, write(*(timed("t", n, n) for n in (3, 8)), thing=OTHER_THING))
    both = [MINE, Source(OTHER_THING, (0,))]

    for sources in (both, both[::-1]):
        given = await found(archive, sources, Window(limit))

        assert [one for _, one in given] == [9, 8, 3, 2, 1][:limit]


async def test_of_equal_times_over_many_things_the_last_written_comes_first(store, archive):
    for number in (1, 0, 2, 0, 1):
        await store.append(write(value("t", number), thing=MANY[number].thing_id))

    for limit in (1, 2, 3, 4, 5):
        given = await found(archive, MANY[:3], Window(limit))

        assert [one for _, one in given] == [1, 0, 2, 0, 1][::-1][:limit]


async def test_only_what_lies_in_the_window_is_among_the_newest(store, archive):
    await fill(store, write(*(timed("t", n, n) for n in range(5))))
    await fill(store, write(*(timed("t", n, n) for n in range(5, 10)), thing=OTHER_THING))

    given = await found(archive, [MINE, Source(OTHER_THING, (0,))], Window(3, 2, 7))

    assert [one for _, one in given] == [6, 5, 4]


async def test_of_other_things_keys_and_epochs_nothing_is_among_the_newest(store, archive):
    await fill(
        store,
        write(value("t", "mine"), epochs=(0, 2)),
        write(value("t", "an earlier owner's"), epochs=(1,)),
        write(value("u", "another key")),
        write(value("t", "another thing's"), thing=OTHER_THING),
    )

    assert await found(archive, [Source(THING, (0, 2))]) == [(THING, "mine")]


async def test_the_newest_are_found_over_more_things_than_one_look_up_takes(store, archive):
    order = [(number * 7) % len(MANY) for number in range(len(MANY))]
    await fill(store, *[write(timed("t", n, n), thing=MANY[n].thing_id) for n in order])

    for limit in (1, 10, 250, 1_000):
        for sources in (MANY, MANY[::-1]):
            given = await found(archive, sources, Window(limit))

            assert [one for _, one in given] == list(range(449, -1, -1))[:limit]
            assert all(thing == MANY[one].thing_id for thing, one in given)


@pytest.mark.parametrize("first", [0, 449])
async def test_of_equal_times_the_last_written_comes_first_whatever_look_up_finds_it(
    store, archive, first
):
    for number in (first, 449 - first):
        await store.append(write(value("t", number), thing=MANY[number].thing_id))

    assert [one for _, one in await found(archive, MANY, Window(1))] == [449 - first]


@pytest.mark.parametrize("sent", [None, True, 1, 1.0, "1", [True], {"a": [1.5]}], ids=repr)
async def test_the_newest_keep_their_json_type(store, archive, sent):
    await store.append(write(value("t", sent)))

    ((_, row),) = await archive.newest_of([MINE], "t", ALL)

    assert repr(decoded(row[0])) == repr(sent)


async def test_of_no_things_there_is_nothing(archive):
    assert await archive.newest_of([], "t", ALL) == []
    assert await archive.newest_of([MINE], "t", ALL) == []
    assert await archive.keys_of([]) == []
    assert await archive.documents_of([], "$geo") == []


# Keys and documents of many things.


async def test_keys_come_in_the_order_of_the_things_that_have_any(store, archive):
    await fill(
        store,
        write(value("b"), value("a")),
        write(value("c"), epochs=(1,)),
        write(value("z"), thing=OTHER_THING),
    )
    never = Source(ThingId("never"), (0,))

    given = await archive.keys_of([Source(OTHER_THING, (0,)), never, Source(THING, (0, 1))])

    assert given == [(OTHER_THING, ["z"]), (THING, ["a", "b", "c"])]


async def test_keys_of_other_epochs_are_not_given(store, archive):
    await store.append(write(value("theirs"), epochs=(0,)))

    assert await archive.keys_of([Source(THING, (1,))]) == []


async def test_keys_are_found_over_more_things_than_one_look_up_takes(store, archive):
    await fill(store, *[write(value("t"), thing=one.thing_id) for one in MANY])

    assert await archive.keys_of(MANY) == [(one.thing_id, ["t"]) for one in MANY]


def document(what, thing=THING, epochs=(0,)):
    return Write(thing, (), (DocumentChange("$geo", (), what, 999),), epochs=epochs)


async def test_documents_come_in_the_order_of_the_things_that_have_it(store, archive):
    await fill(
        store,
        document({"a": 1}),
        document({"b": [True, 1.0]}, OTHER_THING),
        document(None, ThingId("null")),
        Write(ThingId("other"), (), (DocumentChange("$settings", (), {}, 99),)),
    )
    names = [OTHER_THING, ThingId("null"), ThingId("other"), THING]

    given = await archive.documents_of([Source(name, (0,)) for name in names], "$geo")

    assert given == [(OTHER_THING, JSONText(b'{"b":[true,1.0]}')), (THING, JSONText(b'{"a":1}'))]


async def test_documents_are_those_of_the_newest_epoch_that_may_be_seen(store, archive):
    for epoch in (0, 1, 2):
        await store.append(document({"of": epoch}, epochs=(epoch,)))

    ((_, document_text),) = await archive.documents_of([Source(THING, (0, 1))], "$geo")
    assert document_text.decoded() == {"of": 1}
    assert await archive.documents_of([Source(THING, (3,))], "$geo") == []


async def test_documents_are_found_over_more_things_than_one_look_up_takes(store, archive):
    await fill(store, *[document({"n": n}, one.thing_id) for n, one in enumerate(MANY)])

    given = await archive.documents_of(MANY, "$geo")

    assert [(thing_id, text.decoded()) for thing_id, text in given] == [
        (one.thing_id, {"n": n}) for n, one in enumerate(MANY)
    ]


# Pages.


async def pages(archive, source, limit, key="t"):
    """Return all pages, each from behind the last mark of the one before."""
    given, after = [], None
    while page := await archive.page(source, key, after=after, limit=limit):
        given.append(page)
        after = page[-1].mark
    return given


async def test_a_page_holds_the_oldest_values_with_their_marks(store, archive):
    appended = await store.append(write(timed("t", [1], 2_000, HERE), timed("t", 5, 1_000)))

    assert await archive.page(MINE, "t", after=None, limit=9) == [
        ArchivedValue(Mark(1_000, appended.sequence), 5),
        ArchivedValue(Mark(2_000, appended.sequence - 1), JSONText(b"[1]"), HERE),
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 12, 13])
async def test_pages_give_every_value_once_in_order(store, archive, limit):
    # Many at one time, and times sent in no order.
    times = [5, 1, 5, 5, -3, 5, 9, 5, 1, 5, 2, 5]
    for number, at_ms in enumerate(times):
        await store.append(write(value("t", number, at_ms), epochs=(number % 3,)))

    given = await pages(archive, Source(THING, (0, 1, 2)), limit)

    assert [one.value for page in given for one in page] == [4, 1, 8, 10, 0, 2, 3, 5, 7, 9, 11, 6]
    assert [len(page) for page in given[:-1]] == [limit] * (len(given) - 1)


async def test_pages_hold_nothing_of_other_keys_things_and_epochs(store, archive):
    await fill(
        store,
        write(value("t", "mine"), value("u", "another key")),
        write(value("t", "theirs"), epochs=(1,)),
        write(value("t", "another thing's"), thing=OTHER_THING),
    )

    ((one,),) = await pages(archive, MINE, 9)

    assert one.value == "mine"


async def test_a_page_goes_on_behind_a_mark_whose_value_is_gone(store, archive):
    await store.append(write(*(timed("t", n, n) for n in range(4))))
    marks = [one.mark for one in await archive.page(MINE, "t", after=None, limit=2)]
    await archive.delete_values(MINE, "t", from_ms=None, until_ms=3)

    (rest,) = await archive.page(MINE, "t", after=marks[-1], limit=9)

    assert rest.value == 3


async def test_a_key_that_was_never_written_has_an_empty_page(archive):
    assert await archive.page(MINE, "t", after=None, limit=9) == []


# Deleting.


@pytest.mark.parametrize(
    ("from_ms", "until_ms", "left"),
    [
        (None, None, []),
        (2_000, None, [1_000]),
        (2_001, None, [2_000, 1_000]),
        (None, 2_000, [3_000, 2_000]),
        (None, 2_001, [3_000]),
        (2_000, 2_001, [3_000, 1_000]),
        (2_000, 2_000, [3_000, 2_000, 1_000]),
        (3_000, 1_000, [3_000, 2_000, 1_000]),
        (3_001, None, [3_000, 2_000, 1_000]),
    ],
)
async def test_a_window_s_values_are_deleted_from_its_start_to_before_its_end(
    store, archive, from_ms, until_ms, left
):
    await store.append(write(*(value("t", at_ms, at_ms) for at_ms in (1_000, 2_000, 3_000))))

    deleted = await archive.delete_values(MINE, "t", from_ms=from_ms, until_ms=until_ms)

    assert deleted == 3 - len(left)
    assert await values_of(store) == left


async def test_deleting_leaves_other_keys_things_and_epochs_alone(store, archive):
    await fill(
        store,
        write(value("t", "mine"), value("u", "another key")),
        write(value("t", "mine too"), epochs=(2,)),
        write(value("t", "theirs"), epochs=(1,)),
        write(value("t", "another thing's"), thing=OTHER_THING),
    )

    deleted = await archive.delete_values(Source(THING, (0, 2)), "t", from_ms=None, until_ms=None)

    assert deleted == 2
    assert await values_of(store, (0, 2)) == []
    assert await values_of(store, (1,)) == ["theirs"]
    assert await values_of(store, key="u") == ["another key"]
    assert len((await store.newest(OTHER_THING, (0,), "t", ALL)).rows) == 1


async def test_a_key_whose_values_are_all_deleted_is_still_known(store, archive):
    await store.append(write(value("t")))

    await archive.delete_values(MINE, "t", from_ms=None, until_ms=None)

    assert await values_of(store) == []
    assert await store.keys(THING, (0,)) == ["t"]


async def test_a_key_that_was_never_written_has_nothing_to_delete(store, archive):
    assert await archive.delete_values(MINE, "t", from_ms=None, until_ms=None) == 0
    assert await values_of(store) is None


async def test_what_was_read_before_a_deletion_is_not_read_after_it(store, archive):
    await store.append(
        write(value("t", 1, 1), value("t", 2, 2)),
    )
    windows = [Window(1), Window(2), Window(9, 0, 9)]
    for window in windows:
        await values_of(store, window=window)
        await values_of(store, (0, 1), window=window)

    await archive.delete_values(MINE, "t", from_ms=2, until_ms=None)

    for window in windows:
        assert await values_of(store, window=window) == [1]
        assert await values_of(store, (0, 1), window=window) == [1]
    assert await found(archive, [MINE]) == [(THING, 1)]


async def test_a_read_under_way_during_a_deletion_does_not_bring_back_what_was_deleted(
    store, archive
):
    await store.append(write(value("t", 1)))
    early = store.newest(THING, (0,), "t", Window())

    await asyncio.gather(early, archive.delete_values(MINE, "t", from_ms=None, until_ms=None))

    assert await values_of(store, window=Window()) == []


async def test_a_deleted_value_that_is_sent_again_is_stored_again(store, archive):
    await store.append(write(timed("t", 1)))
    await archive.delete_values(MINE, "t", from_ms=None, until_ms=None)

    appended = await store.append(write(timed("t", 1)))

    assert appended.repeats == frozenset()
    assert await values_of(store) == [1]


async def test_many_values_of_one_time_are_all_deleted(store, archive):
    for _ in range(3):
        await store.append(write(*(value("t", number) for number in range(900))))

    assert await archive.delete_values(MINE, "t", from_ms=1_000, until_ms=1_001) == 2_700
    assert await values_of(store) == []
