"""Clients that were published years ago work unchanged, byte for byte."""

import asyncio
import json
import re
import socket

import pytest

from e2e.quirks import ACTIVATIONS, REQUESTS
from support.wire import PATIENCE_SECONDS, connect, request, subscribed, values

SUBSCRIBED = b'{"status":"success","message":"subscribed"}'


@pytest.fixture(scope="module")
def product(server):
    [product] = server.command("product", "list")
    return product["id"]


@pytest.fixture(scope="module")
def codes(server, product):
    return server.command("codes", "create", "--product", str(product), "--count", "100")


@pytest.fixture
async def token(server, codes):
    """A new thing with the resources that the quirks read."""
    async with connect(server.address) as wire:
        made = await wire.ask("POST", "/v2/things", {"activationCode": codes.pop()})
        if made.status != 201:
            pytest.fail(made.body.decode())
        thing = f"/v2/things/{made.json['thingToken']}"
        await wire.ask("POST", thing, values(("led", "ON")))
        for minute in range(3):
            body = values(("count", minute + 1), datetime=f"2026-01-31T08:0{minute}:00Z")
            await wire.ask("POST", thing, body)
        return made.json["thingToken"]


def pieces_of(quirk, **fills):
    """The quirk's bytes with the placeholders filled in."""

    def filled(piece):
        for name, text in fills.items():
            piece = piece.replace(f"@{name.upper()}@".encode(), str(text).encode())
        return piece

    is_by_byte = quirk.pieces[0] == b"BY BYTE"
    pieces = [filled(piece) for piece in quirk.pieces[is_by_byte:]]
    for index, piece in enumerate(pieces):
        body = re.split(rb"\r?\n\r?\n", piece, maxsplit=1)[-1]
        if not body and index + 1 < len(pieces):
            body = pieces[index + 1]
        pieces[index] = piece.replace(b"@LENGTH@", str(len(body)).encode())
    return [bytes([byte]) for byte in pieces[0]] if is_by_byte else pieces


@pytest.mark.parametrize("quirk", REQUESTS, ids=lambda quirk: quirk.name)
async def test_a_quirk_of_a_published_client_is_served(server, token, quirk):
    async with connect(server.address) as wire:
        await wire.send(*pieces_of(quirk, token=token))
        got = await wire.read()

        assert quirk.check(got), (got.head, got.body)
        assert b"{" not in got.head
        assert b"\n" not in got.body
        if quirk.closes:
            assert await wire.rest() == b""
        else:
            # The connection is fit for the next request.
            assert (await wire.ask("GET", "/v2/utils/date")).status == 200
    if quirk.stored is not None:
        async with connect(server.address) as wire:
            got = await wire.ask("GET", f"/v2/things/{token}/resources/q?limit=100")
        assert [item["value"] for item in got.json] == [quirk.stored]


@pytest.mark.parametrize("quirk", ACTIVATIONS, ids=lambda quirk: quirk.name)
async def test_a_quirk_of_an_activation_is_served(server, codes, product, quirk):
    async with connect(server.address) as wire:
        await wire.send(*pieces_of(quirk, code=codes.pop(), product=product))
        got = await wire.read()

        assert quirk.check(got), (got.head, got.body)
        assert await wire.rest() == b""


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["bare LF", "CRLF"])
async def test_a_client_that_stops_sending_after_its_write_is_answered(server, token, end):
    # `printf … | nc`, and every client that closes its sending side first.
    body = '{"values":[{"key":"half","value":1}]}'
    lines = [f"POST /v2/things/{token} HTTP/1.1", "Host: h", f"Content-Length: {len(body)}", ""]
    async with connect(server.address) as wire:
        await wire.send((end.join(lines) + end + body).encode())
        wire.half_close()
        got = await wire.read()

    assert got.status == 201


