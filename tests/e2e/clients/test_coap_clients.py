"""Published CoAP clients: libcoap's command and the node client that the original's SDK used.

The node client writes a query into the last part of the path, as that SDK had it do
(`thethings-v2.md` 5.2).
"""

import asyncio
import json
from asyncio.subprocess import PIPE

import pytest
import pytest_asyncio

from support.coap import PATIENCE_SECONDS, coap_of
from support.in_process import served
from support.tools import CLIENTS
from thingstead.features.values.model import IncomingValue, IncomingWrite
from thingstead.transports.coap import addresses
from thingstead.transports.coap.limits import CoAPLimits

LIBCOAP = "coap-client-notls"
WRITE = '{"values":[{"key":"a","value":21.5,"datetime":"20260131120000"}]}'
READING = [{"datetime": "2026-01-31T12:00:00.000Z", "key": "a", "value": 21.5}]
LONG = json.dumps({"values": [{"key": "a", "value": "x" * 3_000}]})

needs_libcoap = pytest.mark.needs_tool(LIBCOAP)
needs_node = pytest.mark.needs_tool("node")


@pytest_asyncio.fixture
async def server(tmp_path):
    async with served(tmp_path / "folder") as running:
        yield running


@pytest_asyncio.fixture
async def coap(server):
    async with coap_of(server) as running:
        yield running


@pytest_asyncio.fixture
async def thing(server):
    return f"/v2/things/{await server.new_token()}"


async def write(server, thing, value):
    """What another transport writes."""
    found = await server.platform.things.resolve(thing.rsplit("/", 1)[1], address=None)
    incoming = IncomingWrite([IncomingValue(key="a", value=value)])
    await server.platform.values.submit(found, incoming)


async def start(*words):
    return await asyncio.create_subprocess_exec(*words, stdin=PIPE, stdout=PIPE, stderr=PIPE)


async def finish(process):
    async with asyncio.timeout(PATIENCE_SECONDS):
        printed, complained = await process.communicate(b"")
    return printed.decode(), complained.decode()


async def libcoap(coap, path, *flags):
    """What libcoap's client prints of the answer, and what it complains about."""
    return await finish(await start(LIBCOAP, *flags, f"coap://127.0.0.1:{coap.port}{path}"))


def node_words(coap, **request):
    return "node", str(CLIENTS / "coap.js"), str(coap.port), json.dumps(request)


async def node(coap, **request):
    """The answer that the node client gets."""
    printed, complained = await finish(await start(*node_words(coap, **request)))
    assert printed, complained
    return json.loads(printed)


async def next_line(process):
    async with asyncio.timeout(PATIENCE_SECONDS):
        return json.loads(await process.stdout.readline())


@needs_libcoap
@pytest.mark.parametrize("flags", [(), ("-N",), ("-t", "50"), ("-t", "0")])
async def test_libcoap_writes_and_reads(coap, thing, flags):
    written, _ = await libcoap(coap, thing, "-m", "post", "-e", WRITE, *flags)
    read, _ = await libcoap(coap, f"{thing}/resources/a?limit=5", "-A", "50")

    assert json.loads(written) == {"status": "created", "message": "created"}
    assert json.loads(read) == READING


@needs_libcoap
async def test_libcoap_activates_with_put(server, coap):
    body = json.dumps({"activationCode": await server.new_code()})

    printed, _ = await libcoap(coap, "/v2/things", "-m", "put", "-t", "0", "-e", body)

    assert json.loads(printed)["status"] == "created"


@needs_libcoap
async def test_libcoap_is_told_what_was_wrong(coap):
    printed, complained = await libcoap(coap, "/v2/things/none/resources")

    assert "4.04" in complained
    assert '"message":"Thing not found"' in printed + complained


@needs_libcoap
@pytest.mark.parametrize("size", ["16", "64", "1024"])
async def test_libcoap_writes_and_reads_in_blocks(tmp_path, coap, thing, size):
    body = tmp_path / "body"
    body.write_text(LONG)

    written, _ = await libcoap(coap, thing, "-m", "post", "-b", size, "-f", str(body))
    read, _ = await libcoap(coap, f"{thing}/resources/a", "-b", size)

    assert json.loads(written)["status"] == "created"
    assert json.loads(read)[0]["value"] == "x" * 3_000


@needs_libcoap
async def test_libcoap_observes_and_leaves(server, coap, thing):
    url = f"coap://127.0.0.1:{coap.port}{thing}"
    observer = await start(LIBCOAP, "-w", "-s", "2", url)
    first = await next_line(observer)
    await write(server, thing, 1)
    second = await next_line(observer)
    await write(server, thing, "x" * 3_000)
    third = await next_line(observer)
    await finish(observer)

    assert first == {"status": "success", "message": "subscribed"}
    assert second[0]["value"] == 1
    assert third[0]["value"] == "x" * 3_000
    assert len(server.platform.live) == 0


@needs_libcoap
async def test_libcoap_repeats_the_echo_value_that_a_public_address_needs(
    server, thing, monkeypatch
):
    # No test has a public address, so that of the loopback is declared to be one.
    monkeypatch.setattr(addresses, "is_public", lambda host: host is not None)
    async with coap_of(server, CoAPLimits(unverified_bytes_per_minute=1)) as coap:
        await write(server, thing, "x" * 900)

        read, complained = await libcoap(coap, f"{thing}/resources/a")

    assert json.loads(read)[0]["value"] == "x" * 900, complained


@needs_node
@pytest.mark.parametrize("confirmable", [True, False])
async def test_node_client_writes_and_reads_with_the_query_in_the_path(coap, thing, confirmable):
    written = await node(
        coap, method="POST", pathname=f"{thing}?", payload=WRITE, confirmable=confirmable
    )
    read = await node(
        coap, pathname=f"{thing}/resources/a?limit=15&startDate=20260101000000", method="GET"
    )

    assert written["code"] == "2.01"
    assert (read["code"], json.loads(read["payload"])) == ("2.05", READING)


@needs_node
async def test_node_client_activates(server, coap):
    body = json.dumps({"activationCode": await server.new_code()})

    answer = await node(coap, method="POST", pathname="/v2/things", payload=body)

    assert json.loads(answer["payload"])["status"] == "created"


@needs_node
async def test_node_client_reads_and_writes_in_blocks(coap, thing):
    written = await node(coap, method="POST", pathname=thing, payload=LONG, block=2)
    read = await node(coap, method="GET", pathname=f"{thing}/resources/a")

    assert written["code"] == "2.01"
    assert json.loads(read["payload"])[0]["value"] == "x" * 3_000


@needs_node
async def test_node_client_observes_with_the_query_in_the_path(server, coap, thing):
    words = node_words(coap, method="GET", pathname=f"{thing}?keepAlive=1000", observe=True)
    observer = await start(*words)
    first = await next_line(observer)
    await write(server, thing, 1)
    heard = await next_line(observer)
    sign = await next_line(observer)
    await finish(observer)

    assert json.loads(first["payload"]) == {"status": "success", "message": "subscribed"}
    assert json.loads(heard["payload"])[0]["value"] == 1
    assert sign["payload"] == "{}"
