"""The socket: loops, addresses, peers that vanish, and what is logged."""

import asyncio
import logging

import aiocoap
import pytest
import uvloop
from aiocoap.numbers.constants import TransportTuning

from support.coap import CON, GET, OBSERVE, POST, coap_of, peer_of, request, services_of
from support.in_process import served
from thingstead.features.values.model import IncomingValue, IncomingWrite
from thingstead.transports.coap.server import CoAPServer

WRITE = b'{"values":[{"key":"a","value":1}]}'


async def exchange(folder):
    """What aiocoap's own client gets, over blocks and over an observation."""
    async with served(folder) as server, coap_of(server) as coap:
        url = f"coap://127.0.0.1:{coap.port}/v2/things/{await server.new_token()}"
        client = await aiocoap.Context.create_client_context()
        try:
            observed = client.request(aiocoap.Message(code=aiocoap.GET, uri=url, observe=0))
            first = await observed.response
            long = b'{"values":[{"key":"a","value":"' + b"x" * 5_000 + b'"}]}'
            written = await client.request(
                aiocoap.Message(code=aiocoap.POST, uri=url, payload=long)
            ).response
            notified = await anext(aiter(observed.observation))
            observed.observation.cancel()
            read = await client.request(
                aiocoap.Message(code=aiocoap.GET, uri=f"{url}/resources/a")
            ).response
        finally:
            await client.shutdown()
    return first, written, notified, read


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_every_loop_serves_blocks_and_observations(tmp_path, new_loop):
    with asyncio.Runner(loop_factory=new_loop) as runner:
        first, written, notified, read = runner.run(exchange(tmp_path / "folder"))

    assert first.payload == b'{"status":"success","message":"subscribed"}'
    assert str(written.code) == "2.01 Created"
    assert notified.payload == read.payload
    assert len(read.payload) > 5_000


async def test_both_families_are_served_by_one_socket(tmp_path):
    async with served(tmp_path / "folder") as server:
        coap = CoAPServer(services_of(server))
        await coap.start("0.0.0.0", 0)
        client = await aiocoap.Context.create_client_context()
        try:
            codes = [
                (
                    await client.request(
                        aiocoap.Message(
                            code=aiocoap.GET, uri=f"coap://{host}:{coap.port}/v2/utils/date"
                        )
                    ).response
                ).code.dotted
                for host in ("127.0.0.1", "[::1]")
            ]
        finally:
            await client.shutdown()
            await coap.drain()

    assert codes == ["2.05", "2.05"]


async def test_port_that_is_taken_is_told(tmp_path):
    async with served(tmp_path / "folder") as server, coap_of(server) as coap:
        second = CoAPServer(services_of(server))

        with pytest.raises(OSError, match="in use"):
            await second.start("127.0.0.1", coap.port)

        assert second.port == 0


async def test_drained_server_has_closed_its_socket_and_may_be_drained_again(tmp_path):
    async with served(tmp_path / "folder") as server:
        async with coap_of(server) as coap:
            port = coap.port
            await coap.drain()
            await coap.drain()
        next_one = CoAPServer(services_of(server))
        await next_one.start("127.0.0.1", port)
        await next_one.drain()

    assert coap.port == 0


async def test_request_that_has_begun_is_answered_before_the_socket_closes(tmp_path):
    from thingstead.transports.coap.messages import content
    from thingstead.transports.coap.routes import Code, Route

    has_begun, may_answer = asyncio.Event(), asyncio.Event()

    async def handle(_):
        has_begun.set()
        await may_answer.wait()
        return content("done")

    slow = Route(Code.GET, "/slow", handle)
    async with (
        served(tmp_path / "folder") as server,
        coap_of(server, None, slow) as coap,
        peer_of(coap) as peer,
    ):
        peer.send(request(GET, "/slow"))
        await has_begun.wait()
        draining = asyncio.create_task(coap.drain())
        refused = await peer.ask(request(GET, "/slow", token=b"\x02"))
        may_answer.set()
        await draining
        while (answer := await peer.receive()).token != b"\x01":
            pass

    assert refused.status == "5.03"
    assert (answer.status, answer.payload) == ("2.05", b'"done"')


async def test_observer_whose_port_is_closed_is_noticed_at_once(tmp_path):
    async with served(tmp_path / "folder") as server, coap_of(server) as coap:
        token = await server.new_token()
        async with peer_of(coap) as peer:
            await peer.ask(request(GET, f"/v2/things/{token}", options=[(OBSERVE, b"")]))
            listening = len(server.platform.live)
        thing = await server.platform.things.resolve(token, address=None)
        incoming = IncomingWrite([IncomingValue(key="a", value=1)])
        await server.platform.values.submit(thing, incoming)
        async with asyncio.timeout(20):
            while len(server.platform.live):  # noqa: ASYNC110  # It has no event for this.
                await asyncio.sleep(0)

    assert listening == 1


