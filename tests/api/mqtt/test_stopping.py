"""The stop of the server: clients are told, what was taken is acknowledged."""

import pytest

from doubles.value_rig import busy_writer
from support.in_process import served
from support.mqtt import connected, connection, mqtt_on, thing_topic
from thingstead.transports.mqtt.codec import Puback, Publish, Reason, Will

pytestmark = pytest.mark.asyncio(loop_scope="module")
LEVELS = pytest.mark.parametrize("level", [3, 4, 5])


@LEVELS
async def test_clients_are_told_where_mqtt_can(server, level):
    async with mqtt_on(server.platform) as (mqtt, port), connected(port, level) as client:
        mqtt.stop()

        ended = await client.end()

    assert (ended and ended.reason) == (Reason.SERVER_SHUTTING_DOWN if level == 5 else None)


async def test_who_has_not_introduced_itself_is_told_nothing(server):
    async with mqtt_on(server.platform) as (mqtt, port), connection(port) as client:
        while not len(mqtt.broker):
            await connected_once(port)
        mqtt.stop()

        assert await client.next() is None


async def connected_once(port):
    async with connected(port):
        pass


async def test_no_connection_is_accepted_any_more(server):
    async with mqtt_on(server.platform) as (mqtt, port):
        mqtt.stop()
        mqtt.stop()

        with pytest.raises((ConnectionError, AssertionError)):
            await connected_once(port)


@LEVELS
async def test_what_was_taken_before_is_acknowledged(server, token, level):
    payload = b'{"values":[{"key":"k","value":1}]}'
    async with mqtt_on(server.platform) as (mqtt, port), connected(port, level) as client:
        await client.publish(thing_topic(token), payload)
        async with busy_writer(server.platform.store):
            await client.send(Publish(thing_topic(token), payload, 1, packet_id=7))
            await client.ping()
            mqtt.stop()

        assert (await client.expect(Puback)).packet_id == 7
        await client.end()


async def test_no_will_is_published(server, port, token):
    will = Will(thing_topic(token, "status"), b"gone")
    async with connected(port) as listener:
        await listener.subscribe(thing_topic(token, "status"))
        async with mqtt_on(server.platform) as (mqtt, own), connected(own, will=will) as client:
            mqtt.stop()
            await client.end()
            await mqtt.drain()

        assert await listener.until_now() == []


async def test_a_client_that_reads_nothing_does_not_hold_the_stop_up(tmp_path):
    async with served(tmp_path / "folder", roads=("mqtt",)) as own:
        token = await own.new_token()
        async with connected(own.ports["mqtt"], 5, "c", token=token, expiry_s=60) as client:
            await client.subscribe(thing_topic(token, "cmd"), qos=0)
            client.wire.writer.transport.pause_reading()
            async with connected(own.ports["mqtt"]) as other:
                for _ in range(200):
                    await other.publish(thing_topic(token, "cmd"), b"x" * 50_000)
