"""A browser on a page of another origin: streams, sockets, Socket.IO, and what the docs print.

It complains on its console about everything that it may not do or does not understand, so no
test passes with a complaint (`tab`).
"""

import asyncio
import json
import re
from pathlib import Path

import pytest
import pytest_asyncio

from e2e.people import new_app, new_codes, new_thing, register
from support.browser import PATIENCE_SECONDS, chromium, origin_of, page_with, script, tab_of
from support.process import server_process
from support.wire import ask, values

pytestmark = [pytest.mark.needs_tool("chromium"), pytest.mark.asyncio(loop_scope="module")]

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLE = re.compile(r"```(?:js|html)\n(.+?)```", re.DOTALL)
PLACEHOLDER = "https://things.example.org"
TEMPERATURE = "/me/resources/temperature"
# What the network does to a stream when its server ends; the only complaints that are allowed.
BROKEN = re.compile(r".*net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|INCOMPLETE_CHUNKED_ENCODING)")

module_fixture = pytest_asyncio.fixture(scope="module", loop_scope="module")
fixture = pytest_asyncio.fixture(loop_scope="module")


@module_fixture
async def browser():
    async with chromium() as running:
        yield running


def examples(name):
    return EXAMPLE.findall((DOCS / name).read_text("utf-8"))


@module_fixture
async def files():
    """What the pages' origin serves; a test may add to it."""
    return {
        "/": page_with("/browser.js"),
        "/2": page_with("/browser.js", "/socket.io.js"),
        "/4": page_with("/browser.js", "/socket.io.min.js"),
        "/browser.js": script("browser.js"),
        "/socket.io.js": script("node_modules/socket.io-client-2/dist/socket.io.js"),
        "/socket.io.min.js": script("node_modules/socket.io-client-4/dist/socket.io.min.js"),
        "/socket.io.esm.min.js": script(
            "node_modules/socket.io-client-4/dist/socket.io.esm.min.js"
        ),
    }


@module_fixture
async def origin(files):
    async with origin_of(files) as url:
        yield url


@fixture
async def tab(browser, origin):
    async with tab_of(browser, origin) as opened:
        await opened.open()
        yield opened
        assert opened.complaints == []


@pytest.fixture(scope="module")
def app(server):
    return new_app(server)


@pytest.fixture(scope="module")
def codes(server):
    return new_codes(server)


@fixture
async def thing(server, codes):
    return await new_thing(server.address, codes.pop())


@fixture
async def user(server, app, thing):
    somebody = await register(server.address, app)
    await somebody.expect(200, "POST", "/v2/me/things", {"thingToken": thing.token})
    return somebody


async def write(server, token, value):
    got = await ask(server.address, "POST", f"/v2/things/{token}", values(("temperature", value)))
    assert got.status == 201, got.body


async def heard(tab):
    """The value of the next document, which must be one of values."""
    document = await tab.next()
    assert document["type"] == "values", document
    [value] = document.get("data") or document["values"]
    return value["value"]


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_an_event_source_goes_on_by_itself_when_the_server_is_back(
    tmp_path, browser, origin, end
):
    async with tab_of(browser, origin) as tab:
        await tab.open()
        with server_process(tmp_path / "folder") as server:
            port, token = server.address.port, server.token
            await tab.run("listen", f"{server.url}/v2/things/{token}")
            begun = await tab.next()
            for number in range(3):
                await write(server, token, number)
            before = [await heard(tab) for _ in range(3)]
            getattr(server, end)()
        with server_process(tmp_path / "folder", "--port", str(port)) as server:
            for number in range(3, 6):
                await write(server, token, number)
            again = await tab.until("subscribed")
            missed = [await heard(tab) for _ in range(3)]
            await write(server, token, 6)
            last = await heard(tab)

    assert begun["data"] == again["data"] == {"status": "success", "message": "subscribed"}
    assert [*before, *missed, last] == list(range(7))
    assert [text for text in tab.complaints if not BROKEN.fullmatch(text)] == []


async def test_an_event_source_of_a_user_takes_a_ticket_and_goes_on_behind_a_cursor(
    server, tab, user, thing
):
    async def listen(since=""):
        ticket = await tab.run("newTicket", server.url, user.token)
        url = f"{server.url}/v2{TEMPERATURE}?ticket={ticket}&since={since}"
        await tab.run("url => { window.stream = listen(url); }", url)
        assert (await tab.next())["type"] == "subscribed"

    await listen()
    await write(server, thing.token, 1)
    first = await tab.next()
    await tab.run("() => stream.close()")
    await write(server, thing.token, 2)
    await listen(first["cursor"])
    missed = await heard(tab)
    await write(server, thing.token, 3)

    assert [(one["thingId"], one["value"]) for one in first["data"]] == [(thing.id, 1)]
    assert (missed, await heard(tab)) == (2, 3)


async def test_an_event_source_hears_of_the_objects_of_a_collection(server, tab, user):
    ticket = await tab.run("newTicket", server.url, user.token)
    await tab.run("listen", f"{server.url}/v2/classes/me/notes?ticket={ticket}")
    begun = await tab.next()

    await user.expect(201, "POST", "/v2/classes/me/notes", {"_id": "n", "text": "é😀"})
    heard = await tab.next()

    assert begun["type"] == "subscribed"
    assert (heard["type"], heard["data"]["_id"]) == ("object", "n")
    assert heard["data"]["object"]["text"] == "é😀"


