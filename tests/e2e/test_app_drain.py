"""What app users have under way when the server is told to stop."""

import asyncio
import json
import signal

import pytest

from e2e.people import log_in, new_app, new_thing, register
from support.app_calls import listening
from support.process import PATIENCE_SECONDS, server_process
from support.wire import ask, connect, request

GOODBYE = {"status": "error", "code": 503, "message": "Server is busy: the server is stopping"}
# As many as one account may be tried from one address.
LOG_INS = 5
_NOTE_BYTES = 60_000


@pytest.fixture
def server(tmp_path):
    with server_process(tmp_path / "folder") as running:
        yield running


async def ended(server):
    """The exit code of a server that was signalled."""
    return await asyncio.to_thread(server.process.wait, PATIENCE_SECONDS)


async def until_stopping(stream):
    """Read a stream to its end and return its last document: streams are told first."""
    documents = []
    while chunk := await stream.read_chunk():
        documents.append(json.loads(chunk))
    return documents[-1]


async def owner(server):
    """A user with a thing that has written."""
    ada = await register(server.address, new_app(server))
    thing = await new_thing(server.address, server.code)
    body = {"values": [{"key": "note", "value": "x"}]}
    assert (await ask(server.address, "POST", f"/v2/things/{thing.token}", body)).status == 201
    await ada.expect(200, "POST", "/v2/me/things", {"thingToken": thing.token})
    return ada


async def test_every_stream_of_a_user_ends_with_the_reason(server):
    ada = await owner(server)
    paths = ("/v2/me/resources/note?subscribe=true", "/v2/classes/me/rooms?subscribe=true")
    async with (
        listening(server.address, ada, paths[0]) as values,
        listening(server.address, ada, paths[1]) as objects,
    ):
        server.process.send_signal(signal.SIGTERM)

        goodbyes = [await until_stopping(values), await until_stopping(objects)]

    assert goodbyes == [GOODBYE] * 2
    assert await ended(server) == 0
    assert "Traceback" not in server.logged()


async def test_log_ins_under_way_are_answered_before_the_server_ends(server):
    ada = await owner(server)
    async with listening(server.address, ada, "/v2/me/resources/note?subscribe=true") as stream:
        # They wait for a thread that hashes, one behind the other.
        entering = [
            asyncio.create_task(log_in(server.address, ada.app, ada.email)) for _ in range(LOG_INS)
        ]
        await asyncio.wait(entering, return_when=asyncio.FIRST_COMPLETED)

        server.process.send_signal(signal.SIGTERM)

        await until_stopping(stream)
        answers = await asyncio.gather(*entering)

    assert [answer.status for answer in answers] == [200] * LOG_INS
    assert await ended(server) == 0
    assert "Traceback" not in server.logged()


async def test_an_export_under_way_comes_whole(server):
    ada = await owner(server)
    notes = 150
    async with connect(server.address) as wire:
        session = {"Authorization": ada.token}
        for number in range(notes):
            body = {"_id": f"n{number:03}", "text": "x" * _NOTE_BYTES}
            got = await wire.ask("POST", "/v2/classes/me/notes", body, session)
            assert got.status == 201, got.body
    async with (
        listening(server.address, ada, "/v2/me/resources/note?subscribe=true") as stream,
        connect(server.address) as wire,
    ):
        await wire.send(request("GET", "/v2/me/export", headers={"Authorization": ada.token}))
        head = await wire.read_head()
        # It stays under way: the sockets hold only a part of what nobody reads.
        wire.writer.transport.pause_reading()
        server.process.send_signal(signal.SIGTERM)
        await until_stopping(stream)

        wire.writer.transport.resume_reading()
        pieces = []
        while chunk := await wire.read_chunk():
            pieces.append(chunk)

    exported = json.loads(b"".join(pieces))
    assert head.status == 200
    assert len(exported["collections"]["notes"]) == notes
    assert await ended(server) == 0
    assert "Traceback" not in server.logged()


async def test_an_export_that_nobody_reads_does_not_keep_the_server_from_stopping(tmp_path):
    env = {"THINGSTEAD_LIMITS_DRAIN_SECONDS": "1"}
    with server_process(tmp_path / "folder", env=env) as server:
        ada = await owner(server)
        async with connect(server.address) as wire:
            session = {"Authorization": ada.token}
            for _ in range(150):
                body = {"text": "x" * _NOTE_BYTES}
                await wire.ask("POST", "/v2/classes/me/notes", body, session)
            wire.writer.transport.pause_reading()
            await wire.send(request("GET", "/v2/me/export", headers=session))

            server.process.send_signal(signal.SIGTERM)

            assert await ended(server) == 0
    assert "Traceback" not in server.logged()
