"""What published clients send, row by row, and what each must get back."""

from dataclasses import dataclass

import pytest

from e2e.http_edge.rig import Echo, serve


@dataclass(frozen=True)
class Quirk:
    name: str
    source: str
    pieces: tuple[bytes, ...]
    expected: tuple[tuple[str, str, bytes], ...]
    closes: bool = False


POST = b"POST /v2/things/T HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
LF_POST = b"POST /v2/things/T HTTP/1.1\nHost: h\nContent-Length: 2\n\n{}"
SAW_POST = ("POST", "/v2/things/T", b"{}")
CHUNKED = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n1\r\n!\r\n0\r\n\r\n"

QUIRKS = [
    Quirk("plain", "RFC 9112", (POST,), (SAW_POST,)),
    Quirk("byte by byte", "ESP8266 class", tuple(bytes([b]) for b in POST), (SAW_POST,)),
    Quirk("bare LF", "Arduino library", (LF_POST,), (SAW_POST,)),
    Quirk("bare LF byte by byte", "Arduino", tuple(bytes([b]) for b in LF_POST), (SAW_POST,)),
    Quirk(
        "bare LF with Connection: close",
        "Arduino library",
        (b"POST /v2/things/T HTTP/1.1\nConnection: close\nContent-Length: 2\n\n", b"{}"),
        (SAW_POST,),
        closes=True,
    ),
    Quirk(
        "mixed line ends",
        "TI library",
        (b"POST /v2/things/T HTTP/1.1\r\nHost: h\nContent-Length: 2\r\n\n{}",),
        (SAW_POST,),
    ),
    Quirk(
        "mixed the other way",
        "TI library",
        (b"GET /a HTTP/1.1\nHost: h\r\n\r\n",),
        (("GET", "/a", b""),),
    ),
    Quirk("CRLF after the body", "RFC 9112 2.2", (POST + b"\r\n", POST), (SAW_POST, SAW_POST)),
    Quirk("LF after the body", "Arduino println", (LF_POST + b"\n" + LF_POST,), (SAW_POST,) * 2),
    Quirk("empty lines first", "RFC 9112 2.2", (b"\r\n", b"\n\r\n", POST), (SAW_POST,)),
    Quirk("two heads in a piece", "pipelining", (POST + POST + POST,), (SAW_POST,) * 3),
    Quirk("two bare-LF requests in a piece", "pipelining", (LF_POST + LF_POST,), (SAW_POST,) * 2),
    Quirk("LF then CRLF", "pipelining", (LF_POST + POST,), (SAW_POST,) * 2),
    Quirk(
        "body tail with next head",
        "TCP has no pieces",
        (POST[:-1], b"}" + LF_POST[:20], LF_POST[20:-2], b"{}" + POST[:3], POST[3:]),
        (SAW_POST,) * 3,
    ),
    Quirk(
        "a head that ends in the middle of its terminator",
        "TCP has no pieces",
        (b"GET /a HTTP/1.1\r\nA: b\r", b"\n", b"\r", b"\n"),
        (("GET", "/a", b""),),
    ),
    Quirk(
        "dangling question mark",
        "JS SDK",
        (b"POST /v2/things/T? HTTP/1.1\r\nContent-Length: 0\r\n\r\n",),
        (("POST", "/v2/things/T", b""),),
    ),
    Quirk(
        "double slash",
        "ferranpm/thethingsio-js",
        (b"GET /v2//things/T HTTP/1.1\r\n\r\n",),
        (("GET", "/v2//things/T", b""),),
    ),
    Quirk(
        "leading double slash",
        "spec 1.8",
        (b"GET //v2/things/ HTTP/1.1\r\n\r\n",),
        (("GET", "//v2/things/", b""),),
    ),
    Quirk(
        "absolute form",
        "RFC 9112 3.2.2",
        (b"GET http://x/v2/things HTTP/1.1\r\nHost: x\r\n\r\n",),
        (("GET", "/v2/things", b""),),
    ),
    Quirk(
        "absolute form without path",
        "RFC 9112 3.2.2",
        (b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n",),
        (("GET", "/", b""),),
    ),
    Quirk("no Host", "spec 2.1", (b"GET /a HTTP/1.1\r\n\r\n",), (("GET", "/a", b""),)),
    Quirk(
        "two Hosts, one strange",
        "spec 2.1",
        (b"GET /a HTTP/1.1\r\nHost: a b:x:y/\r\nHost: \r\n\r\n",),
        (("GET", "/a", b""),),
    ),
    Quirk("asterisk", "RFC 9112 3.2.4", (b"OPTIONS * HTTP/1.1\r\n\r\n",), (("OPTIONS", "*", b""),)),
    Quirk("chunked", "RFC 9112 7.1", (CHUNKED,), (("POST", "/c", b"{}!"),)),
    Quirk(
        "chunked byte by byte, then another request",
        "node",
        (*(bytes([b]) for b in CHUNKED), POST),
        (("POST", "/c", b"{}!"), SAW_POST),
    ),
    Quirk(
        "chunked with more in the same piece closes after the answer",
        "RFC 9112 9.3.2",
        (CHUNKED + POST,),
        (("POST", "/c", b"{}!"),),
        closes=True,
    ),
    Quirk(
        "chunk extension and trailer",
        "RFC 9112 7.1",
        (
            b"POST /c HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n",
            b"2;a=b\r\n{}\r\n0\r\nAuthorization: x\r\n\r\n",
        ),
        (("POST", "/c", b"{}"),),
    ),
    Quirk(
        "h2c upgrade with a body is ordinary HTTP",
        "Java HttpClient",
        (
            b"POST /v2/things/T HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: AAA\r\nContent-Length: 2\r\n\r\n{}" + POST,
        ),
        (SAW_POST, SAW_POST),
    ),
    Quirk(
        "WebSocket upgrade without a handler is ordinary HTTP",
        "RFC 9110 7.8",
        (b"GET /w HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + POST,),
        (("GET", "/w", b""), SAW_POST),
    ),
    Quirk(
        "browser",
        "W3C upgrade-insecure-requests",
        (b"GET / HTTP/1.1\r\nUpgrade-Insecure-Requests: 1\r\nConnection: keep-alive\r\n\r\n",),
        (("GET", "/", b""),),
    ),
    Quirk(
        "HTTP/1.0 closes",
        "RFC 9112 9.3",
        (b"POST /a HTTP/1.0\r\nContent-Length: 1\r\n\r\nx",),
        (("POST", "/a", b"x"),),
        closes=True,
    ),
    Quirk(
        "HTTP/1.0 may ask to keep alive",
        "ApacheBench -k",
        (b"GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" * 2,),
        (("GET", "/a", b""),) * 2,
    ),
    Quirk(
        "close drops what follows",
        "RFC 9112 9.6",
        (b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n" + POST,),
        (("GET", "/a", b""),),
        closes=True,
    ),
]


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: quirk.name)
async def test_published_clients_are_understood(quirk):
    app = Echo()
    async with serve(app) as rig:
        client = await rig.connect()

        await client.send(*quirk.pieces)
        answers = [await client.read() for _ in quirk.expected]

        assert [answer.status for answer in answers] == [200] * len(quirk.expected)
        assert app.seen == list(quirk.expected)
        if quirk.closes:
            assert answers[-1].get("Connection") == ["close"]
            assert await client.rest() == b""
        else:
            last = await client.ask(b"GET /still-open HTTP/1.1\r\n\r\n")
            assert last.json["path"] == "/still-open"


async def test_a_head_is_passed_on_without_a_change():
    async with serve(Echo()) as rig:
        client = await rig.connect()

        got = await client.ask(
            b"GET /a%20b?x=1&x=%32 HTTP/1.1\r\nX-A:  two  words \r\nX-B:\r\nUpgrade: h2c\r\n"
            b"Connection: upgrade\r\n\r\n"
        )

        assert got.json["path"] == "/a b"
        assert got.json["query"] == "x=1&x=%32"
        assert got.json["headers"]["x-a"].strip() == "two  words"
        assert got.json["headers"]["x-b"] == ""
        assert got.json["headers"]["upgrade"] == "h2c"


async def test_trailers_do_not_become_headers():
    async with serve(Echo()) as rig:
        client = await rig.connect()

        got = await client.ask(
            b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"0\r\nAuthorization: x\r\n\r\n",
        )

        assert "authorization" not in got.json["headers"]


async def test_expect_100_continue_is_answered_when_the_app_reads():
    async with serve(Echo()) as rig:
        client = await rig.connect()

        await client.send(b"POST /a HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
        interim = await client.read_head()
        got = await client.ask(b"{}")

        assert interim.status == 100
        assert got.json["body"] == "{}"
        assert got.get("Connection") == []
