"""Bodies by their Content-Type (`thethings-v2.md` 2.2; `rulings.md`, Wire)."""

import msgspec
import pytest

from support.wire import compact, values

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def newest(wire, thing, key):
    got = await wire.ask("GET", f"{thing}/resources/{key}")
    assert got.status == 200, got.body
    return got.json[0]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "text/plain",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "nonsense",
        "",
    ],
)
async def test_json_is_understood_under_any_content_type(wire, thing, content_type):
    got = await wire.ask("POST", thing, values(("k", 1)), {"Content-Type": content_type})

    assert got.status == 201
    assert (await newest(wire, thing, "k"))["value"] == 1


@pytest.mark.parametrize("kind", ["application/msgpack", "application/x-msgpack"])
async def test_messagepack_is_understood(wire, thing, kind):
    body = msgspec.msgpack.encode(values(("k", 1.5), ("t", "text")))

    got = await wire.ask("POST", thing, body, {"Content-Type": kind})

    assert got.status == 201
    assert (await newest(wire, thing, "k"))["value"] == 1.5


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x81",
        msgspec.msgpack.encode([]),
        msgspec.msgpack.encode({"values": 1}),
        msgspec.msgpack.encode(values(("k", b"raw"))),
        msgspec.msgpack.encode(values(("k", msgspec.msgpack.Ext(1, b"x")))),
        msgspec.msgpack.encode(values(("k", 2**63))),
        msgspec.msgpack.encode({"values": [{"key": "k", "value": {1: 2}}]}),
    ],
)
async def test_messagepack_that_is_no_write_is_refused(wire, thing, body):
    got = await wire.ask("POST", thing, body, {"Content-Type": "application/msgpack"})

    assert got.status == 400


@pytest.mark.parametrize(
    "form",
    [
        "values[0][key]=LED&values[0][value]=ON",
        "values%5B0%5D%5Bkey%5D=LED&values%5B0%5D%5Bvalue%5D=ON",
        "values[7][key]=LED&values[7][value]=ON",
    ],
)
async def test_a_nested_form_is_understood(wire, thing, form):
    got = await wire.ask("POST", thing, form.encode(), FORM)

    assert got.status == 201
    assert (await newest(wire, thing, "LED"))["value"] == "ON"


async def test_a_form_holds_positions_and_dates(wire, thing):
    form = (
        b"values[0][key]=k&values[0][value]=1&values[0][datetime]=20260131080000"
        b"&values[0][geo][lat]=41.4&values[0][geo][long]=2.2"
    )

    await wire.ask("POST", thing, form, FORM)

    assert await newest(wire, thing, "k") == {
        "datetime": "2026-01-31T08:00:00.000Z",
        "key": "k",
        "value": "1",
        "geo": {"lat": 41.4, "long": 2.2},
    }


@pytest.mark.parametrize(
    "form",
    [
        b"a=1",
        b"values=1",
        b"values[0]=1",
        b"values[0][value]=1",
        b"values[0][key]=k",
        b"values[0][key]=k&values[0][key]=l&values[0][value]=1",
        b"values[0][key]=k&values[0][key][x]=l",
        b"values[0[key]=k",
        b"values[0][key]=%ff&values[0][value]=1",
        b"&&&",
        b"values" + b"[0]" * 40 + b"=1",
    ],
)
async def test_a_form_that_is_no_write_is_refused(wire, thing, form):
    assert (await wire.ask("POST", thing, form, FORM)).status == 400


async def test_blanks_and_line_ends_around_json_are_nothing(wire, thing):
    got = await wire.ask("POST", thing, b"\r\n \t" + compact(values(("k", 1))) + b"\n\n")

    assert got.status == 201
