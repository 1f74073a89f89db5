"""A server that stops: everybody is told as the road can say it, and nothing is lost."""

import asyncio
from contextlib import AsyncExitStack, suppress

from contract.transports.conftest import all_roads
from contract.transports.driver import Can, only_ears
from contract.transports.roads import roads_that
from support.wire import ask
from thingstead.features.live.model import End
from thingstead.transports.mqtt.codec import Will

# A driver that waited for its road's largest patience would take longer than this.
END_SECONDS = 5
WILL = b'{"values":[{"key":"lost","value":true}]}'
# Who polls is told by a packet without words that the connection is over.
SILENT = {road.name for road in roads_that(Can.HEAR) if Can.SAY_END not in road.can} | {
    "socket.io 3 polling",
    "socket.io 4 polling",
}


async def test_subscribers_are_told_that_the_server_stops(tmp_path):
    async with AsyncExitStack() as after:
        async with all_roads(tmp_path / "folder") as server:
            thing = await server.new_thing()
            ending = {}
            for road in roads_that(Can.HEAR):
                driver = await after.enter_async_context(road.open(server, thing.token))
                ears = only_ears(await driver.hear())
                ending[road.name] = asyncio.create_task(ears.end())
            # Whoever polls must do so by now.
            await ask(server.address, "GET", "/health/live")
            stopping = asyncio.get_running_loop().time()

        assert asyncio.get_running_loop().time() - stopping < END_SECONDS
        ends = {name: await task for name, task in ending.items()}

    told = {name: End.SHUTDOWN.value in ended.text for name, ended in ends.items()}
    assert told == {name: name not in SILENT for name in told}
    assert all(ended.heard == [] for ended in ends.values())


async def test_what_was_acknowledged_is_there_after_the_stop(tmp_path):
    folder = tmp_path / "folder"
    acknowledged = {road.name: 0 for road in roads_that(Can.WRITE)}
    things = {}

    async def write(road, server):
        with suppress(Exception):
            async with road.open(server, things[road.name].token) as driver:
                for number in range(10_000):
                    if await driver.write([{"key": "n", "value": number}]) is not None:
                        return
                    acknowledged[road.name] += 1

    async with all_roads(folder) as server:
        for name in acknowledged:
            things[name] = await server.new_thing()
        writing = [asyncio.create_task(write(road, server)) for road in roads_that(Can.WRITE)]
        async with asyncio.timeout(20):
            while min(acknowledged.values()) < 10:  # noqa: ASYNC110  # Nothing tells of it.
                await asyncio.sleep(0)
    for task in writing:
        task.cancel()
    await asyncio.wait(writing)

    async with all_roads(folder) as server:
        for name, count in acknowledged.items():
            target = f"/v2/things/{things[name].token}/resources/n"
            [newest] = (await ask(server.address, "GET", target)).json
            # One more may have been stored whose acknowledgement was lost with the connection.
            assert newest["value"] in (count - 1, count), name


async def test_the_servers_stop_is_no_clients_last_will(tmp_path):
    folder = tmp_path / "folder"
    things = {}
    async with AsyncExitStack() as after, all_roads(folder) as server:
        for road in roads_that(Can.HEAR):
            if road.transport != "mqtt":
                continue
            thing = things[road.name] = await server.new_thing()
            driver = await after.enter_async_context(road.open(server, thing.token))
            driver.will = Will(f"v2/things/{thing.token}", WILL)
            only_ears(await driver.hear())

    async with all_roads(folder) as server:
        for name, thing in things.items():
            target = f"/v2/things/{thing.token}/resources"
            assert (await ask(server.address, "GET", target)).json["resources"] == [], name
