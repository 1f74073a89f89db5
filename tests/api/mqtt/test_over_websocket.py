"""MQTT over WebSockets at /mqtt of the HTTP port."""

import pytest
from websockets.exceptions import InvalidStatus

from support.mqtt import client_bytes, connected, resource_topic, thing_topic, websocket
from support.wire import ask
from thingstead.transports.mqtt.codec import Connack, Connect, Puback, Publish, Reason, Will

pytestmark = pytest.mark.asyncio(loop_scope="module")
LEVELS = pytest.mark.parametrize("level", [3, 4, 5])


@LEVELS
async def test_writes_and_events_go_over_a_websocket(server, token, stored, level):
    subprotocol = "mqttv3.1" if level == 3 else "mqtt"
    async with websocket(server.address, level, subprotocols=(subprotocol,)) as client:
        assert (await client.connect()).reason == 0
        assert (await client.subscribe(thing_topic(token))).reasons == (1,)
        await client.publish(resource_topic(token), b"1", 0)

        assert await client.values() == [1]
        assert client.wire.socket.subprotocol == subprotocol
    assert await stored(token) == [1]


async def test_messages_and_packets_need_not_begin_together(server, token):
    data = client_bytes(Connect(4, "c", True, 0), 4)
    data += client_bytes(Publish(resource_topic(token), b"1", 1, packet_id=7), 4)
    async with websocket(server.address) as client:
        for begin in range(0, len(data), 5):
            await client.send_bytes(data[begin : begin + 5])

        assert (await client.expect(Connack)).reason == 0
        assert (await client.expect(Puback)).packet_id == 7


async def test_a_text_message_ends_the_connection(server):
    async with websocket(server.address) as client:
        await client.wire.socket.send("MQTT")

        assert await client.next() is None
        assert client.wire.socket.close_code == 1003


async def test_rubbish_ends_the_connection(server):
    async with websocket(server.address) as client:
        await client.send_bytes(b"\x00\x00")

        assert await client.next() is None


async def test_a_session_is_the_same_on_every_road(server, port, token, write):
    async with websocket(server.address, 5) as client:
        await client.connect("c", token=token, expiry_s=60)
        await client.subscribe(thing_topic(token))
        await client.leave()
    await write(token, 1)

    async with connected(port, 5, "c", token=token, is_clean=False, expiry_s=60) as client:
        assert client.connack.is_session_present
        assert await client.values() == [1]


async def test_a_client_takes_its_place_over_from_another_road(server, port, token):
    async with websocket(server.address, 5) as client:
        await client.connect("c", token=token)
        async with connected(port, 5, "c", token=token):
            assert (await client.end()).reason == Reason.SESSION_TAKEN_OVER


async def test_the_will_of_a_websocket_that_is_cut_off_is_published(server, port, token):
    async with connected(port) as listener:
        await listener.subscribe(thing_topic(token, "status"))
        async with websocket(server.address) as client:
            await client.connect("c", will=Will(thing_topic(token, "status"), b"gone"))
            client.cut()

            assert (await listener.message()).payload == b"gone"


async def test_large_messages_go_both_ways(server, token):
    payload = b"x" * 60_000
    async with websocket(server.address) as client:
        await client.connect()
        await client.subscribe(thing_topic(token, "cmd"))
        for _ in range(20):
            await client.publish(thing_topic(token, "cmd"), payload, 0)

            assert (await client.message()).payload == payload


async def test_a_plain_request_is_told_what_is_there(server):
    got = await ask(server.address, "GET", "/mqtt")

    assert got.status == 426
    assert got.get("Upgrade") == "websocket"


async def test_without_the_subprotocol_a_client_is_told_what_to_offer(server):
    with pytest.raises(InvalidStatus) as refused:
        async with websocket(server.address, subprotocols=("chat",)):
            pass

    assert refused.value.response.status_code == 400
    assert b"must offer mqtt" in refused.value.response.body
