"""What one client may take of the server: time, memory, attention of others."""

import asyncio
import socket

import pytest

from support.mqtt import (
    connected,
    connection,
    let_pass,
    mqtt_on,
    noticed_leaving,
    resource_topic,
    thing_topic,
)
from thingstead.transports.mqtt.codec import Connect, Puback, Publish, Reason

pytestmark = pytest.mark.asyncio(loop_scope="module")
LEVELS = pytest.mark.parametrize("level", [3, 4, 5])
HALF_A_CONNECT = b"\x10\x0d\x00\x04MQTT\x04"


@pytest.mark.parametrize("sent", [b"", HALF_A_CONNECT], ids=["nothing", "half"])
async def test_a_client_that_does_not_introduce_itself_in_time_is_cut_off(server, sent):
    async with (
        mqtt_on(server.platform, connect_s=0.05, sweep_s=0.02) as (_, port),
        connection(port) as client,
    ):
        await client.send_bytes(sent)

        assert await client.next() is None


async def test_bytes_that_come_one_by_one_buy_no_time(server):
    async with mqtt_on(server.platform) as (mqtt, port), connection(port) as client:
        for byte in HALF_A_CONNECT:
            await client.send_bytes(bytes((byte,)))
            while not len(mqtt.broker):  # noqa: ASYNC110  # Nobody tells.
                await asyncio.sleep(0)
            let_pass(mqtt, 4.9)
        [connected_one] = mqtt.broker._connections
        heard_at = connected_one._heard_at

        let_pass(mqtt, 5.1)

        assert await client.next() is None
        assert heard_at <= mqtt.broker.now()


async def test_the_time_for_connect_does_not_run_while_the_server_looks_at_it(server, token):
    async with (
        mqtt_on(server.platform) as (mqtt, port),
        connected(port, 4, "c", token=token),
        connection(port) as client,
    ):
        await client.send(Connect(4, "c", True, 0, user_name=token))
        while not any(one._worker for one in mqtt.broker._connections):  # noqa: ASYNC110  # Likewise.
            await asyncio.sleep(0)
        let_pass(mqtt, 6)

        assert (await client.next()).reason == 0


@pytest.mark.parametrize(("asked", "seconds"), [(10, 15), (1, 3)])
async def test_silence_of_one_and_a_half_keep_alives_ends_mqtt_3(server, asked, seconds):
    async with (
        mqtt_on(server.platform) as (mqtt, port),
        connected(port, 4, keep_alive_s=asked) as client,
    ):
        let_pass(mqtt, seconds - 0.1)
        assert await client.until_now() == []

        let_pass(mqtt, seconds + 0.1)

        assert await client.next() is None


async def test_mqtt_5_is_told_that_it_was_silent_for_too_long(server):
    async with (
        mqtt_on(server.platform) as (mqtt, port),
        connected(port, 5, keep_alive_s=10) as client,
    ):
        let_pass(mqtt, 15.1)

        assert (await client.end()).reason == Reason.KEEP_ALIVE_TIMEOUT


async def test_without_a_keep_alive_mqtt_3_may_be_silent_for_ever(server):
    async with mqtt_on(server.platform) as (mqtt, port), connected(port, 4) as client:
        let_pass(mqtt, 10**9)

        assert await client.until_now() == []


async def test_mqtt_5_may_be_silent_for_the_longest_keep_alive(server):
    async with mqtt_on(server.platform) as (mqtt, port), connected(port, 5) as client:
        let_pass(mqtt, 1_799)
        assert await client.until_now() == []
        let_pass(mqtt, 1_801)

        assert (await client.end()).reason == Reason.KEEP_ALIVE_TIMEOUT


def slow(client):
    """Have the client's socket take little and read nothing more."""
    raw = client.wire.writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.wire.writer.transport.pause_reading()


async def ask_without_listening(client):
    """Have the socket hold many pings, but no more than it takes."""
    if not client.wire.writer.transport.get_write_buffer_size():
        client.wire.writer.write(b"\xc0\x00" * 32_768)
    await asyncio.sleep(0)


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_subscriber_that_stops_reading_is_cut_off_and_others_are_not(
    server, port, token, caplog, qos
):
    caplog.set_level("INFO")
    topic = thing_topic(token, "cmd")
    big = b"x" * 60_000
    async with (
        mqtt_on(server.platform, sweep_s=0.02, closing_s=0.05) as (mqtt, own),
        connected(own, 5) as stuck,
        connected(port) as good,
        connected(port) as other,
    ):
        await stuck.subscribe(topic, qos=qos)
        await good.subscribe(topic)
        slow(stuck)
        count = 0
        while len(mqtt.broker):
            await other.publish(topic, big)
            assert (await good.message()).payload == big
            count += 1
            assert count < 1_000

    assert "a live stream of" in caplog.text
    assert "ended: the subscriber read too slowly" in caplog.text
    assert token not in caplog.text


async def test_answers_that_nobody_reads_stop_the_reading(server):
    """Otherwise they would pile up: a client can send faster than it reads."""
    async with mqtt_on(server.platform) as (mqtt, port), connected(port) as client:
        slow(client)
        [at_server] = mqtt.broker._connections
        while at_server.is_writable:
            await ask_without_listening(client)
        assert at_server._is_paused
        waiting = at_server._wire.get_write_buffer_size()

        raw = client.wire.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_000_000)
        client.wire.writer.transport.resume_reading()
        # Who reads again is read again.
        while at_server._is_paused:
            assert await client.wire.read()

        assert waiting < 1_000_000
        client.cut()


async def test_a_client_that_reads_nothing_falls_silent_too(server):
    async with (
        mqtt_on(server.platform) as (mqtt, port),
        connected(port, 4, keep_alive_s=10) as client,
    ):
        slow(client)
        [at_server] = mqtt.broker._connections
        while at_server.is_writable:
            await ask_without_listening(client)

        let_pass(mqtt, 16)
        let_pass(mqtt, 30)
        await noticed_leaving(mqtt)


@LEVELS
async def test_more_messages_than_may_wait_are_all_carried_out(server, token, level, stored):
    async with (
        mqtt_on(server.platform, waiting=4) as (_, port),
        connected(port, level) as client,
    ):
        messages = [Publish(resource_topic(token), b"1", 1, packet_id=n) for n in range(1, 101)]
        messages[1::2] = [
            Publish(thing_topic(token), b'{"values":[{"key":"k","value":1}]}', 1, packet_id=n)
            for n in range(2, 101, 2)
        ]
        await client.send(*messages)

        answers = [(await client.expect(Puback)).packet_id for _ in messages]

    assert answers == list(range(1, 101))
    assert len(await stored(token)) == 100


@LEVELS
async def test_a_fault_of_the_server_ends_one_connection_only(
    server, token, port, monkeypatch, caplog, level
):
    def fail(*_more):
        raise ZeroDivisionError

    async with connected(port, level) as client, connected(port) as other:
        with monkeypatch.context() as patch:
            patch.setattr("thingstead.transports.mqtt.publishing.Publishing.publish", fail)
            await client.send(Publish(resource_topic(token), b"1", 1, packet_id=7))
            ended = await client.end()

        assert (ended and ended.reason) == (Reason.UNSPECIFIED_ERROR if level == 5 else None)
        await other.publish(resource_topic(token), b"1")
    assert "an MQTT connection failed" in caplog.text
