"""`POST /v2/things` (`thethings-v2.md` 3.1)."""

import pytest
import pytest_asyncio

from support.wire import compact, values

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAD = b'{"status":"error","code":400,"message":"Invalid activation code"}'


@pytest_asyncio.fixture(loop_scope="module")
async def code(server):
    return await server.new_code()


async def test_a_code_makes_a_thing_that_can_write_at_once(wire, code):
    got = await wire.ask("POST", "/v2/things", {"activationCode": code})

    assert got.status == 201
    assert list(got.json) == ["status", "message", "thingToken", "thingId"]
    assert got.json["status"] == "created"
    assert len(got.json["thingToken"]) == len(got.json["thingId"]) == 43
    assert got.json["thingToken"] != got.json["thingId"]
    written = await wire.ask("POST", f"/v2/things/{got.json['thingToken']}", values(("a", 1)))
    assert written.status == 201


async def test_a_code_is_used_up(wire, code):
    answers = [await wire.ask("POST", "/v2/things", {"activationCode": code}) for _ in range(2)]

    assert [got.status for got in answers] == [201, 400]
    assert answers[1].body == BAD


@pytest.mark.parametrize(
    "wrong", ["", "0", "x" * 20, "00000000000000000000", "a" * 5_000, "ä", "'; DROP TABLE code"]
)
async def test_an_unknown_code_is_answered_like_a_used_one(wire, wrong):
    got = await wire.ask("POST", "/v2/things", {"activationCode": wrong})

    assert (got.status, got.body) == (400, BAD)


async def test_a_code_may_be_typed_with_hyphens_blanks_and_small_letters(wire, code):
    typed = " ".join([code[:5].lower(), code[5:10] + "-" + code[10:]])

    assert (await wire.ask("POST", "/v2/things", {"activationCode": typed})).status == 201


@pytest.mark.parametrize("kind", [str, int])
async def test_the_product_may_be_named_as_text_or_number(server, wire, code, kind):
    body = {"activationCode": code, "productId": kind(server.product.id)}

    assert (await wire.ask("POST", "/v2/things", body)).status == 201


@pytest.mark.parametrize("product", [None, ""])
async def test_an_empty_product_is_none(wire, code, product):
    body = {"activationCode": code, "productId": product}

    assert (await wire.ask("POST", "/v2/things", body)).status == 201


@pytest.mark.parametrize("product", [1, "1", "abc", -1, "9" * 30, 2**62])
async def test_a_wrong_product_is_answered_like_a_wrong_code_and_keeps_the_code(
    wire, code, product
):
    wrong = await wire.ask("POST", "/v2/things", {"activationCode": code, "productId": product})
    right = await wire.ask("POST", "/v2/things", {"activationCode": code})

    assert (wrong.status, wrong.body) == (400, BAD)
    assert right.status == 201


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b"{", compact({"activationCode": 12}), b"x=1"]
)
async def test_a_malformed_activation_is_refused(wire, body):
    assert (await wire.ask("POST", "/v2/things/", body)).status == 400


async def test_a_form_activates_too(wire, code):
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    got = await wire.ask("POST", "/v2/things", f"activationCode={code}".encode(), form)

    assert got.status == 201


async def test_nobody_may_keep_the_answer_of_an_activation(wire, code):
    got = await wire.ask("POST", "/v2/things", {"activationCode": code})

    assert got.get("Cache-Control") == "no-store"
    assert got.get("Referrer-Policy") == "no-referrer"
