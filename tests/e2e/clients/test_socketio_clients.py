"""The published Socket.IO clients of every generation, as apps use them (`thethings-v2.md` 5.3).

1.4.8 is of the time of the original's documentation, 2.5.0 the last of that protocol.
"""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from e2e.people import new_app, new_codes, new_thing, register
from support.tools import CLIENTS
from support.wire import PATIENCE_SECONDS, ask, values

pytestmark = pytest.mark.needs_tool("node")

GENERATIONS = pytest.mark.parametrize("generation", ["1", "2", "4"])
TRANSPORTS = pytest.mark.parametrize("transports", ["default", "websocket", "polling"])
TOPIC = "/me/resources/temperature"


class Client:
    """A client in a process of its own (`tests/clients/socketio.js`)."""

    def __init__(self, process):
        self._process = process

    def tell(self, **wanted):
        self._process.stdin.write(json.dumps(wanted).encode() + b"\n")

    async def next(self):
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = await self._process.stdout.readline()
        assert line, "the client has ended"
        return json.loads(line)

    async def until(self, kind):
        """The next happening of that kind; what comes before it is left out."""
        while kind not in (happening := await self.next()):
            pass
        return happening

    async def event(self, name):
        """The argument of the next event of that name."""
        while True:
            happening = await self.next()
            if happening.get("event") == name:
                return happening["argument"]
            assert happening.get("event") not in {"error", "connect_error", "disconnect"}, happening


@asynccontextmanager
async def client(server, generation, transports):
    process = await asyncio.create_subprocess_exec(
        "node",
        str(CLIENTS / "socketio.js"),
        f"http://127.0.0.1:{server.address.port}",
        generation,
        transports,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Client(process)
    finally:
        process.stdin.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await process.wait()


@pytest.fixture(scope="module")
def app(server):
    return new_app(server)


@pytest.fixture(scope="module")
def codes(server):
    return new_codes(server)


@pytest.fixture
async def thing(server, codes):
    return await new_thing(server.address, codes.pop())


@pytest.fixture
async def user(server, app, thing):
    somebody = await register(server.address, app)
    await somebody.expect(200, "POST", "/v2/me/things", {"thingToken": thing.token})
    return somebody


async def write(server, thing, *members):
    got = await ask(server.address, "POST", f"/v2/things/{thing.token}", values(*members))
    assert got.status == 201, got.body


@GENERATIONS
@TRANSPORTS
async def test_an_app_authenticates_subscribes_and_hears(
    server, user, thing, generation, transports
):
    async with client(server, generation, transports) as app:
        used = await app.event("connect")
        app.tell(on=TOPIC)
        app.tell(emit=["authenticate", {"sessionToken": user.token}])
        authenticated = await app.event("authenticate")
        app.tell(emit=["subscribe", {"resource": TOPIC}])
        subscribed = await app.event("subscribe")
        await write(server, thing, ("temperature", 21.5), ("other", 1))
        heard = await app.event(TOPIC)
        app.tell(emit=["unsubscribe", {"resource": TOPIC}])
        unsubscribed = await app.event("unsubscribe")

    # The newest have often changed to the WebSocket before they are in the namespace.
    assert used in {"polling", "websocket"} if transports == "default" else used == transports
    assert authenticated == {"status": "success", "message": "authenticated"}
    assert subscribed == {"status": "success", "resource": TOPIC, "message": "subscribed"}
    assert [(one["thingId"], one["key"], one["value"]) for one in heard] == [
        (thing.id, "temperature", 21.5)
    ]
    assert unsubscribed["status"] == "success"


@GENERATIONS
@TRANSPORTS
async def test_texts_beyond_ascii_arrive_as_they_were_written(
    server, thing, generation, transports
):
    topic = f"/things/{thing.token}"
    sent = {"é": ["😀", "\u2028", "日本"]}
    async with client(server, generation, transports) as app:
        await app.event("connect")
        app.tell(on=topic)
        app.tell(emit=["subscribe", {"resource": topic, "note": "é😀"}])
        await app.event("subscribe")
        await write(server, thing, ("a", sent))

        heard = await app.event(topic)

    assert [one["value"] for one in heard] == [sent]


@GENERATIONS
@TRANSPORTS
async def test_a_callback_is_called_with_the_answer(server, generation, transports):
    async with client(server, generation, transports) as app:
        await app.event("connect")
        app.tell(emit=["authenticate", {"sessionToken": "wrong"}], ack=True)

        answer = (await app.until("ack"))["ack"]

    assert answer == {"status": "error", "code": 401, "message": "Invalid session token"}


@GENERATIONS
async def test_nothing_is_lost_while_a_client_changes_to_a_websocket(server, thing, generation):
    topic = f"/things/{thing.token}"
    async with client(server, generation, "default") as app:
        app.tell(on=topic)
        app.tell(emit=["subscribe", {"resource": topic}])
        heard, has_changed, has_subscribed, sent = [], False, False, 0
        while not has_changed or sent < 20 or len(heard) < sent:
            if has_subscribed and sent < 20:
                await write(server, thing, ("n", sent))
                sent += 1
                if len(heard) < sent - 5:
                    continue
            happening = await app.next()
            has_changed = has_changed or "upgrade" in happening
            has_subscribed = has_subscribed or happening.get("event") == "subscribe"
            if happening.get("event") == topic:
                heard += [one["value"] for one in happening["argument"]]

    assert heard == list(range(20))


@GENERATIONS
@TRANSPORTS
async def test_a_client_may_leave_and_others_go_on(server, thing, generation, transports):
    topic = f"/things/{thing.token}"
    async with (
        client(server, generation, transports) as leaving,
        client(server, generation, transports) as staying,
    ):
        for app in (leaving, staying):
            app.tell(on=topic)
            app.tell(emit=["subscribe", {"resource": topic}])
            await app.event("subscribe")
        leaving.tell(close=True)
        while (await leaving.next()).get("event") != "disconnect":
            pass
        await write(server, thing, ("n", 1))

        heard = await staying.event(topic)

    assert [one["value"] for one in heard] == [1]
