"""How answers stand on the wire: one piece, one chunk a message, one Date, no surprises."""

import asyncio
import logging

import pytest

from e2e.http_edge.rig import answer, read_body, serve, turns, until

GET = b"GET /secret-token HTTP/1.1\r\n\r\n"


def recording_writes(rig) -> list[bytes]:
    """Replaces the transport's write of the only connection by one that also records."""
    (connection,) = rig.connections
    written: list[bytes] = []
    transport = connection.transport

    class Recorder:
        def write(self, data):
            written.append(bytes(data))
            transport.write(data)

        def __getattr__(self, name):
            return getattr(transport, name)

    connection.transport = Recorder()
    return written


async def test_an_answer_goes_out_in_one_write_as_the_app_spelt_it():
    async def app(scope, receive, send):
        await answer(send, b'{"a":1}', headers=[(b"X-One", b"1")])

    async with serve(app) as rig:
        client = await rig.connect()
        await until(lambda: rig.connections)
        written = recording_writes(rig)

        got = await client.ask(GET)

        assert len(written) == 1
        assert [name for name, _ in got.headers] == [
            "Date",
            "Content-Type",
            "Content-Length",
            "X-One",
        ]
        assert got.body == b'{"a":1}'


async def test_each_stream_message_is_one_chunk_and_one_write():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for body in (b"", b"{}", b"[1]"):
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"end"})

    async with serve(app) as rig:
        client = await rig.connect()
        await until(lambda: rig.connections)
        written = recording_writes(rig)

        await client.ask(GET)

        assert written[0].endswith(b"Transfer-Encoding: chunked\r\n\r\n")
        assert written[1:] == [b"2\r\n{}\r\n", b"3\r\n[1]\r\n", b"3\r\nend\r\n0\r\n\r\n"]


async def test_a_head_waits_for_the_first_piece_of_a_stream():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with serve(app) as rig:
        client = await rig.connect()
        await until(lambda: rig.connections)
        written = recording_writes(rig)

        await client.ask(GET)

        assert len(written) == 2
        assert written[0].endswith(b"\r\n\r\n2\r\n{}\r\n")


async def test_a_missing_content_length_is_added():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"abc"})

    async with serve(app) as rig:
        client = await rig.connect()

        got = await client.ask(GET)

        assert got.get("Content-Length") == ["3"]
        assert got.get("Transfer-Encoding") == []


async def test_a_stream_to_an_old_client_ends_with_the_connection():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        await send({"type": "http.response.body", "body": b"c"})

    async with serve(app) as rig:
        client = await rig.connect()

        got = await client.ask(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")

        assert got.body == b"abc"
        assert got.get("Connection") == ["close"]
        assert got.get("Transfer-Encoding") == []


@pytest.mark.parametrize(
    ("method", "status", "lengths"),
    [(b"HEAD", 200, ["3"]), (b"GET", 204, []), (b"GET", 304, ["3"])],
)
async def test_answers_without_body_have_none(method, status, lengths):
    async def app(scope, receive, send):
        await answer(send, b"abc", status=status)

    async with serve(app) as rig:
        client = await rig.connect()

        for _ in range(2):
            await client.send(method + b" /a HTTP/1.1\r\n\r\n")
            got = await client.read(has_body=False)

            assert got.status == status
            assert got.get("Content-Length") == lengths


async def test_a_stream_answer_to_head_has_no_body():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with serve(app) as rig:
        client = await rig.connect()

        for _ in range(2):
            await client.send(b"HEAD /a HTTP/1.1\r\n\r\n")
            got = await client.read(has_body=False)
            assert [name for name, _ in got.headers] == ["Date"]


async def test_connection_and_framing_headers_of_the_app_are_not_passed_on():
    async def app(scope, receive, send):
        headers = [
            (b"Connection", b"keep-alive"),
            (b"Transfer-Encoding", b"chunked"),
            (b"Date", b"then"),
        ]
        await answer(send, b"{}", headers=headers)

    async with serve(app) as rig:
        client = await rig.connect()

        got = await client.ask(GET)

        assert got.get("Connection") == got.get("Transfer-Encoding") == []
        assert got.get("Date") == ["then"]


async def test_the_apps_close_is_honoured():
    async def app(scope, receive, send):
        await answer(send, headers=[(b"connection", b"Close")])

    async with serve(app) as rig:
        client = await rig.connect()

        got = await client.ask(GET)

        assert got.get("Connection") == ["close"]
        assert await client.rest() == b""


BAD_HEADERS = {
    "header CR": (b"X", b"a\rb"),
    "header LF": (b"X", b"a\nb"),
    "header NUL": (b"X", b"a\0b"),
    "header CRLF": (b"X", b"a\r\nSet-Cookie: b"),
    "name with CRLF": (b"X\r\nY", b"a"),
}


def broken(how):
    async def app(scope, receive, send):
        start = {"type": "http.response.start", "status": 200, "headers": []}
        if how == "raises":
            raise ValueError("no")
        if how == "raises after the start":
            await send(start)
            raise ValueError("no")
        if how == "returns without an answer":
            return
        if how == "body first":
            await send({"type": "http.response.body", "body": b""})
        if how == "two starts":
            await send(start)
            await send(start)
        if how in BAD_HEADERS:
            await answer(send, headers=[BAD_HEADERS[how]])
        if how == "status":
            await answer(send, status=99)
        if how == "length":
            await send(start | {"headers": [(b"Content-Length", b"5")]})
            await send({"type": "http.response.body", "body": b"abc"})

    return app


@pytest.mark.parametrize(
    "how",
    [
        "raises",
        "raises after the start",
        "returns without an answer",
        "body first",
        "two starts",
        *BAD_HEADERS,
        "status",
        "length",
    ],
)
async def test_a_broken_app_becomes_500_and_one_log_entry(how, caplog):
    async with serve(broken(how)) as rig:
        client = await rig.connect()

        with caplog.at_level(logging.INFO):
            got = await client.ask(GET)

        assert got.status == 500
        assert got.body == b'{"status":"error","code":500,"message":"Internal server error"}'
        assert got.get("Connection") == ["close"]
        assert await client.rest() == b""
        errors = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(errors) == 1
        assert bool(errors[0].exc_info) == (how != "returns without an answer")
        assert "secret-token" not in caplog.text


async def test_a_broken_answer_to_head_has_no_body():
    async with serve(broken("raises")) as rig:
        client = await rig.connect()

        await client.send(b"HEAD /a HTTP/1.1\r\n\r\n")
        got = await client.read(has_body=False)

        assert got.status == 500
        assert await client.rest() == b""


@pytest.mark.parametrize("how", ["raises", "returns", "too long"])
async def test_a_stream_that_breaks_is_cut_off_without_its_last_chunk(how):
    async def app(scope, receive, send):
        headers = [(b"Content-Length", b"2")] if how == "too long" else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}", "more_body": True})
        if how == "raises":
            raise ValueError("no")
        if how == "too long":
            await send({"type": "http.response.body", "body": b"{}"})

    async with serve(app) as rig:
        client = await rig.connect()

        await client.send(GET)
        await client.read_head()

        assert await client.rest() == (b"{}" if how == "too long" else b"2\r\n{}\r\n")


