"""What every `ValueStore` promises about documents, and about documents next to values."""

import asyncio

import pytest

from contract.value_stores import ENGINES, OTHER_THING, THING, timed, value, value_stores
from thingstead.features.magic.errors import InvalidSettingsError
from thingstead.features.values.errors import TooManyKeysError
from thingstead.features.values.model import DocumentChange, Window, Write
from thingstead.kernel.errors import OverloadedError


@pytest.fixture(params=ENGINES)
async def open_store(request, tmp_path):
    """Open the same data as often as asked."""
    async with value_stores(request.param, tmp_path) as opener:
        yield opener


@pytest.fixture
async def store(open_store):
    """One store, empty."""
    return await open_store()


def settings(value, *path, max_bytes=16_384):
    return DocumentChange("$settings", path, value, max_bytes)


def changes(*several, thing=THING):
    return Write(thing, (), several)


async def test_a_document_that_was_never_set_is_none(store):
    assert await store.document(THING, (0,), "$settings") is None


async def test_a_document_can_be_read_as_soon_as_its_future_resolved(store):
    await store.append(changes(settings({"a": [1, 1.0, "\u00fc", None, True]})))

    read = await store.document(THING, (0,), "$settings")

    assert repr(read) == repr({"a": [1, 1.0, "\u00fc", None, True]})


async def test_a_document_set_to_null_is_none(store):
    await store.append(changes(settings({"a": 1})))

    await store.append(changes(DocumentChange("$settings", (), None, 100)))

    assert await store.document(THING, (0,), "$settings") is None


async def test_without_a_path_the_whole_document_is_replaced(store):
    await store.append(changes(settings({"a": 1, "b": 2})))

    await store.append(changes(settings({"c": 3})))

    assert await store.document(THING, (0,), "$settings") == {"c": 3}


async def test_with_a_path_the_rest_of_the_document_stays(store):
    await store.append(changes(settings({"a": {"x": 1}, "b": 2})))

    await store.append(changes(settings(9, "a", "y")))

    assert await store.document(THING, (0,), "$settings") == {"a": {"x": 1, "y": 9}, "b": 2}


async def test_later_changes_of_one_request_see_earlier_ones(store):
    await store.append(
        changes(settings({"a": 1}), settings(2, "b"), settings(3, "c", "d"), settings(4, "b"))
    )

    assert await store.document(THING, (0,), "$settings") == {"a": 1, "b": 4, "c": {"d": 3}}


async def test_requests_that_wait_together_build_on_each_other(store):
    first = store.append(changes(settings(1, "a")))
    second = store.append(changes(settings(2, "b")))

    await asyncio.gather(first, second)

    assert await store.document(THING, (0,), "$settings") == {"a": 1, "b": 2}


async def test_documents_are_told_apart_by_name_and_thing(store):
    await store.append(changes(settings({"a": 1}), DocumentChange("description", (), {"b": 2}, 99)))
    await store.append(changes(settings({"c": 3}), thing=OTHER_THING))

    assert await store.document(THING, (0,), "$settings") == {"a": 1}
    assert await store.document(THING, (0,), "description") == {"b": 2}
    assert await store.document(OTHER_THING, (0,), "$settings") == {"c": 3}


async def test_documents_are_no_keys(store):
    await store.append(changes(settings({"a": 1})))

    assert await store.keys(THING, (0,)) == []


async def test_documents_outlast_a_reopening(open_store):
    store = await open_store()
    await store.append(changes(settings({"a": 1})))
    await store.close()

    assert await (await open_store()).document(THING, (0,), "$settings") == {"a": 1}


async def test_a_document_may_fill_its_limit_to_the_byte(store):
    await store.append(changes(settings({"a": "x" * 12}, max_bytes=20)))

    with pytest.raises(InvalidSettingsError, match="more than 20 bytes"):
        await store.append(changes(settings({"a": "x" * 13}, max_bytes=20)))

    assert await store.document(THING, (0,), "$settings") == {"a": "x" * 12}


async def test_the_limit_holds_for_the_document_after_the_change(store):
    await store.append(changes(settings({"a": "x" * 12}, max_bytes=20)))

    with pytest.raises(InvalidSettingsError, match="more than 20 bytes"):
        await store.append(changes(settings(1, "b", max_bytes=20)))

    assert await store.document(THING, (0,), "$settings") == {"a": "x" * 12}


async def test_a_path_through_what_is_no_object_is_refused(store):
    await store.append(changes(settings({"a": [1]})))

    with pytest.raises(InvalidSettingsError, match=r"\$settings\.a: is no object"):
        await store.append(changes(settings(1, "a", "b")))

    assert await store.document(THING, (0,), "$settings") == {"a": [1]}


async def test_a_refused_document_keeps_the_values_of_its_request_from_being_stored(store):
    with pytest.raises(InvalidSettingsError):
        await store.append(
            Write(THING, (value("t"),), (settings(1, "good"), settings({"a": "xx"}, max_bytes=5)))
        )

    assert await store.keys(THING, (0,)) == []
    assert await store.newest(THING, (0,), "t", Window()) is None
    assert await store.document(THING, (0,), "$settings") is None


async def test_too_many_keys_keep_the_documents_of_the_request_from_being_stored(open_store):
    store = await open_store(keys_per_thing=1)

    with pytest.raises(TooManyKeysError):
        await store.append(Write(THING, (value("a"), value("b")), (settings({"a": 1}),)))

    assert await store.document(THING, (0,), "$settings") is None


async def test_values_and_documents_of_one_request_are_stored_together(store):
    await store.append(Write(THING, (value("t", 7),), (settings({"a": 1}),)))

    assert (await store.newest(THING, (0,), "t", Window())).rows == [(7, 1_000, None, None)]
    assert await store.document(THING, (0,), "$settings") == {"a": 1}


async def test_a_write_of_documents_has_a_place_in_the_order_of_writes(store):
    first = await store.append(Write(THING, (value("t"),)))
    second = await store.append(changes(settings({"a": 1})))
    third = await store.append(Write(THING, (value("t"),)))

    assert first.sequence < second.sequence < third.sequence


async def test_documents_with_nothing_but_repeats_have_a_place_in_the_order_too(store):
    first = await store.append(Write(THING, (timed("t"),)))
    second = await store.append(Write(THING, (timed("t"),), (settings({"a": 1}),)))
    third = await store.append(Write(THING, (value("t"),)))

    assert second.repeats == {0}
    assert first.sequence < second.sequence < third.sequence


async def test_changes_count_among_what_may_wait(open_store):
    store = await open_store(waiting_values=2)
    waiting = store.append(Write(THING, (value("t"),), (settings({"a": 1}),)))

    with pytest.raises(OverloadedError):
        store.append(changes(settings({"b": 1})))

    await waiting
    await store.append(changes(settings({"b": 1})))
    assert await store.document(THING, (0,), "$settings") == {"b": 1}
