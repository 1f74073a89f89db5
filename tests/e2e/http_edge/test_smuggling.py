"""Heads on which two readers could disagree are refused and end the connection."""

import pytest

from e2e.http_edge.rig import Echo, serve

EVIL = b"GET /evil HTTP/1.1\r\n\r\n"
CHUNKS = b"0\r\n\r\n"


def post(*lines: bytes, end: bytes = b"\r\n") -> bytes:
    return end.join([b"POST /a HTTP/1.1", *lines, b"", b""])


CORPUS = {
    "both framings": post(b"Transfer-Encoding: chunked", b"Content-Length: 5") + CHUNKS,
    "both framings, other order": post(b"Content-Length: 5", b"Transfer-Encoding: chunked")
    + CHUNKS,
    "two differing lengths": post(b"Content-Length: 5", b"Content-Length: 6") + b"abcdef",
    "two lengths apart": post(b"Content-Length: 5", b"A: b", b"content-length: 6") + b"abcdef",
    "two equal lengths": post(b"Content-Length: 5", b"Content-Length: 5") + b"abcde",
    "a list of lengths": post(b"Content-Length: 5, 5") + b"abcde",
    "signed length": post(b"Content-Length: +5") + b"abcde",
    "negative length": post(b"Content-Length: -5") + b"abcde",
    "hexadecimal length": post(b"Content-Length: 0x5") + b"abcde",
    "underscored length": post(b"Content-Length: 1_0") + b"abcde",
    "empty length": post(b"Content-Length:"),
    "length of 5000 digits": post(b"Content-Length: " + b"9" * 5000),
    "length with leading zeros beyond any number": post(b"Content-Length: " + b"0" * 30 + b"5"),
    "blank before the colon": post(b"Content-Length : 5") + b"abcde",
    "blank before the coding's colon": post(b"Transfer-Encoding : chunked") + CHUNKS,
    "folded line": post(b"A: b", b" c"),
    "folded with a tab": post(b"A: b", b"\tc"),
    "folded coding": post(b"Transfer-Encoding:", b" chunked") + CHUNKS,
    "folded first line": b"GET /a HTTP/1.1\r\n Host: x\r\n\r\n",
    "NUL in a value": post(b"A: b\x00"),
    "NUL in the target": b"GET /\x00 HTTP/1.1\r\n\r\n",
    "bare CR in a value": post(b"A: b\rContent-Length: 5"),
    "bare CR as line end": b"GET /a HTTP/1.1\rA: b\r\n\r\n",
    "CR CR LF": b"GET /a HTTP/1.1\r\r\nA: b\r\n\r\n",
    "other coding": post(b"Transfer-Encoding: gzip"),
    "coding list": post(b"Transfer-Encoding: gzip, chunked") + CHUNKS,
    "identity": post(b"Transfer-Encoding: identity"),
    "two codings": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity") + CHUNKS,
    "chunked twice": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + CHUNKS,
    "misspelt chunked": post(b"Transfer-Encoding: xchunked") + CHUNKS,
    "vertical tab before chunked": post(b"Transfer-Encoding: \x0bchunked") + CHUNKS,
    "vertical tab before the length's colon": post(b"Content-Length\x0b: 5") + b"abcde",
    "quoted chunked": post(b'Transfer-Encoding: "chunked"') + CHUNKS,
    "bare LF with chunked": post(b"Transfer-Encoding: chunked", end=b"\n") + CHUNKS,
    "bare LF with two lengths": post(b"Content-Length: 1", b"Content-Length: 1", end=b"\n") + b"a",
    "one bare LF with chunked": b"POST /a HTTP/1.1\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "HTTP/1.0 chunked": b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "no version": b"GET /a\r\n\r\n",
    "HTTP/0.9": b"GET /a HTTP/0.9\r\n\r\n",
    "HTTP/1.2": b"GET /a HTTP/1.2\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "RTSP": b"OPTIONS * RTSP/1.0\r\n\r\n",
    "two blanks": b"GET  /a HTTP/1.1\r\n\r\n",
    "blank in the target": b"GET /a b HTTP/1.1\r\n\r\n",
    "blank after the version": b"GET /a HTTP/1.1 \r\n\r\n",
    "unknown method": b"FROB /a HTTP/1.1\r\n\r\n",
    "lower-case method": b"get /a HTTP/1.1\r\n\r\n",
    "CONNECT": b"CONNECT a:80 HTTP/1.1\r\n\r\n",
    "absolute target without a host": b"GET http:///v2 HTTP/1.1\r\n\r\n",
    "relative target": b"GET v2/things HTTP/1.1\r\n\r\n",
    "bytes beyond ASCII in the target": b"GET /\xff HTTP/1.1\r\n\r\n",
    "line without a colon": post(b"nonsense"),
    "control byte in a name": post(b"A\x01: b"),
    "first bytes of TLS": b"\x16\x03\x01\x02\x00\x01\x00",
}


@pytest.mark.parametrize("name", CORPUS)
async def test_ambiguous_heads_are_refused(name):
    app = Echo()
    async with serve(app) as rig:
        client = await rig.connect()

        await client.send(CORPUS[name] + EVIL)
        got = await client.read()

        assert got.status == 400
        assert got.reason == "Bad Request"
        assert got.get("Connection") == ["close"]
        assert got.json["message"].startswith("Bad Request: ")
        assert await client.rest() == b""
        assert app.seen == []


BODIES = {
    "bare LF after a chunk size": b"3\nabc\r\n0\r\n\r\n",
    "no CRLF after a chunk": b"3\r\nabcd\r\n0\r\n\r\n",
    "sign in a chunk size": b"+3\r\nabc\r\n0\r\n\r\n",
    "prefix in a chunk size": b"0x3\r\nabc\r\n0\r\n\r\n",
    "blank after a chunk size": b"3 \r\nabc\r\n0\r\n\r\n",
    "huge chunk size": b"FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n",
    "bare LF ends the trailers": b"3\r\nabc\r\n0\r\n\n",
}


@pytest.mark.parametrize("name", BODIES)
async def test_ambiguous_chunks_are_refused(name):
    app = Echo()
    async with serve(app) as rig:
        client = await rig.connect()

        await client.send(post(b"Transfer-Encoding: chunked"), BODIES[name] + EVIL)
        got = await client.read()

        assert got.status == 400
        assert await client.rest() == b""
        assert all(path != "/evil" for _, path, _ in app.seen)


@pytest.mark.parametrize(
    "flood", [b"2;" + b"x" * 70_000 + b"\r\n{}\r\n", b"0\r\nA: " + b"x" * 70_000]
)
async def test_chunk_framing_is_bounded(flood):
    async with serve(Echo()) as rig:
        client = await rig.connect()

        await client.send(post(b"Transfer-Encoding: chunked"), flood)
        got = await client.read()

        assert got.json["message"] == "Bad Request: chunk framing or trailers too long"


async def test_a_body_that_looks_like_a_request_stays_a_body():
    app = Echo()
    async with serve(app) as rig:
        client = await rig.connect()

        await client.ask(b"POST /a HTTP/1.1\nContent-Length: %d\n\n" % len(EVIL) + EVIL)

        assert app.seen == [("POST", "/a", EVIL)]
