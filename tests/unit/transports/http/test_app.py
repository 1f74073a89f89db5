"""Answers that are made while they are sent, as the application sends them."""

import asyncio
import json

import pytest

from thingstead.kernel.errors import StoreUnavailableError, TooManyRequestsError
from thingstead.transports.http.answers import PiecewiseAnswer
from thingstead.transports.http.app import Application
from thingstead.transports.http.router import Access, Route, Router


class Client:
    """What the server of an application is to it; `leaves` has the client go away."""

    def __init__(self):
        self.sent = []
        self.left = asyncio.Event()
        self.is_given_out = False

    def leaves(self):
        self.left.set()

    async def receive(self):
        if not self.is_given_out:
            self.is_given_out = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)
        # Whoever sends lets others run.
        await asyncio.sleep(0)

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def bodies(self):
        return [message["body"] for message in self.sent[1:]]

    @property
    def is_whole(self):
        return self.sent[-1].get("more_body", False) is False


class Pieces:
    """Makes the pieces; an exception among them is raised, a function is called."""

    def __init__(self, *pieces):
        self.left = list(pieces)
        self.is_closed = False

    async def make(self):
        try:
            while self.left:
                piece = self.left.pop(0)
                if isinstance(piece, Exception):
                    raise piece
                if callable(piece):
                    piece()
                    continue
                yield piece
        finally:
            self.is_closed = True


@pytest.fixture
def client():
    return Client()


async def served(client, pieces, headers=()):
    async def handler(_request):
        return PiecewiseAnswer(pieces.make(), headers)

    async def has_session(_request):
        return False

    route = Route("GET", "/pieces", "pieces", handler, access=Access.PUBLIC)
    scope = {"method": "GET", "raw_path": b"/pieces", "query_string": b"", "headers": []}
    application = Application(Router([route]), has_session)
    before = asyncio.all_tasks()
    try:
        await application(scope, client.receive, client.send)
    finally:
        await asyncio.sleep(0)
        # Nobody watches the client any longer.
        assert asyncio.all_tasks() == before


async def test_each_piece_is_sent_by_itself_and_then_the_end(client):
    pieces = Pieces(b"[1", b",2", b"]")

    await served(client, pieces, ((b"X-Name", b"value"),))

    assert client.status == 200
    assert (b"X-Name", b"value") in client.sent[0]["headers"]
    assert not any(name == b"Content-Length" for name, _ in client.sent[0]["headers"])
    assert client.bodies == [b"[1", b",2", b"]", b""]
    assert [message["more_body"] for message in client.sent[1:]] == [True, True, True, False]
    assert pieces.is_closed


async def test_an_answer_without_pieces_is_an_empty_one(client):
    await served(client, Pieces())

    assert (client.status, b"".join(client.bodies), client.is_whole) == (200, b"", True)


async def test_no_piece_is_made_for_a_client_that_has_left(client):
    pieces = Pieces(b"1", client.leaves, b"2", b"3", b"4", b"5")

    await served(client, pieces)

    assert b"5" not in client.bodies
    assert pieces.left
    assert pieces.is_closed
    assert not client.is_whole


async def test_what_goes_wrong_in_the_middle_is_not_answered_as_if_it_were_the_end(client):
    pieces = Pieces(b"1", StoreUnavailableError(), b"2")

    await served(client, pieces)

    assert client.bodies == [b"1"]
    assert not client.is_whole
    assert pieces.is_closed


@pytest.mark.parametrize(
    ("error", "status"),
    [(StoreUnavailableError(), 503), (TooManyRequestsError("wait", retry_after_s=3), 429)],
)
async def test_what_goes_wrong_before_the_first_piece_is_answered_as_a_refusal(
    client, error, status
):
    await served(client, Pieces(error, b"1"))

    assert client.status == status
    assert json.loads(client.bodies[0])["code"] == status
    assert client.is_whole


async def test_another_failure_before_the_first_piece_goes_up_to_the_server(client):
    with pytest.raises(ZeroDivisionError):
        await served(client, Pieces(ZeroDivisionError()))

    assert client.sent == []


async def test_a_server_that_stops_in_the_middle_closes_what_makes_the_pieces(client):
    pieces = Pieces(b"1", b"2")
    sending = asyncio.Event()

    async def send(_message):
        # A client that does not read what it is sent.
        sending.set()
        await client.left.wait()

    client.send = send
    serving = asyncio.create_task(served(client, pieces))
    await sending.wait()

    serving.cancel()

    with pytest.raises(asyncio.CancelledError):
        await serving
    assert pieces.is_closed
