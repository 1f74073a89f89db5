"""Things that say which version they run by writing the resource `firmware_version`, no more."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from support.coap import ACK, BLOCK2, GET, POST, Peer, block, request
from support.firmware import content_of
from support.mqtt import connected

CONTENT = content_of(3_000)
_BLOCK_EXPONENT = 6
_BLOCK_BYTES = 1_024


@asynccontextmanager
async def coap_to(server):
    loop = asyncio.get_running_loop()
    port = urlsplit(server.ready["coap"]).port
    transport, peer = await loop.create_datagram_endpoint(Peer, remote_addr=("127.0.0.1", port))
    try:
        yield peer
    finally:
        transport.close()


async def write_by_mqtt(thing, **values):
    port = urlsplit(thing.server.ready["mqtt"]).port
    async with connected(port) as client:
        await client.publish(f"v2/things/{thing.token}", body_of(values))


async def write_by_coap(thing, **values):
    async with coap_to(thing.server) as peer:
        payload = json.dumps(body_of(values)).encode()
        got = await peer.ask(request(POST, f"/v2/things/{thing.token}", payload=payload))
        assert got.status == "2.01"


def body_of(values):
    return {"values": [{"key": key, "value": value} for key, value in values.items()]}


async def load_by_coap(thing, firmware):
    """The image, block by block."""
    got = b""
    async with coap_to(thing.server) as peer:
        while True:
            options = [(BLOCK2, block(len(got) // _BLOCK_BYTES, False, _BLOCK_EXPONENT))]
            path = f"{thing.firmwares}/download/{firmware}"
            answer = await peer.ask(request(GET, path, options=options))
            assert (answer.status, answer.kind) == ("2.05", ACK)
            got += answer.payload
            if not answer.number(BLOCK2) & 8:
                return got


async def latest_by_coap(thing):
    async with coap_to(thing.server) as peer:
        options = [(BLOCK2, block(0, False, _BLOCK_EXPONENT))]
        answer = await peer.ask(request(GET, f"{thing.firmwares}/latest", options=options))
        assert answer.status == "2.05"
        return [each["_id"] for each in json.loads(answer.payload)["firmwares"]]


@pytest.mark.parametrize("write", [write_by_mqtt, write_by_coap])
@pytest.mark.parametrize("said", ["2.0", {"main": "2.0"}, 2], ids=["text", "object", "number"])
async def test_what_a_thing_writes_is_its_report_and_the_next_write_its_proof(station, write, said):
    firmware = station.publish(CONTENT, "2.0")
    thing = station.thing()
    assert await latest_by_coap(thing) == [firmware]
    assert await load_by_coap(thing, firmware) == CONTENT
    assert await thing.comes_to("downloaded")

    await write(thing, firmware_version=said)
    assert await thing.comes_to("reported")
    await write(thing, temperature=21)

    assert await thing.comes_to("succeeded")
    assert thing.kinds() == ["offered", "begun", "downloaded", "reported", "succeeded"]


async def test_a_campaign_counts_things_that_only_write(station):
    things = [station.thing() for _ in range(2)]
    firmware = station.publish(CONTENT, "2.0", "--draft")
    campaign = station.campaign(firmware)
    for thing, write in zip(things, (write_by_mqtt, write_by_coap), strict=True):
        assert await thing.is_offered(firmware)
        assert await load_by_coap(thing, firmware) == CONTENT
        await write(thing, firmware_version="2.0")
        assert await thing.comes_to("reported")
        await write(thing, temperature=21)
        assert await thing.comes_to("succeeded")

    shown = station.command("campaign", "show", campaign)

    assert shown["things"]["succeeded"] == 2
    assert shown["state"] in {"running", "finished"}


async def test_an_old_version_that_is_written_after_the_update_is_a_rollback(station):
    firmware = station.publish(CONTENT, "2.0")
    thing = station.thing()
    assert await thing.is_offered(firmware)
    assert await load_by_coap(thing, firmware) == CONTENT
    await write_by_mqtt(thing, firmware_version="2.0")
    assert await thing.comes_to("reported")

    await write_by_mqtt(thing, firmware_version="1.0")

    assert await thing.comes_to("failed")
    assert await thing.is_offered(firmware)
