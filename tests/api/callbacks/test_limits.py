"""What callbacks may cost, at n and n + 1, on a server that was started with it."""

import pytest

from support.in_process import served
from support.wire import ask
from thingstead.features.products.model import ProductChange
from thingstead.limit_settings import LimitSettings


@pytest.fixture
def start(tmp_path):
    return lambda **limits: served(tmp_path / "folder", limits=LimitSettings(**limits))


async def test_wrong_hashes_of_one_address_in_a_minute(start):
    async with start(bad_tokens_per_minute=3) as server:
        wrong = f"/http/{server.product.id}/{'A' * 14}"
        unknown = f"/http/99999/{server.product.hash}"

        got = [(await ask(server.address, "POST", wrong)).status for _ in range(2)]
        got += [(await ask(server.address, "POST", unknown)).status for _ in range(2)]

        assert got == [404, 404, 404, 429]


async def test_the_right_hash_works_from_an_address_that_guessed(start):
    async with start(bad_tokens_per_minute=1) as server:
        product, token = server.product, await server.new_token()
        wrong = f"/http/{product.id}/{'A' * 14}"
        got = [(await ask(server.address, "POST", wrong)).status for _ in range(2)]

        right = f"/http/{product.id}/{product.hash}?thingToken={token}&a=1"

        assert got == [404, 429]
        assert (await ask(server.address, "GET", right)).status == 201


async def test_the_body_of_a_callback(start):
    async with start(object_bytes=60) as server:
        await server.new_code()
        await server.platform.products.change(server.product.id, ProductChange(is_automatic=True))
        target = f"/sgfx/{server.product.id}/{server.product.hash}"
        body = b'{"id":"a","rssi":1}'.ljust(60)

        fits = await ask(server.address, "POST", target, body)
        larger = await ask(server.address, "POST", target, body + b" ")

        assert (fits.status, larger.status) == (201, 413)


async def test_how_often_a_thing_may_write_counts_callbacks_too(start):
    async with start(writes_per_second=1, write_burst=2) as server:
        token = await server.new_token()
        path = f"/http/{server.product.id}/{server.product.hash}?thingToken={token}&a=1"

        got = [(await ask(server.address, "GET", path)).status for _ in range(3)]

        assert got == [201, 201, 429]
