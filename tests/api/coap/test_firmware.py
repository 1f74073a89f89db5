"""Firmware over CoAP: what is offered, images in blocks, and what a thing says."""

import asyncio
import hashlib
import json

import pytest
import pytest_asyncio

from support.coap import BLOCK2, ETAG, GET, MAX_AGE, POST, SIZE2, coap_of, request
from support.firmware import content_of, fleet_of
from support.tools import require_tool
from thingstead.features.firmware.model import UpdateState
from thingstead.transports.coap.firmware import firmware_routes
from thingstead.transports.coap.limits import CoAPLimits

pytestmark = pytest.mark.asyncio(loop_scope="module")
BLOCK_OF_1024 = 6
LIBCOAP = "coap-client-notls"


@pytest_asyncio.fixture(loop_scope="module")
async def fleet(server):
    return await fleet_of(server)


@pytest_asyncio.fixture(loop_scope="module")
async def thing(fleet):
    return await fleet.thing()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def coap(server):
    platform = server.platform
    routes = firmware_routes(
        platform.things, platform.firmware.offers, platform.administration.updates, CoAPLimits()
    )
    async with coap_of(server, None, *routes) as running:
        yield running


@pytest.fixture
def firmwares(thing):
    return f"/v2/things/{thing.token}/firmwares"


def block2(number):
    value = number << 4 | BLOCK_OF_1024
    return BLOCK2, value.to_bytes((value.bit_length() + 7) // 8, "big")


async def fetch(peer, path):
    """The answer's first block, and its payload from all of them."""
    first = answer = await peer.ask(request(GET, path, options=[block2(0)]))
    content, number = answer.payload, 0
    while answer.number(BLOCK2) & 0x08:
        number += 1
        answer = await peer.ask(request(GET, path, options=[block2(number)]))
        assert answer.status == "2.05"
        content += answer.payload
    return first, content


async def update_of(fleet, thing):
    updates = fleet.server.platform.administration.updates
    (update,) = (await updates.record(thing.thing.id)).updates
    return update


async def test_what_is_offered_is_the_same_document_as_over_http(fleet, peer, firmwares, wire):
    await fleet.publish(content_of(1_000), "2")

    got = await peer.ask(request(GET, f"{firmwares}/latest?version=1"))
    over_http = await wire.ask("GET", f"{firmwares}/latest?version=1")

    assert got.status == "2.05"
    assert got.payload == over_http.body
    assert got.number(MAX_AGE) == 0


async def test_report_in_the_query_counts(fleet, peer, firmwares):
    await fleet.publish(content_of(1_000), "2")

    got = await peer.ask(request(GET, f"{firmwares}/latest?version=2&mcu=main"))

    assert json.loads(got.payload)["reason"] == "up_to_date"


@pytest.mark.parametrize("size", [5, 1_024, 1_025, 5_000])
async def test_image_comes_in_blocks_under_its_etag(fleet, peer, thing, firmwares, size):
    content = content_of(size)
    firmware = await fleet.publish(content)
    await peer.ask(request(GET, f"{firmwares}/latest"))

    first, fetched = await fetch(peer, f"{firmwares}/download/{firmware.id}")

    assert fetched == content
    assert first.number(SIZE2) == size
    assert first.option(ETAG) == hashlib.sha256(content).digest()[:8]
    assert (await update_of(fleet, thing)).state is UpdateState.DOWNLOADED


async def test_blocks_of_an_image_end_when_it_is_revoked(fleet, peer, thing, firmwares):
    firmware = await fleet.publish(content_of(5_000))
    path = f"{firmwares}/download/{firmware.id}"
    first = await peer.ask(request(GET, path, options=[block2(0)]))
    await fleet.publishing.revoke(firmware.id)

    got = await peer.ask(request(GET, path, options=[block2(1)]))

    assert first.status == "2.05"
    assert (got.status, json.loads(got.payload)["message"]) == ("4.04", "Firmware not found")


async def test_thing_says_how_its_update_goes(fleet, peer, thing, firmwares):
    firmware = await fleet.publish(content_of(1_000))
    await peer.ask(request(GET, f"{firmwares}/latest"))
    body = json.dumps({"id": firmware.id, "state": "installing"}).encode()

    got = await peer.ask(request(POST, f"{firmwares}/status", payload=body))
    wrong = await peer.ask(request(POST, f"{firmwares}/status", payload=b"[]"))

    assert (got.status, json.loads(got.payload)["message"]) == ("2.04", "status noted")
    assert wrong.status == "4.00"
    assert (await update_of(fleet, thing)).state is UpdateState.INSTALLING


async def test_client_of_libcoap_fetches_an_image(fleet, coap, firmwares, tmp_path):
    require_tool(LIBCOAP)
    content = content_of(100_000)
    firmware = await fleet.publish(content)
    target = tmp_path / "image"
    # Its buffer for the path of a URL is shorter than this one.
    path = f"{firmwares}/download/{firmware.id}".strip("/").split("/")
    options = [text for segment in path for text in ("-O", f"11,{segment}")]

    running = await asyncio.create_subprocess_exec(
        *(LIBCOAP, "-B", "30", "-o", str(target), *options, f"coap://127.0.0.1:{coap.port}")
    )
    async with asyncio.timeout(40):
        assert await running.wait() == 0

    assert target.read_bytes() == content
