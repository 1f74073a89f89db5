"""`$geo`, `$settings` and the description (`thethings-v2.md` 3.6 and 4)."""

import pytest

from support.wire import values

pytestmark = pytest.mark.asyncio(loop_scope="module")

POINT = {"type": "Point", "coordinates": [2.154007, 41.390205]}


async def read(wire, thing, key):
    got = await wire.ask("GET", f"{thing}/resources/{key}")
    assert got.status == 200, got.body
    return got.json


@pytest.mark.parametrize(
    "member",
    [
        {"value": POINT},
        {"value": [2.154007, 41.390205]},
        {"value": None, "geo": {"lat": 41.390205, "long": 2.154007}},
        {"value": None, "geo": {"lat": "41.390205", "long": "2.154007"}},
        {"geo": {"lat": 41.390205, "long": 2.154007}},
    ],
    ids=str,
)
async def test_every_form_of_position_is_kept_as_geojson(wire, thing, member):
    got = await wire.ask("POST", thing, {"values": [{"key": "$geo", **member}]})

    assert got.status == 201
    assert await read(wire, thing, "$geo") == [{"key": "$geo", "value": POINT}]


@pytest.mark.parametrize(
    "value",
    [
        {"type": "Polygon", "coordinates": []},
        [1],
        [181, 0],
        [0, 91],
        "here",
        {},
        None,
        ["a", "b"],
        [1, 2, 3, 4],
    ],
    ids=str,
)
async def test_what_is_no_position_is_refused(wire, thing, value):
    got = await wire.ask("POST", thing, values(("$geo", value)))

    assert got.status == 400
    assert got.message.startswith("Invalid values: values[0]")
    assert await read(wire, thing, "$geo") == [{"key": "$geo", "value": None}]


@pytest.mark.parametrize("key", ["$geo", "%24geo", "$settings", "%24settings.a.b"])
async def test_a_magic_resource_that_was_never_set_reads_as_null(wire, thing, key):
    assert await read(wire, thing, key) == [{"key": key.replace("%24", "$"), "value": None}]


async def test_settings_are_replaced_as_a_whole(wire, thing):
    await wire.ask("POST", thing, values(("$settings", {"a": 1, "b": 2})))
    await wire.ask("POST", thing, values(("$settings", {"c": 3})))

    assert await read(wire, thing, "$settings") == [{"key": "$settings", "value": {"c": 3}}]


async def test_a_path_sets_one_value_and_leaves_the_others(wire, thing):
    await wire.ask("POST", thing, values(("$settings", {"a": {"x": 1}, "b": 2})))
    await wire.ask("POST", thing, values(("$settings.a.y", [1]), ("$settings.new.deep.er", "z")))

    [whole] = await read(wire, thing, "$settings")
    [one] = await read(wire, thing, "$settings.a.y")
    assert whole["value"] == {"a": {"x": 1, "y": [1]}, "b": 2, "new": {"deep": {"er": "z"}}}
    assert one == {"key": "$settings.a.y", "value": [1]}


async def test_later_changes_of_one_request_see_earlier_ones(wire, thing):
    await wire.ask(
        "POST",
        thing,
        values(("$settings.a", 1), ("$settings", {"b": 2}), ("$settings.c", 3)),
    )

    [whole] = await read(wire, thing, "$settings")
    assert whole["value"] == {"b": 2, "c": 3}


async def test_nothing_is_set_below_what_is_no_object(wire, thing):
    await wire.ask("POST", thing, values(("$settings.a", 1)))

    got = await wire.ask("POST", thing, values(("ordinary", 1), ("$settings.a.b", 2)))

    assert got.status == 400
    assert (await wire.ask("GET", f"{thing}/resources")).json["resources"] == []


@pytest.mark.parametrize(
    "key",
    [
        "$",
        "$$",
        "$GEO",
        "$geo.x",
        "$settings.",
        "$settings..a",
        "$constructor",
        "$__class__",
        "$settingsx",
    ],
)
async def test_an_unknown_magic_name_is_400_to_write_and_404_to_read(wire, thing, key):
    written = await wire.ask("POST", thing, values((key, {"a": 1})))
    got = await wire.ask("GET", f"{thing}/resources/{key}")

    assert (written.status, got.status) == (400, 404)


async def test_magic_and_ordinary_values_share_a_request(wire, thing):
    await wire.ask("POST", thing, values(("a", 1), ("$settings.name", "My thing"), ("b", 2)))

    assert (await wire.ask("GET", f"{thing}/resources")).json["resources"] == ["a", "b"]
    assert (await read(wire, thing, "$settings.name"))[0]["value"] == "My thing"


async def test_settings_of_16_kib_are_taken_and_one_byte_more_is_not(wire, thing):
    frame = len('{"t":""}')

    good = await wire.ask("POST", thing, values(("$settings", {"t": "x" * (16_384 - frame)})))
    bad = await wire.ask("POST", thing, values(("$settings", {"t": "x" * (16_385 - frame)})))

    assert (good.status, bad.status) == (201, 400)


async def test_the_description_reads_back_as_it_was_put(wire, thing):
    address = f"{thing}/resources/description"
    whole = {"name": "Greenhouse", "public": {"maxPower": 12}, "$x": [1]}

    put = await wire.ask("PUT", address, {"old": 1})
    again = await wire.ask("PUT", address, whole)

    assert (put.status, again.body) == (200, b'{"status":"success","message":"updated"}')
    assert (await wire.ask("GET", address)).json == [{"key": "description", "value": whole}]


async def test_a_thing_without_a_description_has_an_empty_list(wire, thing):
    got = await wire.ask("GET", f"{thing}/resources/description")

    assert (got.status, got.body) == (200, b"[]")


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"x"', b"", b"{", b'{"a":1,"a":2}'])
async def test_a_description_that_is_no_object_is_refused(wire, thing, body):
    got = await wire.ask("PUT", f"{thing}/resources/description", body)

    assert got.status == 400


async def test_a_description_of_16_kib_is_taken_and_one_byte_more_is_not(wire, thing):
    address = f"{thing}/resources/description"
    frame = len('{"t":""}')

    good = await wire.ask("PUT", address, {"t": "x" * (16_384 - frame)})
    bad = await wire.ask("PUT", address, {"t": "x" * (16_385 - frame)})

    assert (good.status, bad.status) == (200, 413)