async def test_fault_of_a_handler_is_answered_and_logged_and_the_next_is_served(tmp_path, caplog):
    from thingstead.transports.coap.routes import Code, Route

    async def handle(_):
        raise RuntimeError("a fault")

    route = Route(Code.GET, "/faulty", handle)
    async with (
        served(tmp_path / "folder") as server,
        coap_of(server, None, route) as coap,
        peer_of(coap) as peer,
    ):
        faulty = await peer.ask(request(GET, "/faulty"))
        next_one = await peer.ask(request(GET, "/v2/utils/date"))

    assert (faulty.status, next_one.status) == ("5.00", "2.05")
    assert b"a fault" not in faulty.payload
    assert "a CoAP request failed" in caplog.text


async def test_no_token_is_logged_whatever_comes(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    async with (
        served(tmp_path / "folder") as server,
        coap_of(server) as coap,
        peer_of(coap) as peer,
    ):
        caplog.clear()
        new = await server.new_thing()
        thing = f"/v2/things/{new.token}"
        await peer.ask(request(POST, thing, payload=WRITE))
        await peer.ask(request(GET, f"{thing}/resources/none"))
        await peer.ask(request(GET, f"{thing}/resources/a?limit=x"))
        await peer.ask(request(GET, f"{thing}/../x"))
        await peer.ask(request(GET, thing, options=[(9, b"")]))
        await peer.ask(request(GET, thing, options=[(OBSERVE, b"")], token=b"\x07"))
        await peer.ask(request(POST, thing, payload=WRITE))
        await server.platform.things.delete(new.thing.id)
        peer.transport.sendto(b"\x40\x02\x00\x00\xff" + new.token.encode())
        peer.transport.sendto(request(CON, thing).encode()[:-1] + b"\xff")
        assert (await peer.ask(request(GET, thing, token=b"\x09"))) is not None

    assert "thingstead.transports.coap" in {
        record.name.rsplit(".", 1)[0] for record in caplog.records
    }
    assert new.token not in caplog.text


async def test_unknown_options_and_formats_leave_nothing_behind(tmp_path):
    from aiocoap.numbers.contentformat import ContentFormat
    from aiocoap.numbers.optionnumbers import OptionNumber

    async with (
        served(tmp_path / "folder") as server,
        coap_of(server) as coap,
        peer_of(coap) as peer,
    ):
        await peer.ask(request(GET, "/v2/utils/date"))
        before = [len(OptionNumber._value2member_map_), len(ContentFormat._value2member_map_)]
        for number in range(40_000, 40_010):
            await peer.ask(request(GET, "/v2/utils/date", options=[(number, b"x")]))
            options = [(12, number.to_bytes(2, "big"))]
            await peer.ask(request(POST, "/v2/things", options=options, payload=b"{}"))

    after = [len(OptionNumber._value2member_map_), len(ContentFormat._value2member_map_)]
    assert after == before


async def test_as_many_requests_as_may_be_are_taken_and_one_more_is_not(tmp_path):
    from thingstead.transports.coap.limits import CoAPLimits
    from thingstead.transports.coap.messages import content
    from thingstead.transports.coap.routes import Code, Route

    may_answer = asyncio.Event()

    async def handle(_):
        await may_answer.wait()
        return content("done")

    slow = Route(Code.GET, "/slow", handle)
    async with (
        served(tmp_path / "folder") as server,
        coap_of(server, CoAPLimits(requests=1), slow) as coap,
        peer_of(coap) as peer,
    ):
        peer.send(request(GET, "/slow"))
        refused = await peer.ask(request(GET, "/slow", token=b"\x02"))
        may_answer.set()
        taken = await peer.ask(request(GET, "/slow", token=b"\x03"))
        while taken.token != b"\x01":
            taken = await peer.receive()

    assert (refused.token, refused.status) == (b"\x02", "5.03")
    assert taken.status == "2.05"


async def test_observer_that_acknowledges_nothing_at_all_is_given_up(tmp_path, monkeypatch, caplog):
    # Five times the same notification take a minute and a half otherwise.
    monkeypatch.setattr(TransportTuning, "ACK_TIMEOUT", 0.001)
    caplog.set_level(logging.INFO, "thingstead.transports.coap")
    async with (
        served(tmp_path / "folder") as server,
        coap_of(server) as coap,
        peer_of(coap) as peer,
    ):
        token = await server.new_token()
        await peer.ask(request(GET, f"/v2/things/{token}", options=[(OBSERVE, b"")]))
        thing = await server.platform.things.resolve(token, address=None)
        incoming = IncomingWrite([IncomingValue(key="a", value=1)])
        await server.platform.values.submit(thing, incoming)
        sent = [await peer.receive() for _ in range(5)]
        async with asyncio.timeout(20):
            while len(server.platform.live):  # noqa: ASYNC110  # It has no event for this.
                await asyncio.sleep(0)

    assert {packet.message_id for packet in sent} == {sent[0].message_id}
    assert "acknowledges nothing" in caplog.text