def send_and_close(address, sent):
    """Send everything and the end of the connection in one TCP segment."""
    with socket.create_connection((address.host, address.port), PATIENCE_SECONDS) as connection:
        if hasattr(socket, "TCP_CORK"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass


async def test_a_write_counts_although_its_sender_disconnects_at_once(server, codes):
    # The ESP8266 C library disconnects right after it has sent; the server may not have seen
    # the token lately.
    async with connect(server.address) as wire:
        made = await wire.ask("POST", "/v2/things", {"activationCode": codes.pop()})
        token = made.json["thingToken"]
        body = '{"values":[{"key":"gone","value":1}]}'
        head = (
            f"POST /v2/things/{token} HTTP/1.1\nHost: api.devices.thethings.io\n"
            f"Accept: application/json\nContent-Type: application/json\n"
            f"Content-Length: {len(body)}\n\n"
        )
        await asyncio.to_thread(send_and_close, server.address, (head + body).encode())

        async with asyncio.timeout(3):
            # Nobody waits for the answer, so that only reading tells when it is stored.
            status = 0
            while status != 200:
                status = (await wire.ask("GET", f"/v2/things/{token}/resources/gone")).status


async def test_paging_backwards_by_end_date_ends(server, token):
    # BeeGroup-cimne/theThingsApi: limit=1000, then endDate = the oldest date to the second,
    # until an answer is empty.
    minutes = 250
    async with connect(server.address) as wire:
        body = {
            "values": [
                {"key": "p", "value": n, "datetime": f"2026-01-30T{n // 60:02d}:{n % 60:02d}:00Z"}
                for n in range(minutes)
            ]
        }
        await wire.ask("POST", f"/v2/things/{token}", body)
        pages, end = [], "20260201000000"
        while len(pages) < minutes:
            query = f"?limit=1000&startDate=20260130000000&endDate={end}"
            page = (await wire.ask("GET", f"/v2/things/{token}/resources/p{query}")).json
            if not page:
                break
            pages.append(page)
            oldest = min(item["datetime"] for item in page)
            end = re.sub(r"\D", "", oldest)[:14]

    assert [len(page) for page in pages] == [100, 100, 50]
    assert [item["value"] for page in pages for item in page] == list(reversed(range(minutes)))


async def test_a_stream_sends_one_document_in_each_chunk_and_each_write(server, token):
    # The JS SDK parses each piece that its socket gives: no frame may be cut or joined.
    thing = f"/v2/things/{token}"
    async with connect(server.address) as stream, connect(server.address) as writer:
        await stream.send(request("GET", f"{thing}?keepAlive=1000"))
        head = await stream.read_head()
        first = await stream.reader.read(65_536)
        silence = await stream.reader.read(65_536)
        pieces = []
        for number in range(3):
            await writer.ask("POST", thing, values(("b", number), datetime="2026-01-31T08:00:00Z"))
            while (piece := await stream.reader.read(65_536)) == b"2\r\n{}\r\n":
                pass
            pieces.append(piece)

    assert head.get("Transfer-Encoding") == "chunked"
    assert head.get("Content-Type") == "application/json"
    assert first == b"%x\r\n%b\r\n" % (len(SUBSCRIBED), SUBSCRIBED)
    assert silence == b"2\r\n{}\r\n"
    for number, piece in enumerate(pieces):
        document = b'[{"datetime":"2026-01-31T08:00:00.000Z","key":"b","value":%d}]' % number
        assert piece == b"%x\r\n%b\r\n" % (len(document), document)


async def test_writes_in_a_burst_are_chunks_of_their_own(server, token):
    thing = f"/v2/things/{token}"
    async with subscribed(server.address, token) as stream, connect(server.address) as writer:
        await writer.send(b"".join(request("POST", thing, values(("b", n))) for n in range(50)))
        documents = [await stream.next_values() for _ in range(50)]

    assert [[item["value"] for item in document] for document in documents] == [
        [number] for number in range(50)
    ]


async def test_a_stream_opens_on_bare_lf_and_in_lines(server, token):
    # ESP8266 Lua sends a line a packet; TI's client sends keepAlive=100000 with bare LF.
    async with connect(server.address) as stream, connect(server.address) as writer:
        await stream.send(
            f"GET /v2/things/{token}?keepAlive=100000 HTTP/1.1\n".encode(),
            b"Host: api.thethings.io\n",
            b"Accept: application/json\n\n",
        )
        head = await stream.read_head()
        first = await stream.read_chunk()
        await writer.ask("POST", f"/v2/things/{token}", values(("led", "ON")))
        piece = await stream.read_chunk()

    assert (head.status, first) == (200, SUBSCRIBED)
    assert b"{" not in head.head
    assert b'"VALUE":"ON"}' in piece.upper().replace(b" ", b"")


async def test_a_stream_read_byte_by_byte_up_to_the_first_bracket_stays_in_step(server, token):
    # The Python 2 library reads an object by counting braces and an array up to the first `]`.
    async with subscribed(server.address, token) as stream, connect(server.address) as writer:
        for number in range(3):
            body = values(("a", number), ("b", {"deep": number}), ("c", "text"))
            await writer.ask("POST", f"/v2/things/{token}", body)
        whole = b"".join([await stream.read_chunk() for _ in range(3)])

    documents = []
    while whole:
        document, _, whole = whole.partition(b"]")
        documents.append(json.loads(document + b"]"))
    assert [[item["key"] for item in document] for document in documents] == [["a", "b", "c"]] * 3
    assert [document[0]["value"] for document in documents] == [0, 1, 2]


async def test_a_stream_without_keep_alive_is_opened_and_fed(server, token):
    # Electric Imp's library sends no keepAlive.
    async with subscribed(server.address, token) as stream, connect(server.address) as writer:
        await writer.ask("POST", f"/v2/things/{token}", values(("a", "b")))

        [item] = await stream.next_values()

    assert (item["key"], item["value"]) == ("a", "b")


async def test_a_stream_to_an_http_1_0_client_is_not_chunked(server, token):
    async with connect(server.address) as stream:
        await stream.send(f"GET /v2/things/{token} HTTP/1.0\r\n\r\n".encode())
        head = await stream.read_head()
        first = await stream.reader.readexactly(len(SUBSCRIBED))

    assert head.get("Transfer-Encoding") is None
    assert head.get("Connection") == "close"
    assert first == SUBSCRIBED
