"""Kept sessions whose clients take nothing, or take it late, or come from another history."""

import asyncio
from dataclasses import replace

import pytest

from support.in_process import GENEROUS, PATIENCE_SECONDS, served
from support.mqtt import connected, mqtt_on, resource_topic, thing_topic
from support.wire import ask
from thingstead.features.kept_sessions.model import Holder, HolderKind, KeptSubscription
from thingstead.transports.mqtt.codec import Puback, Publish, Reason

pytestmark = pytest.mark.asyncio(loop_scope="module")

# More than may wait for a subscriber beside its window, less than may wait in a session.
MANY = 400


async def publish_many(port, token, count):
    async with connected(port) as publisher:
        topic = thing_topic(token, "cmd")
        await publisher.send(
            *(Publish(topic, b"%d" % number, 1, packet_id=number + 1) for number in range(count))
        )
        for _ in range(count):
            await publisher.expect(Puback)


async def test_what_a_client_took_too_slowly_waits_for_it(port, token):
    options = {"token": token, "is_clean": False, "expiry_s": 3_600}
    async with connected(port, 5, "c", **options) as client:
        await client.subscribe(thing_topic(token, "cmd"))
        await publish_many(port, token, MANY)
        assert (await client.end()).reason == Reason.QUOTA_EXCEEDED

    async with connected(port, 5, "c", **options) as client:
        got = [int((await client.message()).payload) for _ in range(MANY)]

    assert got == list(range(MANY))


async def test_a_session_from_a_later_history_of_the_values_hears_what_is_written_now(
    server, port, write
):
    # As when values.db, and nothing else, was put back to a copy.
    new = await server.new_thing()
    kept = server.platform.kept_sessions
    holder = Holder(HolderKind.THING, new.thing.id)
    session, _ = await kept.open(holder, "c", is_clean=False, expires_after_s=3_600)
    await kept.subscribe(session, KeptSubscription(thing_topic(new.token), 1, 10**12))
    await kept.leave(session.id, (), by_thing={})
    options = {"token": new.token, "is_clean": False}
    async with connected(port, 4, "c", **options) as client:
        await write(new.token, 1)
        assert await client.values() == [1]
        await client.leave()
    await write(new.token, 2)

    async with connected(port, 4, "c", **options) as client:
        assert await client.values() == [2]


async def test_an_acknowledgement_that_comes_a_connection_too_late_is_for_nothing(
    port, token, write
):
    options = {"token": token, "is_clean": False}
    async with connected(port, 4, "c", **options) as client:
        await client.subscribe(thing_topic(token))
        await write(token, 1)
        late = (await client.message(is_acknowledged=False)).packet_id
    await write(token, 2)
    async with connected(port, 4, "c", **options) as client:
        first = await client.message(is_acknowledged=False)
        await client.send(Puback(late))
        await client.leave()

    assert first.packet_id != late
    async with connected(port, 4, "c", **options) as client:
        assert await client.values() == [1]


async def test_what_waits_for_its_rate_is_left_to_the_connection_that_takes_over(tmp_path):
    limits = replace(GENEROUS, writes_per_second=1, write_burst=1)
    async with served(tmp_path / "folder", limits=limits) as server:
        token = await server.new_token()
        options = {"token": token, "is_clean": False}
        async with (
            mqtt_on(server.platform, closing_s=0.01) as (mqtt, port),
            connected(port, 4, "c", **options) as client,
        ):
            await client.publish(resource_topic(token), b"1")
            await client.send(Publish(resource_topic(token), b"2", 1, packet_id=9))
            # Behind it, so that it is known to have come.
            await client.ping()
            async with connected(port, 4, "c", **options):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while mqtt.broker._tasks:  # noqa: ASYNC110  # Nothing tells of it.
                        await asyncio.sleep(0)

            got = await ask(server.address, "GET", f"/v2/things/{token}/resources/k")

    assert [one["value"] for one in got.json] == [1]