async def test_an_error_after_the_answer_does_not_touch_the_next_request():
    async def app(scope, receive, send):
        await answer(send)
        if scope["path"] == "/secret-token":
            await asyncio.sleep(0)
            raise ValueError("late")

    async with serve(app) as rig:
        client = await rig.connect()

        first, second = await client.ask(GET + b"GET /b HTTP/1.1\r\n\r\n"), await client.read()

        assert (first.status, second.status) == (200, 200)


async def test_a_message_after_the_end_is_an_error_in_the_app():
    raised = []

    async def app(scope, receive, send):
        await answer(send)
        with pytest.raises(RuntimeError) as caught:
            await send({"type": "http.response.body", "body": b"more"})
        raised.append(caught)

    async with serve(app) as rig:
        client = await rig.connect()

        await client.ask(GET)

        await until(lambda: raised)


async def test_an_answer_before_the_body_came_keeps_the_connection():
    async def app(scope, receive, send):
        await answer(send, status=401)

    async with serve(app) as rig:
        client = await rig.connect()

        first = await client.ask(b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\n", b"ab")
        second = await client.ask(b"cde" + GET)

        assert (first.status, second.status) == (401, 401)


async def test_an_early_answer_to_a_chunked_body_keeps_or_ends_the_connection_cleanly():
    async def app(scope, receive, send):
        await answer(send, status=401)

    chunked = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serve(app) as rig:
        kept, ended = await rig.connect(), await rig.connect()

        assert (await kept.ask(chunked)).status == 401
        assert (await kept.ask(b"2\r\nab\r\n0\r\n\r\n", GET)).status == 401
        assert (await ended.ask(chunked)).status == 401
        await ended.send(b"2\r\nab\r\n0\r\n\r\n" + GET)
        assert await ended.rest() == b""


async def test_an_answer_instead_of_100_continue_ends_the_connection():
    async def app(scope, receive, send):
        await answer(send, status=401)

    async with serve(app) as rig:
        client = await rig.connect()

        got = await client.ask(
            b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )

        assert got.get("Connection") == ["close"]
        assert await client.rest() == b""


@pytest.mark.parametrize("leave", ["close", "abort", "half-close"])
async def test_an_app_that_only_waits_learns_that_the_client_left(leave):
    left = asyncio.Event()

    async def app(scope, receive, send):
        await read_body(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.body", "body": b"ignored", "more_body": True})
        left.set()

    async with serve(app) as rig:
        client = await rig.connect()
        await client.send(GET)
        await client.read_head()

        if leave == "close":
            client.writer.close()
        elif leave == "abort":
            client.abort()
        else:
            client.writer.write_eof()

        async with asyncio.timeout(10):
            await left.wait()


async def test_requests_behind_a_long_answer_are_bounded():
    crowded, looked, release = asyncio.Event(), asyncio.Event(), asyncio.Event()
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["path"])
        await read_body(receive)
        await crowded.wait()
        for _ in range(10 if len(seen) == 1 else 0):
            waiting = asyncio.create_task(receive())
            await turns(20)
            waiting.cancel()
        looked.set()
        await release.wait()
        await answer(send)

    async with serve(app) as rig:
        client = await rig.connect()
        await client.send(GET)
        for _ in range(40):
            client.writer.write(GET * 10_000)
        await until(lambda: any(one.flow.read_paused for one in rig.connections))
        (connection,) = rig.connections
        crowded.set()
        async with asyncio.timeout(10):
            await looked.wait()

        assert len(connection._pending) < 400_000
        release.set()
        for _ in range(20_000):
            assert (await client.read()).status == 200
        assert len(seen) >= 20_000


async def test_the_date_is_the_present():
    async def app(scope, receive, send):
        await answer(send)

    async with serve(app) as rig:
        client = await rig.connect()

        got = await client.ask(GET)

        assert len(got.get("Date")) == 1
        assert got.get("Date")[0].endswith(" GMT")
        assert got.get("Server") == []