async def test_a_web_socket_takes_a_ticket_and_goes_on_behind_a_cursor(server, tab, user, thing):
    async def converse(**more):
        ticket = await tab.run("newTicket", server.url, user.token)
        url = f"{server.url.replace('http', 'ws')}/v2/live?ticket={ticket}"
        wanted = [{"type": "subscribe", "id": "t", "resource": TEMPERATURE} | more]
        await tab.run("(...told) => { window.socket = converse(...told); }", url, wanted)
        assert [(await tab.next())["type"] for _ in "as"] == ["authenticated", "subscribed"]

    await converse()
    await write(server, thing.token, 1)
    first = await tab.next()
    await tab.run("() => socket.close()")
    closed = await tab.next()
    await write(server, thing.token, 2)
    await converse(since=first["cursor"])
    missed = await heard(tab)
    await write(server, thing.token, 3)

    assert [(one["thingId"], one["value"]) for one in first["values"]] == [(thing.id, 1)]
    assert closed == {"type": "closed", "code": 1005, "wasClean": True}
    assert (missed, await heard(tab)) == (2, 3)


@pytest.mark.parametrize("generation", ["2", "4"])
@pytest.mark.parametrize("transports", [["polling"], ["websocket"], None])
async def test_socketio_works_from_another_origin(server, tab, user, thing, generation, transports):
    await tab.open(f"/{generation}")
    wanted = {"transports": transports, "session": user.token, "resource": TEMPERATURE}

    await tab.run("(...told) => { subscribe(...told); }", server.url, wanted)
    answers = {}
    # Where it changes to a WebSocket, that may happen before, between or after the answers.
    expected = {"authenticate", "subscribe"} | (set() if transports else {"upgrade"})
    while answers.keys() != expected:
        document = await tab.next()
        answers[document["type"]] = document["data"]
    await write(server, thing.token, 1)
    heard = await tab.next()

    assert [answers[name]["status"] for name in ("authenticate", "subscribe")] == ["success"] * 2
    assert answers.get("upgrade", "websocket") == "websocket"
    assert (heard["type"], [one["value"] for one in heard["data"]]) == (TEMPERATURE, [1])


@pytest.mark.parametrize("number", [0, 1])
async def test_the_documented_event_sources_hear(server, tab, user, thing, number):
    example = examples("live.md")[number].replace(PLACEHOLDER, server.url)
    example = example.replace("THING_TOKEN", thing.token)

    async with tab.page.expect_response(lambda answer: "/tickets" not in answer.url) as answer:
        await run_example(tab, example, user)
    assert (await answer.value).status == 200
    await write(server, thing.token, 21.5)

    assert [one["value"] for one in (await tab.logged())[0]] == [21.5]


async def test_the_documented_event_source_of_a_user_outlives_the_server(tmp_path, browser, origin):
    example = examples("live.md")[1].replace("3000", "300")
    async with tab_of(browser, origin) as tab:
        await tab.open()
        with server_process(tmp_path / "folder") as server:
            port, token = server.address.port, server.token
            user = await register(server.address, new_app(server))
            await user.expect(200, "POST", "/v2/me/things", {"thingToken": token})
            async with tab.page.expect_response(lambda answer: "/tickets" not in answer.url):
                await run_example(tab, example.replace(PLACEHOLDER, server.url), user)
            await write(server, token, 1)
            first = await tab.logged()
            async with tab.page.expect_event(
                "requestfailed", lambda request: "/tickets" in request.url
            ):
                server.kill()
        with server_process(tmp_path / "folder", "--port", str(port)) as server:
            await write(server, token, 2)
            second = await tab.logged()

    assert [values[0]["value"] for values in (*first, *second)] == [1, 2]
    assert [text for text in tab.complaints if not BROKEN.fullmatch(text)] == []


async def test_the_documented_web_socket_hears(server, tab, user, thing):
    example = examples("live.md")[2].replace(PLACEHOLDER.replace("http", "ws", 1), "API")
    example = example.replace("API", server.url.replace("http", "ws", 1))

    frames = asyncio.Queue()
    tab.page.on("websocket", lambda socket: socket.on("framereceived", frames.put_nowait))
    await run_example(tab, f"let cursor;\n{example}", user)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while json.loads(await frames.get())["type"] != "subscribed":
            pass
    await write(server, thing.token, 21.5)

    assert await tab.logged() == [thing.id, 21.5]


async def run_example(tab, example, user):
    await tab.page.add_script_tag(
        content=f"const SESSION_TOKEN = {json.dumps(user.token)};\n{example}"
    )


@pytest.mark.parametrize("number", [0, 1])
async def test_the_documented_socketio_pages_hear(server, tab, files, user, thing, number):
    example = examples("socketio.md")[number].replace(PLACEHOLDER, server.url)
    token = f"<script>const SESSION_TOKEN = {json.dumps(user.token)};</script>"
    files["/example"] = page_with(token, example)

    await tab.open("/example")
    # They log the answers too, the newer one as documents.
    while "subscribed" not in json.dumps(await tab.logged()):
        pass
    await write(server, thing.token, 21.5)

    assert await tab.logged() == [thing.id, 21.5]
