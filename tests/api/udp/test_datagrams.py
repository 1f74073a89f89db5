"""Datagrams on a real socket, and what the things then hold."""

import asyncio
import hashlib
import hmac

import msgspec
import pytest
import pytest_asyncio

from support.in_process import served
from support.udp import UDPDevice
from thingstead.features.products.model import ProductChange
from thingstead.features.values.model import Window
from thingstead.transports.udp.server import UDPServer, UDPServices

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory):
    async with served(tmp_path_factory.mktemp("udp") / "folder") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gateway(server):
    platform = server.platform
    services = UDPServices(platform.devices, platform.things, platform.values)
    gateway = UDPServer(services, platform.clock)
    await gateway.start("127.0.0.1", 0)
    yield gateway
    await gateway.drain()


@pytest_asyncio.fixture(loop_scope="module")
async def device(gateway):
    loop = asyncio.get_running_loop()
    transport, device = await loop.create_datagram_endpoint(
        UDPDevice, remote_addr=("127.0.0.1", gateway.port)
    )
    yield device
    transport.close()


@pytest_asyncio.fixture(loop_scope="module")
async def product(server):
    """A product that makes up to two things by itself."""
    products = server.platform.products
    product = await products.create("of datagrams")
    async for _ in products.create_codes(product.id, 2):
        pass
    return await products.change(product.id, ProductChange(is_automatic=True))


def by_device(product, payload, device_id=b"4D9F7C"):
    number = product.id.to_bytes(2, "big")
    return b"".join(
        [b"\x00\x02", number, product.hash.encode(), bytes([len(device_id)]), device_id, payload]
    )


async def kept(server, product):
    """What the product's things hold: by their names, the values of each key."""
    platform, found = server.platform, {}
    async for new in platform.things.all(product.id):
        name = await platform.magic.read(new.thing, "$settings.name")
        found[name] = {}
        for key in await platform.values.keys(new.thing):
            reading = await platform.values.read(new.thing, key, Window(limit=10))
            found[name][key] = [row[0] for row in reading.rows]
    return found


async def test_a_device_is_activated_by_its_first_datagram_and_named_after_its_id(
    server, device, product
):
    assert await device.ask(by_device(product, b"\x17\x13")) == b"\x20"
    assert await device.ask(by_device(product, b"\x18")) == b"\x20"

    assert await kept(server, product) == {"4D9F7C": {"data": ["18", "1713"]}}


async def test_bytes_go_through_the_decoder(server, device, product):
    await server.platform.products.change(product.id, ProductChange(decoder="t::int:8"))

    assert await device.ask(by_device(product, b"\xff")) == b"\x20"

    assert await kept(server, product) == {"4D9F7C": {"t": [-1]}}


async def test_a_datagram_with_its_own_time_is_stored_once_however_often_it_comes(
    server, device, product
):
    write = {"values": [{"key": "t", "value": 1, "datetime": "20260131120000"}]}

    for payload in (msgspec.json.encode(write), msgspec.msgpack.encode(write)):
        assert await device.ask(by_device(product, payload)) == b"\x20"

    assert await kept(server, product) == {"4D9F7C": {"t": [1]}}


async def test_a_thing_sends_by_its_token(server, device, product):
    new = await server.platform.things.create(product.id)

    assert await device.ask(
        b"\x01" + new.token.encode() + b'{"values":[{"key":"t","value":1}]}'
    ) == (b"\x20")

    assert await kept(server, product) == {None: {"t": [1]}}


async def test_a_signed_datagram(server, device, product):
    products = server.platform.products
    product = await products.change(product.id, ProductChange(), has_new_udp_key=True)
    key = products.udp_key(product).encode()

    signature = hmac.new(key, b"\x17", hashlib.sha1).digest()

    assert await device.ask(by_device(product, b"\x17")) == b"\x06"
    assert await device.ask(by_device(product, b"\x17" + signature)) == b"\x20"
    assert await kept(server, product) == {"4D9F7C": {"data": ["17"]}}


async def test_what_goes_wrong_is_told_by_its_byte(server, device, product):
    wrong_hash = by_device(product, b"\x17").replace(product.hash.encode(), b"A" * 14)
    unknown_product = b"\x00\x02\xff\xff" + by_device(product, b"\x17")[4:]
    bad_key = b'{"values":[{"key":"a/b","value":1}]}'

    got = [
        await device.ask(b"\x07"),
        await device.ask(wrong_hash),
        await device.ask(unknown_product),
        await device.ask(by_device(product, b"")),
        await device.ask(b"\x01" + b"A" * 43 + b"\x17"),
        await device.ask(by_device(product, bad_key)),
        await device.ask(by_device(product, b"\x17" * 8_192)),
        await device.ask(by_device(product, b"\x17", b"a\nb")),
    ]

    assert [answer.hex() for answer in got] == ["01", "02", "02", "05", "13", "05", "05", "05"]
    assert await kept(server, product) == {"4D9F7C": {}}


async def test_a_new_device_is_refused_when_no_code_is_left_or_none_may_be_used(
    server, device, product
):
    for number in range(2):
        assert await device.ask(by_device(product, b"\x17", b"d%d" % number)) == b"\x20"

    assert await device.ask(by_device(product, b"\x17", b"d2")) == b"\x10"
    await server.platform.products.change(product.id, ProductChange(is_automatic=False))
    assert await device.ask(by_device(product, b"\x17", b"d2")) == b"\x04"


async def test_a_raw_payload_of_half_the_bytes_of_a_value_fits_and_a_larger_one_does_not(
    server, device, product
):
    # In hex, between quotation marks, a value may have 8,192 bytes.
    assert await device.ask(by_device(product, b"\x17" * 4_095)) == b"\x20"
    assert await device.ask(by_device(product, b"\x17" * 4_096)) == b"\x05"


async def test_a_port_that_is_taken_is_told(gateway, server):
    platform = server.platform
    services = UDPServices(platform.devices, platform.things, platform.values)

    with pytest.raises(OSError, match="in use"):
        await UDPServer(services, platform.clock).start("127.0.0.1", gateway.port)
