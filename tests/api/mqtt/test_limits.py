"""The limits of MQTT that can be set, at n and at n + 1, on a server that was started with them."""

import pytest

from support.in_process import served
from support.mqtt import connected, connection, resource_topic, thing_topic
from thingstead.limit_settings import LimitSettings
from thingstead.listeners import mqtt_limits
from thingstead.settings import Settings
from thingstead.transports.mqtt.codec import Publish, Reason


@pytest.fixture
def start(tmp_path):
    """Start a server with the limits given."""

    def started(limits):
        return served(tmp_path / "folder", limits=limits, roads=("mqtt",))

    return started


async def test_a_packet_may_have_so_many_bytes(start):
    async with start(LimitSettings(mqtt_packet_bytes=200)) as server:
        token = await server.new_token()
        # Head, lengths and packet id take 7 bytes, the properties of MQTT 5 one more.
        rest = 200 - 8 - len(resource_topic(token))
        async with connected(server.ports["mqtt"], 5) as client:
            assert client.connack.properties.maximum_packet_bytes == 200
            await client.publish(resource_topic(token), b"x" * rest)
            message = Publish(resource_topic(token), b"x" * (rest + 1), 1, packet_id=7)
            await client.send(message)

            assert (await client.end()).reason == Reason.PACKET_TOO_LARGE


async def test_a_connection_may_have_so_many_subscriptions(start):
    async with start(LimitSettings(mqtt_filters=2)) as server:
        token = await server.new_token()
        async with connected(server.ports["mqtt"], 5) as client:
            answer = await client.subscribe(*(thing_topic(token, rest) for rest in "abc"))

            assert answer.reasons == (1, 1, Reason.QUOTA_EXCEEDED)
            assert "at most 2 for one connection" in answer.properties.reason_string
        async with connected(server.ports["mqtt"], 4) as client:
            answer = await client.subscribe(*(thing_topic(token, rest) for rest in "abc"))

            assert answer.reasons == (1, 1, 0x80)


def test_the_time_for_connect_is_that_of_the_settings():
    # It is a second at least; tests/api/mqtt/test_bounds.py tries shorter ones.
    limits = mqtt_limits(Settings(limits=LimitSettings(mqtt_connect_seconds=7)))

    assert limits.connect_s == 7


async def test_a_server_cuts_off_who_does_not_introduce_itself_in_time(start):
    async with (
        start(LimitSettings(mqtt_connect_seconds=1)) as server,
        connection(server.ports["mqtt"]) as client,
    ):
        assert await client.next() is None


async def test_so_many_of_the_newest_values_are_given_again(start):
    async with start(LimitSettings(replay_values=3)) as server:
        port = server.ports["mqtt"]
        token = await server.new_token()
        for count in (3, 4):
            async with connected(port, 4, "c", token=token, is_clean=False) as client:
                await client.subscribe(thing_topic(token))
                await client.leave()
            async with connected(port) as writer:
                for value in range(count):
                    await writer.publish(resource_topic(token), b"%d" % value)
            async with connected(port, 4, "c", token=token, is_clean=False) as client:
                got = [await client.values() for _ in range(3)]
                await client.until_now()
                await client.leave()

            assert got == [[value] for value in range(count)][-3:]
