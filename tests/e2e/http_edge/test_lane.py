"""The direct lane: takes whole requests, is answered once, survives every ending."""

import asyncio

from e2e.http_edge.rig import Echo, quick_edge, serve, until

LANE = b"POST /v2/things/T HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
OTHER = b"GET /other HTTP/1.1\r\n\r\n"
CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
CLOSING = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class Lane:
    """Takes exactly LANE; answers at once, or when the test calls `held`."""

    def __init__(self, *, is_synchronous: bool = True, raises: str = "") -> None:
        self.is_synchronous = is_synchronous
        self.raises = raises
        self.offered: list[bytes] = []
        self.held = []

    def try_take(self, connection, data: bytes) -> bool:
        self.offered.append(data)
        if self.raises == "before":
            raise ValueError("broken lane")
        if data != LANE:
            return False
        assert connection.client[0] == "127.0.0.1"
        if self.is_synchronous:
            connection.lane_respond(CREATED, True)
        else:
            self.held.append(connection)
        if self.raises == "after":
            raise ValueError("broken lane")
        return True


async def test_a_lane_answers_requests_and_leaves_others_to_the_app():
    app, lane = Echo(), Lane()
    async with serve(app, quick_edge(lane=lane)) as rig:
        client = await rig.connect()

        statuses = [(await client.ask(data)).status for data in (LANE, OTHER, LANE, LANE)]

        assert statuses == [201, 200, 201, 201]
        assert app.seen == [("GET", "/other", b"")]


async def test_a_lane_sees_only_whole_fresh_data():
    app, lane = Echo(), Lane()
    async with serve(app, quick_edge(lane=lane)) as rig:
        client = await rig.connect()

        got = await client.ask(LANE[:10], LANE[10:])

        assert got.status == 200
        assert lane.offered == [LANE[:10]]


async def test_requests_behind_one_in_the_lane_wait_for_its_answer():
    app, lane = Echo(), Lane(is_synchronous=False)
    async with serve(app, quick_edge(lane=lane)) as rig:
        client = await rig.connect()
        await client.send(LANE, OTHER[:7], OTHER[7:] + LANE)
        assert app.seen == []

        lane.held.pop().lane_respond(CREATED, True)

        assert [(await client.read()).status for _ in range(3)] == [201, 200, 200]


async def test_what_waits_behind_the_lane_is_bounded():
    lane = Lane(is_synchronous=False)
    async with serve(Echo(), quick_edge(lane=lane)) as rig:
        client = await rig.connect()
        await client.send(LANE)
        for _ in range(40):
            client.writer.write(OTHER * 10_000)
        await until(lambda: any(one.flow.read_paused for one in rig.connections))
        (connection,) = rig.connections

        assert len(connection._pending) < 400_000
        lane.held.pop().lane_respond(CREATED, True)
        assert (await client.read()).status == 201
        for _ in range(5000):
            assert (await client.read()).status == 200


async def test_a_lane_may_end_the_connection():
    lane = Lane(is_synchronous=False)
    async with serve(Echo(), quick_edge(lane=lane)) as rig:
        client = await rig.connect()
        await client.send(LANE)

        lane.held.pop().lane_respond(CLOSING, False)

        assert await client.rest() == CLOSING


async def test_a_lane_may_end_the_connection_while_more_is_coming():
    lane = Lane(is_synchronous=False)
    async with serve(Echo(), quick_edge(lane=lane)) as rig:
        client = await rig.connect()
        await client.send(LANE, OTHER)

        lane.held.pop().lane_respond(CLOSING, False)

        assert await client.rest() == CLOSING


async def test_an_answer_for_a_lost_connection_is_dropped():
    lane = Lane(is_synchronous=False)
    async with serve(Echo(), quick_edge(lane=lane)) as rig:
        client = await rig.connect()
        await client.send(LANE)
        client.abort()
        await until(lambda: not rig.connections)

        lane.held.pop().lane_respond(CREATED, True)


async def test_a_request_in_the_lane_has_no_deadline():
    lane = Lane(is_synchronous=False)
    edge = quick_edge(lane=lane, head_seconds=0.01, keep_alive_seconds=0.01)
    async with serve(Echo(), edge) as rig:
        client = await rig.connect()
        await client.send(LANE)
        (connection,) = rig.connections
        await until(lambda: connection.deadline == float("inf"))

        lane.held.pop().lane_respond(CREATED, True)

        assert (await client.read()).status == 201
        assert await client.rest() == b""


async def test_shutdown_waits_for_the_lane():
    lane = Lane(is_synchronous=False)
    async with serve(Echo(), quick_edge(lane=lane)) as rig:
        busy, idle = await rig.connect(), await rig.connect()
        await busy.send(LANE)
        await until(lambda: len(rig.connections) == 2)
        stopping = asyncio.create_task(rig.server.shutdown())

        assert await idle.rest() == b""
        await until(lambda: len(rig.connections) == 1)
        assert not stopping.done()
        lane.held.pop().lane_respond(CREATED, True)

        assert await busy.rest() == CREATED
        async with asyncio.timeout(10):
            await stopping


async def test_a_lane_that_raises_costs_only_its_request(caplog):
    lane = Lane(raises="before")
    async with serve(Echo(), quick_edge(lane=lane)) as rig:
        client = await rig.connect()

        got = await client.ask(LANE)

        assert got.status == 500
        assert await client.rest() == b""
        assert len([record for record in caplog.records if record.exc_info]) == 1


async def test_a_lane_that_raises_after_its_answer_ends_the_connection(caplog):
    lane = Lane(raises="after")
    async with serve(Echo(), quick_edge(lane=lane)) as rig:
        client = await rig.connect()

        await client.send(LANE)

        assert await client.rest() == CREATED


async def test_a_client_that_reads_nothing_is_not_served_by_the_lane():
    lane = Lane()
    async with serve(Echo(), quick_edge(lane=lane)) as rig:
        client = await rig.connect()
        await until(lambda: rig.connections)
        (connection,) = rig.connections

        connection.pause_writing()
        await client.send(LANE)
        assert lane.offered == []
        connection.resume_writing()

        assert (await client.read()).status == 200
        assert (await client.ask(LANE)).status == 201
