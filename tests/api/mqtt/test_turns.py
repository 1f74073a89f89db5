"""However much one client sends at once, the others get their turn of the event loop."""

import asyncio

import pytest

from support.mqtt import connected, mqtt_on, noticed_leaving, resource_topic, thing_topic
from support.mqtt_packets import client_bytes
from support.wire import PATIENCE_SECONDS
from thingstead.kernel.budget import Budgets, Rate
from thingstead.transports.mqtt.codec import (
    Connect,
    Publish,
    Subscribe,
    SubscribeRequest,
    Unsubscribe,
    Will,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
PINGREQ = b"\xc0\x00"
PIECE = 64


class Wire:
    """What the connection does with its socket."""

    def __init__(self):
        self.written = b""
        self.is_reading = True

    def write(self, data):
        self.written += data

    def close(self):
        self.is_reading = False

    abort = close

    def pause_reading(self):
        self.is_reading = False

    def resume_reading(self):
        self.is_reading = True


async def introduced(server):
    """A connection at the server whose anonymous client has been welcomed, and its wire."""
    wire, connection = Wire(), server.connection()
    connection.begin(wire, "127.0.0.1")
    connection.data_received(client_bytes(Connect(4, "", True, 0), 4))
    await turns_until(lambda: wire.written and wire.is_reading)
    wire.written = b""
    return connection, wire


async def turns_until(happened):
    """How many turns of the loop it takes."""
    turns = 0
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not happened():
            await asyncio.sleep(0)
            turns += 1
    return turns


@pytest.mark.parametrize(("more", "is_read_on"), [(0, True), (1, False)])
async def test_a_client_that_sends_a_turns_worth_is_read_on_in_the_next(server, more, is_read_on):
    sent = PINGREQ * 400
    async with mqtt_on(server.platform, turn_bytes=len(sent) + 2 * PIECE + 1 - more) as (mqtt, _):
        connection, wire = await introduced(mqtt)
        connection._taken_bytes = PIECE

        connection.data_received(sent)

        assert wire.is_reading is is_read_on
        await turns_until(lambda: wire.is_reading)
        assert len(wire.written) == len(sent)
        connection.connection_lost(None)


async def test_no_more_than_a_turns_worth_is_taken_from_the_socket(server):
    async with mqtt_on(server.platform, turn_bytes=300) as (mqtt, _):
        connection, wire = await introduced(mqtt)
        buffer = connection.get_buffer(65_536)
        buffer[:] = PINGREQ * 150

        connection.buffer_updated(20)
        connection.connection_lost(None)

        assert len(buffer) == 300
        assert wire.written == b"\xd0\x00" * 10


async def test_many_packets_in_one_piece_are_done_in_many_turns(server):
    async with mqtt_on(server.platform) as (mqtt, _):
        connection, wire = await introduced(mqtt)

        connection.data_received(PINGREQ * 3_000)
        at_once = len(wire.written)
        turns = await turns_until(lambda: len(wire.written) == 6_000)
        connection.connection_lost(None)

    assert at_once == 2_000
    assert turns > 2_000 / 32


@pytest.mark.parametrize(
    "packet",
    [
        Subscribe(1, tuple(SubscribeRequest(f"no/{number}", 0) for number in range(3_200))),
        Subscribe(1, tuple(SubscribeRequest(f"v2/activations/C/{n}", 0) for n in range(100))),
    ],
    ids=["filters", "codes"],
)
async def test_a_packet_with_many_filters_is_done_in_many_turns(server, packet):
    async with mqtt_on(server.platform) as (mqtt, _):
        connection, wire = await introduced(mqtt)

        connection.data_received(client_bytes(packet, 4))
        connection.data_received(PINGREQ)
        connection.data_received(client_bytes(Unsubscribe(2, ("x",)), 4))
        turns = await turns_until(lambda: wire.written.endswith(b"\xb0\x02\x00\x02"))
        connection.connection_lost(None)

    assert turns >= 100


@pytest.mark.parametrize(("limit", "is_read_on"), [(1_001, True), (1_000, False)])
async def test_large_packets_that_wait_are_few(server, token, limit, is_read_on):
    payload = b"x" * 250
    async with mqtt_on(server.platform, packet_bytes=limit, turn_bytes=10_000) as (mqtt, _):
        connection, wire = await introduced(mqtt)
        message = client_bytes(Publish(resource_topic(token), payload, 0), 4)
        first, second = (
            message,
            client_bytes(
                Publish(resource_topic(token), payload + b"x" * (1_000 - 2 * len(message)), 0), 4
            ),
        )

        connection.data_received(first)
        connection.data_received(second)

        assert len(first) + len(second) == 1_000
        assert wire.is_reading is is_read_on
        await turns_until(lambda: wire.is_reading)
        connection.connection_lost(None)


async def test_a_will_for_which_a_thing_is_too_fast_does_not_wait(server):
    thing = await server.new_thing()
    async with mqtt_on(server.platform) as (mqtt, port):
        mqtt.broker.relays = Budgets(Rate(per_second=0.001, burst=1))
        mqtt.broker.relays.take(thing.thing.id, mqtt.broker.now())
        async with connected(
            port, 4, will=Will(thing_topic(thing.token, "status"), b"x")
        ) as client:
            client.cut()

            await noticed_leaving(mqtt)
            await turns_until(lambda: not mqtt.broker._tasks)
