"""Subscribers on bad lines: who reads too slowly ends with a reason, and nobody else notices."""

import asyncio
import re
import socket
from contextlib import asynccontextmanager

import pytest

from support.event_stream import event_stream
from support.process import server_process
from support.wire import PATIENCE_SECONDS, connect, request, subscribed, values

LIMITS = {
    "THINGSTEAD_LIMITS_STREAM_QUEUE_EVENTS": "32",
    "THINGSTEAD_LIMITS_WRITES_PER_SECOND": "100000",
    "THINGSTEAD_LIMITS_WRITE_BURST": "100000",
}


@asynccontextmanager
async def trickling(server, headers):
    """A subscriber that takes one byte a second from the smallest buffer that there is."""
    loop = asyncio.get_running_loop()
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        one.setblocking(False)
        await loop.sock_connect(one, (server.address.host, server.address.port))
        await loop.sock_sendall(one, request("GET", f"/v2/things/{server.token}", headers=headers))
        head = await loop.sock_recv(one, 12)
        assert head == b"HTTP/1.1 200"

        async def read():
            while await loop.sock_recv(one, 1):  # noqa: ASYNC110  # It is how it behaves.
                await asyncio.sleep(1.0)

        reading = asyncio.create_task(read())
        yield
        reading.cancel()
        await asyncio.wait([reading])


@pytest.mark.parametrize(
    "headers", [{}, {"Accept": "text/event-stream"}], ids=["documents", "event stream"]
)
async def test_one_byte_a_second_ends_with_a_reason_and_disturbs_nobody(tmp_path, headers):
    with server_process(tmp_path / "folder", env=LIMITS) as server:
        thing = f"/v2/things/{server.token}"
        async with (
            subscribed(server.address, server.token) as documents,
            event_stream(server.address, thing) as events,
            trickling(server, headers),
            connect(server.address) as writer,
            asyncio.timeout(3 * PATIENCE_SECONDS),
        ):
            number = 0
            while "ended: the subscriber read too slowly" not in server.logged():
                for _ in range(50):
                    body = values(("n", number), ("t", "x" * 8_000))
                    assert (await writer.ask("POST", thing, body)).status == 201
                    assert (await documents.next_values())[0]["value"] == number
                    assert (await events.values())[0] == ("n", number)
                    number += 1

            await writer.ask("POST", thing, values(("last", 1)))
            assert (await documents.next_values())[0]["key"] == "last"
            assert await events.values() == [("last", 1)]


@pytest.mark.needs_tool("strace")
async def test_documents_of_writes_that_are_stored_together_leave_in_writes_of_their_own(tmp_path):
    traced = tmp_path / "strace"
    around = ("strace", "-f", "-s", "4096", "-e", "trace=write,writev,sendto,sendmsg")
    # Traced, the server may take longer than a small queue lasts.
    roomy = LIMITS | {"THINGSTEAD_LIMITS_STREAM_QUEUE_EVENTS": "1000"}
    with server_process(
        tmp_path / "folder", env=roomy, around=(*around, "-o", str(traced))
    ) as server:
        thing = f"/v2/things/{server.token}"
        async with subscribed(server.address, server.token) as stream:

            async def write(number):
                async with connect(server.address) as wire:
                    await wire.ask("POST", thing, values(("document", number)))

            await asyncio.gather(*(write(number) for number in range(40)))
            for _ in range(40):
                await stream.next_values()

    documents = [
        len(re.findall(r'\[\{\\"datetime\\"', line))
        for line in traced.read_text().splitlines()
        if r"\"key\":\"document\"" in line
    ]
    assert documents == [1] * 40
