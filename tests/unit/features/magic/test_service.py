"""What a magic key means, written and read."""

import pytest

from doubles.values import MemoryValueStore
from thingstead.features.magic.errors import (
    DocumentTooLargeError,
    InvalidDescriptionError,
    InvalidPositionError,
    InvalidSettingsError,
    MagicResourceNotFoundError,
    UnknownMagicKeyError,
)
from thingstead.features.magic.service import Magic, change_of
from thingstead.features.things.model import Thing
from thingstead.features.values.model import ABSENT, DocumentChange, IncomingValue, Write
from thingstead.kernel.ids import ProductId, ThingId

THING = Thing(ThingId("one"), ProductId(1), 0)
UNKNOWN_KEYS = [
    "$",
    "$$",
    "$Geo",
    "$geo.",
    "$geo.coordinates",
    "$setting",
    "$settings.",
    "$settings..",
    "$settings..a",
    "$settings.a.",
    "$settings.a..b",
    "$settingsa",
    "$settings/a",
    "$settings." + "a" * 247,
    "$settings" + ".a" * 17,
    "$__class__",
    "$description",
]


def change(key, value=ABSENT, **more):
    return change_of(IncomingValue(key, value, **more), "values[0]", max_bytes=99)


@pytest.fixture
def store():
    return MemoryValueStore()


@pytest.fixture
def magic(store):
    return Magic(store, max_document_bytes=20)


def test_geo_becomes_a_point():
    point = {"type": "Point", "coordinates": [2, 41]}

    assert change("$geo", [2, 41]) == DocumentChange("$geo", (), point, 99)


@pytest.mark.parametrize("value", [None, ABSENT])
def test_geo_without_a_value_is_taken_from_the_position(value):
    point = {"type": "Point", "coordinates": [2, 41]}

    assert change("$geo", value, geo={"lat": 41, "long": 2}).value == point


@pytest.mark.parametrize("value", [None, ABSENT])
def test_geo_with_neither_value_nor_position_is_refused(value):
    with pytest.raises(InvalidPositionError):
        change("$geo", value)


def test_settings_replace_the_document():
    assert change("$settings", {"a": 1}) == DocumentChange("$settings", (), {"a": 1}, 99)


@pytest.mark.parametrize("value", [None, 1, "text", True, [], [{"a": 1}]])
def test_settings_that_are_no_object_are_refused(value):
    with pytest.raises(InvalidSettingsError, match=r"\$settings takes an object"):
        change("$settings", value)


@pytest.mark.parametrize("key", ["$settings", "$settings.a"])
def test_settings_without_a_value_are_refused(key):
    with pytest.raises(InvalidSettingsError, match=r"values\[0\]\.value: missing"):
        change(key)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("$settings.a", ("a",)),
        ("$settings.a.b", ("a", "b")),
        ("$settings.$geo", ("$geo",)),
        ("$settings.\u00fc.1", ("\u00fc", "1")),
        ("$settings. ", (" ",)),
        ("$settings.__class__", ("__class__",)),
        ("$settings." + "a" * 246, ("a" * 246,)),
        ("$settings" + ".a" * 16, ("a",) * 16),
    ],
)
@pytest.mark.parametrize("value", [None, 5, {"x": 1}])
def test_a_path_below_settings_sets_one_member(key, path, value):
    assert change(key, value) == DocumentChange("$settings", path, value, 99)


@pytest.mark.parametrize("key", UNKNOWN_KEYS)
def test_any_other_magic_key_is_refused_on_the_way_in(key):
    with pytest.raises(UnknownMagicKeyError, match=r"values\[0\]\.key: no such magic resource"):
        change(key, {})


@pytest.mark.parametrize("key", UNKNOWN_KEYS)
async def test_any_other_magic_key_is_unknown_on_the_way_out(magic, key):
    with pytest.raises(MagicResourceNotFoundError):
        await magic.read(THING, key)


@pytest.mark.parametrize("key", ["$geo", "$settings", "$settings.a", "$settings.a.b"])
async def test_what_was_never_set_reads_as_none(magic, key):
    assert await magic.read(THING, key) is None


async def test_geo_reads_as_the_point_that_was_written(magic, store):
    await store.append(Write(THING.id, (), (change("$geo", ["2.5", "41"]),)))

    assert await magic.read(THING, "$geo") == {"type": "Point", "coordinates": [2.5, 41]}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("$settings", {"a": {"b": [1], "n": None}}),
        ("$settings.a", {"b": [1], "n": None}),
        ("$settings.a.b", [1]),
        ("$settings.a.n", None),
        ("$settings.a.n.x", None),
        ("$settings.a.b.0", None),
        ("$settings.x", None),
    ],
)
async def test_a_path_reads_what_stands_there(magic, store, key, expected):
    await store.append(Write(THING.id, (), (change("$settings", {"a": {"b": [1], "n": None}}),)))

    assert await magic.read(THING, key) == expected


@pytest.mark.parametrize(
    ("epochs", "place", "name"),
    [((0,), 0, "a"), ((0, 2), 0, "c"), ((1,), 1, None), ((3,), None, None)],
)
async def test_a_thing_shows_the_documents_of_its_own_epochs_only(
    magic, store, epochs, place, name
):
    thing = Thing(THING.id, ProductId(1), 0, epochs)
    for epoch, what in ((0, change("$geo", [0, 0])), (1, change("$geo", [1, 1]))):
        await store.append(Write(THING.id, (), (what,), epochs=(epoch,)))
    for epoch, what in ((0, "a"), (2, "c")):
        named = (change("$settings.name", what), magic.description_change({"name": what}))
        await store.append(Write(THING.id, (), named, epochs=(epoch,)))

    geo = await magic.read(thing, "$geo")

    assert geo == (None if place is None else {"type": "Point", "coordinates": [place, place]})
    assert await magic.read(thing, "$settings.name") == name
    assert await magic.read(thing, "$settings") == (None if name is None else {"name": name})
    assert await magic.description(thing) == (None if name is None else {"name": name})


async def test_a_thing_has_no_description_at_first(magic):
    assert await magic.description(THING) is None


async def test_a_description_reads_as_it_was_put(magic, store):
    await store.append(Write(THING.id, (), (magic.description_change({"name": "A"}),)))

    assert await magic.description(THING) == {"name": "A"}


async def test_a_description_is_replaced_whole(magic, store):
    await store.append(Write(THING.id, (), (magic.description_change({"name": "A"}),)))

    await store.append(Write(THING.id, (), (magic.description_change({"place": 1}),)))

    assert await magic.description(THING) == {"place": 1}


@pytest.mark.parametrize("description", [None, "text", 5, [], [{}]])
def test_a_description_is_an_object(magic, description):
    with pytest.raises(InvalidDescriptionError, match="expected a JSON object"):
        magic.description_change(description)


def test_a_description_may_fill_its_limit_and_no_more(magic):
    assert magic.description_change({"a": "x" * 12}).max_bytes == 20

    with pytest.raises(DocumentTooLargeError, match="at most 20 bytes"):
        magic.description_change({"a": "x" * 13})
