"""How many connections there may be, and what each may leave unanswered."""

import asyncio
import json

import pytest

from thingstead.features.users.errors import InvalidSessionError
from thingstead.kernel.budget import Rate
from thingstead.kernel.errors import OverloadedError
from thingstead.transports.socketio.limits import SocketIOLimits
from thingstead.transports.socketio.packets import Generation
from thingstead.transports.socketio.server import SocketIOServer

FOUR = Generation.FOUR
LIMITS = SocketIOLimits(sockets=3, strangers_per_address=2, messages=Rate(1_000, 1_000))


class NeverTold:
    """A watcher that no time passes for."""

    def watch(self, connection, loop):
        pass

    def forget(self, connection):
        pass


class SlowSessions:
    """Stands for `Sessions` over a store that does not answer, which no memory store can be."""

    def __init__(self):
        self.asked = 0

    def known(self, _token):
        return None

    def admit(self, _caller):
        raise AssertionError("nobody was authenticated")

    async def authenticate(self, _token, *, address):
        self.asked += 1
        await asyncio.Event().wait()


class EndedSessions:
    """Stands for `Sessions` whose only session ends right after its first use."""

    def __init__(self):
        self._callers = ["somebody"]

    def known(self, _token):
        return self._callers.pop() if self._callers else None

    async def authenticate(self, _token, *, address):
        raise InvalidSessionError

    def admit(self, _caller):
        pass


def new_server(limits=LIMITS, sessions=None):
    return SocketIOServer(None, sessions, limits, NeverTold())


async def test_there_are_as_many_connections_as_may_be_and_no_more():
    server = new_server()
    for address in ("1.1.1.1", "2.2.2.2", "3.3.3.3"):
        server.open(FOUR, address)

    with pytest.raises(OverloadedError):
        server.open(FOUR, "4.4.4.4")

    assert len(server) == 3


async def test_one_address_has_as_many_strangers_as_may_be_and_no_more():
    server = new_server()
    first = server.open(FOUR, "1.1.1.1")
    second = server.open(FOUR, "1.1.1.1")

    with pytest.raises(OverloadedError):
        server.open(FOUR, "1.1.1.1")

    first.welcome()
    server.open(FOUR, "1.1.1.1")
    with pytest.raises(OverloadedError):
        server.check_room("1.1.1.1")
    second.end("left", 1000)
    server.check_room("1.1.1.1")


async def test_a_connection_that_ended_is_found_no_more():
    server = new_server()
    session = server.open(FOUR, "1.1.1.1")
    assert server.find(session.sid, FOUR) is session
    assert server.find(session.sid, Generation.THREE) is None

    session.end("left", 1000)

    assert server.find(session.sid, FOUR) is None
    assert len(server) == 0


async def test_ids_are_unguessable():
    server = new_server()

    sids = [server.open(FOUR, address).sid for address in ("1.1.1.1", "2.2.2.2")]

    assert all(len(sid) == 24 for sid in sids)
    assert sids[0] != sids[1]


async def test_a_server_that_stops_ends_all_and_opens_no_more():
    server = new_server()
    session = server.open(FOUR, "1.1.1.1")

    server.stop()

    assert session.has_ended
    with pytest.raises(OverloadedError):
        server.open(FOUR, "1.1.1.1")


async def test_a_hundred_messages_may_wait_for_their_answers_and_no_more():
    sessions = SlowSessions()
    server = new_server(sessions=sessions)
    session = server.open(FOUR, "1.1.1.1")
    message = "42/v2," + json.dumps(["authenticate", {"sessionToken": "us_" + 43 * "A"}])
    session.receive_polled(["40/v2,", message])
    for _ in range(3):
        await asyncio.sleep(0)
    assert sessions.asked == 1

    session.receive_polled([message] * 100)
    assert not session.has_ended
    session.receive_polled([message])

    assert session.has_ended


async def test_whose_session_has_ended_is_a_stranger_again():
    limits = SocketIOLimits(strangers_per_address=1)
    server = new_server(limits, EndedSessions())
    session = server.open(FOUR, "1.1.1.1")
    session.receive_polled(["40/v2,", '42/v2,["authenticate",{"sessionToken":"a"}]'])
    await answered(session)
    server.check_room("1.1.1.1")

    session.receive_polled(['42/v2,["subscribe",{"resource":"/me/resources/a"}]'])
    await answered(session)

    with pytest.raises(OverloadedError):
        server.check_room("1.1.1.1")
    assert not session.has_ended


async def answered(session):
    """Wait until the connection has said something in its namespace."""
    while not any(packet.startswith(b"42") for packet in await session.poll()):
        pass
