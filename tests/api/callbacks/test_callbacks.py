"""What all the addresses for providers have in common."""

import asyncio

import pytest

from support.wire import ask, compact, connect, subscribed
from thingstead.features.products.model import ProductChange

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = ("http", "sgfx", "sgfx/geo", "lora")
MESSAGE = {"id": "4D9F7C", "data": "171318", "lat": 41.4, "lng": 2.2, "radius": 9}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CREATED = (201, b'{"status":"created"}')
SUCCESS = (200, b'{"status":"success"}')


@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_is_stored_and_answered_after_that(provider, kind):
    got = await provider.post(kind, MESSAGE, idname="id")

    assert (got.status, got.body) == CREATED
    assert await provider.kept("4D9F7C")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_wrong_hash_and_an_unknown_product_are_answered_alike(provider, kind):
    target = provider.address(kind)
    wrong = await provider.wire.ask("POST", provider.address(kind, "A" * 14), MESSAGE)
    unknown = await provider.wire.ask(
        "POST", target.replace(str(provider.product.id), "99999"), MESSAGE
    )

    assert (wrong.status, wrong.message) == (404, "Invalid product or hash")
    assert (unknown.status, unknown.body) == (wrong.status, wrong.body)
    assert await provider.things() == {}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_new_hash_is_in_force_at_once(provider, kind):
    old = provider.address(kind)
    await provider.server.platform.products.change(
        provider.product.id, ProductChange(), has_new_hash=True
    )

    assert (await provider.wire.ask("POST", old, MESSAGE)).status == 404


@pytest.mark.parametrize("kind", KINDS)
async def test_looking_at_an_address_stores_nothing(provider, kind):
    got = await provider.wire.ask("HEAD", provider.address(kind, **MESSAGE, idname="id"))

    assert got.status == 405
    assert await provider.things() == {}


@pytest.mark.parametrize("kind", KINDS)
async def test_other_methods_are_refused(provider, kind):
    got = await provider.wire.ask("PUT", provider.address(kind), MESSAGE)

    assert (got.status, got.get("Allow")) == (405, "GET, POST, OPTIONS")


async def test_the_answer_to_a_wrong_hash_does_not_hold_it(provider):
    got = await provider.wire.ask("POST", provider.address("http", "secretsecretse"), MESSAGE)

    assert b"secretsecretse" not in got.head + got.body


async def test_concurrent_first_messages_make_one_thing(provider):
    target = provider.address("sgfx")

    got = await asyncio.gather(
        *(
            ask(provider.server.address, "POST", target, {"id": "4D9F7C", "seqNumber": number})
            for number in range(4)
        )
    )

    assert [one.status for one in got] == [201] * 4
    assert list(await provider.things()) == ["4D9F7C"]
    assert sorted((await provider.kept("4D9F7C"))["seqNumber"]) == [0, 1, 2, 3]
    products = provider.server.platform.products
    assert len([code async for code in products.unused_codes(provider.product.id)]) == 4


async def test_a_new_device_is_refused_when_no_code_is_left(provider):
    for number in range(5):
        assert (await provider.get("sgfx", id=f"d{number}", data="00")).status == 201

    got = await provider.get("sgfx", id="one too many", data="00")

    assert (got.status, got.message) == (403, "Insufficient Activation Codes")
    assert (await provider.get("sgfx", id="d0", data="01")).status == 201


async def test_a_new_device_is_unknown_without_automatic_activation(provider):
    await provider.change(is_automatic=False)

    got = await provider.get("sgfx", id="4D9F7C", data="00")

    assert (got.status, got.message) == (404, "Thing not found")


async def test_a_deleted_things_device_id_is_free_again(provider):
    await provider.get("sgfx", id="4D9F7C", data="00")
    things = provider.server.platform.things
    [first] = [new async for new in things.all(provider.product.id)]
    await things.delete(first.thing.id)

    got = await provider.get("sgfx", id="4D9F7C", data="01")

    assert got.status == 201
    assert await provider.kept("4D9F7C") == {"data": ["01"]}


@pytest.mark.parametrize("device_id", ["", " ", "a\nb", "x" * 129], ids=ascii)
async def test_what_cannot_be_a_device_id_is_refused(provider, device_id):
    got = await provider.post("sgfx", {"id": device_id, "data": "00"})

    assert (got.status, got.message.partition(":")[0]) == (400, "Invalid device id")
    assert await provider.things() == {}


