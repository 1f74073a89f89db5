"""A subscriber that does not read: it ends with a reason, and nobody else notices."""

import asyncio
import json

import pytest

from contract.transports.driver import Can, only_ears
from contract.transports.roads import each_road
from thingstead.features.live.model import End

pytestmark = pytest.mark.asyncio(loop_scope="module")
# More than the system and the server keep for a connection that is not read.
MOST_WRITES = 1_000


@pytest.fixture(scope="module")
def limits():
    return {"stream_queue_events": 16}


@each_road(Can.HEAR)
async def test_who_does_not_read_ends_alone(road, server, thing, tell, caplog):
    caplog.set_level("INFO", "thingstead")
    live = server.platform.live
    ends = live.counts.ends[End.OVERFLOW]
    texts = {f"t{number}": "x" * road.text_characters for number in range(8)}
    if road.text_characters < 1_000:
        texts = {"t": "x" * road.text_characters}
    async with (
        road.open(server, thing.token) as idle,
        road.open(server, thing.token) as busy,
    ):
        unread = only_ears(await idle.hear())
        read = only_ears(await busy.hear())
        unread.pause()
        written = 0
        while live.counts.ends[End.OVERFLOW] == ends:
            assert written < MOST_WRITES
            # Each is acknowledged, and heard by who reads.
            await tell(thing, n=written, **texts)
            assert json.loads(await read.next())[0]["value"] == written
            written += 1
        unread.resume()

        ended = await unread.end()
        await tell(thing, n=-1)
        assert json.loads(await read.next())[0]["value"] == -1

        async with asyncio.timeout(20):
            while len(live) > 1:  # noqa: ASYNC110  # Nothing tells of it.
                await asyncio.sleep(0)

    heard = [json.loads(array)[0]["value"] for array in ended.heard]
    assert heard == list(range(len(heard)))
    assert len(heard) < written
    if Can.SAY_END in road.can:
        assert End.OVERFLOW.value in ended.text
    assert live.counts.ends[End.OVERFLOW] == ends + 1
    logged = [message for message in caplog.messages if End.OVERFLOW.value in message]
    assert logged
    assert all(thing.thing.id in message for message in logged)
    assert thing.token not in caplog.text


@each_road(Can.HEAR)
async def test_as_many_events_as_may_wait_are_all_heard(road, server, thing, tell):
    async with road.open(server, thing.token) as driver:
        ears = only_ears(await driver.hear())
        for number in range(16):
            await tell(thing, n=number)

        heard = [json.loads(await ears.next())[0]["value"] for _ in range(16)]

    assert heard == list(range(16))