async def test_a_device_id_may_have_128_characters(provider):
    assert (await provider.post("sgfx", {"id": "x" * 128, "data": "00"})).status == 201


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "text/plain", "application/x-www-form-urlencoded", "image/png", ""],
)
async def test_json_is_taken_under_any_label(provider, content_type):
    body = b' {"id":"4D9F7C","rssi":-50}'
    headers = {"Content-Type": content_type}

    got = await provider.wire.ask("POST", provider.address("sgfx"), body, headers)

    assert (got.status, got.body) == CREATED


@pytest.mark.parametrize("content_type", [FORM["Content-Type"], "text/plain", "application/json"])
async def test_a_form_is_taken_under_any_label(provider, content_type):
    body = b"id=4D9F7C&rssi=-50&data=171318"
    headers = {"Content-Type": content_type}

    got = await provider.wire.ask("POST", provider.address("sgfx"), body, headers)

    assert (got.status, got.body) == CREATED
    assert await provider.kept("4D9F7C") == {"rssi": [-50], "data": ["171318"]}


async def test_message_pack_is_taken_under_its_label(provider):
    body = b"\x82\xa2id\xa64D9F7C\xa4rssi\xd0\xce"
    headers = {"Content-Type": "application/msgpack"}

    got = await provider.wire.ask("POST", provider.address("sgfx"), body, headers)

    assert (got.status, await provider.kept("4D9F7C")) == (201, {"rssi": [-50]})


@pytest.mark.parametrize("body", [b"[1]", b'{"id":', b"\xff\xfe", b"hello", b'{"id":1,"id":2}'])
async def test_what_is_no_object_and_no_form_is_refused(provider, body):
    got = await provider.wire.ask("POST", provider.address("sgfx", id="4D9F7C"), body)

    assert got.status == 400
    assert await provider.things() == {}


async def test_members_of_the_query_join_those_of_the_body_which_stand_before_them(provider):
    await provider.post("http", {"a": 1, "b": 2}, idname="id", id="4D9F7C", b=7, c="x", fname="f")

    assert await provider.kept("4D9F7C") == {"a": [1], "b": [2], "c": ["x"]}


async def test_a_message_with_nothing_to_store_is_a_success(provider):
    got = await provider.get("http", idname="id", id="4D9F7C")

    assert (got.status, got.body) == SUCCESS


async def test_a_body_as_large_as_it_may_be_is_taken_and_a_larger_one_is_not(provider):
    most = 64 * 1024
    start, end = b'{"id":"4D9F7C","rssi":-50', b"}"
    body = start + b" " * (most - len(start) - len(end)) + end

    fits = await ask(provider.server.address, "POST", provider.address("sgfx"), body)
    larger = await ask(provider.server.address, "POST", provider.address("sgfx"), body + b" ")

    assert (fits.status, larger.status) == (201, 413)


async def test_a_message_may_have_as_many_values_as_a_write_and_no_more(provider):
    half = {f"k{number}": number for number in range(500)}
    members = {"id": "4D9F7C", "a": half, "b": half}

    fits = await provider.post("http", members, idname="id")
    more = await provider.post("http", {**members, "more": 1}, idname="id")

    assert (fits.status, more.status) == (201, 400)
    assert "values" in more.message


async def test_live_streams_hear_what_a_provider_brings(provider):
    await provider.get("sgfx", id="4D9F7C", data="00")
    token = (await provider.things())["4D9F7C"]

    async with subscribed(provider.server.address, token) as stream:
        await provider.get("sgfx", id="4D9F7C", data="01")
        [value] = await stream.next_values()

    assert (value["key"], value["value"]) == ("data", "01")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_whose_hash_ends_before_its_body_is_refused(provider, kind):
    raw = compact({**MESSAGE, "thingToken": "A" * 43})
    head = f"POST {provider.address(kind, idname='id')} HTTP/1.1\r\nContent-Length: {len(raw)}"
    async with connect(provider.server.address) as slow:
        await slow.send(f"{head}\r\n\r\n".encode() + raw[:5])
        await provider.server.platform.products.change(
            provider.product.id, ProductChange(), has_new_hash=True
        )

        await slow.send(raw[5:])

        assert (await slow.read()).status == 404
    assert await provider.things() == {}


async def test_a_call_with_a_wrong_hash_is_refused_before_its_body_has_come(provider):
    head = f"POST {provider.address('http', 'A' * 14)} HTTP/1.1\r\nContent-Length: 50"
    async with connect(provider.server.address) as slow:
        await slow.send(f"{head}\r\n\r\n".encode())

        assert (await slow.read()).status == 404
