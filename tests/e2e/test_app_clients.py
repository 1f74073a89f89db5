"""App clients that were published years ago work unchanged, byte for byte.

What each sends and looks for is described in `thethings-v2.md`, sections 6 and 9; the section is
named where it is used. `@SESSION@`, `@TOKEN@`, `@THING@`, `@APP@`, `@EMAIL@` and `@LENGTH@` are
filled in.
"""

import itertools
import json
import re

import pytest

from e2e.people import PASSWORD, new_app, new_codes, new_thing, register
from support.wire import ask, connect, values

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def app(server):
    return new_app(server)


@pytest.fixture(scope="module")
def codes(server):
    return new_codes(server)


@pytest.fixture
async def thing(server, codes):
    """A thing that has written, before anybody linked it."""
    made = await new_thing(server.address, codes.pop())
    body = values(("temperature", 21.5))
    assert (await ask(server.address, "POST", f"/v2/things/{made.token}", body)).status == 201
    return made


@pytest.fixture
async def ada(server, app):
    return await register(server.address, app)


@pytest.fixture
async def linked(ada, thing):
    """The thing, which is Ada's."""
    await ada.expect(200, "POST", "/v2/me/things", {"thingToken": thing.token})
    return thing


@pytest.fixture
def email():
    return f"old.client{next(_numbers)}@example.org"


async def replay(server, text, *, end="\r\n", **fills):
    """Send exactly the text, its lines ended as told, and return the answer."""
    for name, fill in fills.items():
        text = text.replace(f"@{name.upper()}@", fill)
    head, _, body = text.partition("\n\n")
    head = head.replace("@LENGTH@", str(len(body.encode()))) + "\n\n"
    async with connect(server.address) as wire:
        await wire.send(head.replace("\n", end).encode() + body.encode())
        got = await wire.read()
        # The connection is fit for the next request.
        assert (await wire.ask("GET", "/v2/utils/date")).status == 200
    # Clients that know no HTTP skip to the first brace, and stop at the end of the line.
    assert b"{" not in got.head
    assert b"\n" not in got.body
    return got


def is_allowed_by(got, origin):
    return got.get("Access-Control-Allow-Origin") in {"*", origin}


async def preflight(server, path, *, origin, method, headers):
    """What a browser asks before it sends `Authorization`; the answer must let it."""
    got = await ask(
        server.address,
        "OPTIONS",
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": headers,
        },
    )
    allowed = {name.lower() for name in got.get("Access-Control-Allow-Headers").split(", ")}
    return (
        got.status in {200, 204}
        and is_allowed_by(got, origin)
        and method in got.get("Access-Control-Allow-Methods").split(", ")
        and set(headers.split(",")) <= allowed
    )


# theThings/thethings.iO-android-app-demo: `HttpURLConnection`; sections 6.1, 6.3, 6.6, 6.7.
_ANDROID = (
    "{} /v2/{} HTTP/1.1\n{}User-Agent: Dalvik/2.1.0 (Linux; U; Android 5.0)\n"
    "Host: api.thethings.io\nConnection: Keep-Alive\nAccept-Encoding: gzip\n"
)
_ANDROID_BODY = "Content-Type: application/json\nContent-Length: @LENGTH@\n\n{}"
_SESSION = "Authorization: @SESSION@\n"
_CREDENTIALS = '{"email":"@EMAIL@","password":"' + PASSWORD + '","app":"@APP@"}'


def android(method, path, body=None, *, session=_SESSION):
    head = _ANDROID.format(method, path, session)
    return f"{head}\n" if body is None else head + _ANDROID_BODY.format(body)


async def test_the_android_demo_registers_logs_in_links_and_switches(server, app, thing, email):
    fills = {"app": app, "email": email, "token": thing.token}
    told = [
        await replay(server, android("POST", "register", _CREDENTIALS, session=""), **fills),
        await replay(server, android("POST", "login", _CREDENTIALS, session=""), **fills),
    ]
    fills["session"] = told[-1].json["token"]
    told += [
        await replay(server, android("POST", "me/things", '{"thingToken":"@TOKEN@"}'), **fills),
        await replay(server, android("GET", "me/things"), **fills),
        await replay(server, android("GET", "me/resources"), **fills),
        # The token stands where a thing's id does.
        await replay(
            server,
            android(
                "POST",
                "me/resources/temperature/@TOKEN@",
                '{"values":[{"key":"temperature","value":"ON"}]}',
            ),
            **fills,
        ),
        await replay(server, android("GET", "me/resources/temperature"), **fills),
    ]

    assert [got.status for got in told] == [201, 200, 200, 200, 200, 201, 200]
    # It searches each answer for this word.
    assert [got.body for got in told if b"error" in got.body] == []
    assert told[2].json == {"status": "success", "message": "linked", "thingId": thing.id}
    assert told[5].body == b'{"status":"created","message":"created"}'
    assert told[6].json[0]["value"] == "ON"


async def test_the_android_demo_finds_the_word_error_in_a_refusal(server, app, ada):
    body = _CREDENTIALS.replace(PASSWORD, "another sentence")

    got = await replay(server, android("POST", "login", body, session=""), app=app, email=ada.email)

    assert b"error" in got.body
    assert got.json["message"]


# The iOS demo: `NSURLConnection`; section 6.6 has the exact form of the resources.
_IOS = (
    "{} /v2/{} HTTP/1.1\nHost: api.thethings.io\nAccept: application/json\n{}"
    "Accept-Language: en-us\nAccept-Encoding: gzip, deflate\n"
    "User-Agent: demo/1 CFNetwork/711.3.18 Darwin/14.0.0\n"
)


def ios(method, path, body=None, *, session=_SESSION):
    head = _IOS.format(method, path, session)
    return f"{head}\n" if body is None else head + _ANDROID_BODY.format(body)


async def test_the_ios_demo_lists_the_things_of_each_resource(server, ada, linked):
    got = await replay(server, ios("GET", "me/resources"), session=ada.token)

    assert b'{"name":"temperature","things":["%b"]}' % linked.id.encode() in got.body
    assert all(each.keys() == {"name", "things"} for each in got.json)


async def test_the_ios_demo_writes_a_value_without_a_key(server, ada, linked):
    body = '{"values":[{"value":25}]}'

    written = await replay(
        server,
        ios("POST", "me/resources/temperature/@THING@", body),
        session=ada.token,
        thing=linked.id,
    )

    assert (written.status, written.json["status"]) == (201, "created")
    read = await ask(server.address, "GET", f"/v2/things/{linked.token}/resources/temperature")
    assert read.json[0]["value"] == 25


async def test_the_ios_demo_of_2015_calls_by_plain_http_from_this_machine(server, app, email):
    # Section 2.1: it used http:// although the original refused it for apps.
    got = await replay(
        server, ios("POST", "register", _CREDENTIALS, session=""), app=app, email=email
    )

    assert got.status == 201
    assert got.json["token"]


# The Ionic starter app, in a web view; sections 6.4 and 6.9.
_IONIC_ORIGIN = "http://localhost:8100"
_IONIC = (
    "{} /v2/{} HTTP/1.1\nHost: api.thethings.io\nConnection: keep-alive\n"
    "Accept: application/json, text/plain, */*\nOrigin: http://localhost:8100\n{}"
    "User-Agent: Mozilla/5.0 (Linux; Android 5.0)\nReferer: http://localhost:8100/\n"
)
_IONIC_BODY = "Content-Type: application/json;charset=UTF-8\nContent-Length: @LENGTH@\n\n{}"


def ionic(method, path, body=None, *, session=_SESSION):
    head = _IONIC.format(method, path, session)
    return f"{head}\n" if body is None else head + _IONIC_BODY.format(body)


async def test_the_ionic_app_keeps_its_thing_in_the_settings(server, ada, linked):
    fills = {"session": ada.token, "thing": linked.id}
    before = await replay(server, ionic("GET", "me/settings"), **fills)
    kept = await replay(server, ionic("PUT", "me/settings", '{"thing":"@THING@"}'), **fills)
    after = await replay(server, ionic("GET", "me/settings"), **fills)

    assert before.body == b"{}"
    assert (kept.status, kept.json["status"]) == (200, "success")
    assert after.json == {"thing": linked.id}
    assert all(is_allowed_by(got, _IONIC_ORIGIN) for got in (before, kept, after))


async def test_the_ionic_app_links_and_unlinks_by_the_id_in_the_path(server, ada, thing):
    fills = {"session": ada.token, "token": thing.token}
    linked = await replay(server, ionic("POST", "me/things", '{"thingToken":"@TOKEN@"}'), **fills)
    unlinked = await replay(
        server, ionic("DELETE", "me/things/@THING@"), thing=linked.json["thingId"], **fills
    )

    assert (unlinked.status, unlinked.json["status"]) == (200, "success")
    assert (await ada.ask("GET", "/v2/me/things")).json == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/v2/me/settings"), ("DELETE", "/v2/me/things/x"), ("GET", "/v2/me/resources")],
)
async def test_a_browser_may_send_a_session_with_every_call(server, method, path):
    assert await preflight(
        server,
        path,
        origin=_IONIC_ORIGIN,
        method=method,
        headers="authorization,content-type",
    )


# The sonar web page of bdigital: jQuery; sections 2.2 and 6.2.
_SONAR_LOGIN = (
    "POST /v2/login HTTP/1.1\nHost: api.thethings.io\nConnection: keep-alive\n"
    "Content-Length: @LENGTH@\nAccept: */*\nOrigin: null\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\n"
    "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\n\n"
    "email={}&password={}&app=@APP@"
)
_SONAR_READ = (
    "GET /v2/me/resources/temperature?limit=100&_=1444304000000 HTTP/1.1\n"
    "Host: api.thethings.io\nOrigin: null\nAccept: application/json, text/javascript, */*\n"
    "Authorization: @SESSION@\n\n"
)


async def test_the_sonar_page_logs_in_with_a_form_and_reads(server, app, ada, linked):
    sent = _SONAR_LOGIN.format(ada.email.replace("@", "%40"), PASSWORD.replace(" ", "+"))

    entered = await replay(server, sent, app=app)
    may_ask = await preflight(
        server,
        "/v2/me/resources/temperature?limit=100",
        origin="null",
        method="GET",
        headers="authorization",
    )
    read = await replay(server, _SONAR_READ, session=entered.json["token"])

    assert entered.status == 200
    assert may_ask
    assert [item["value"] for item in read.json] == [21.5]
    assert read.json[0]["thingId"] == linked.id
    assert is_allowed_by(entered, "null")
    assert is_allowed_by(read, "null")


# The class `TheThings` for ESP8266 (C++): bare line feeds; sections 6.5 and 6.7, and section 4.
_ESP = (
    "GET /v2/me/{} HTTP/1.1\nHost: api.thethings.io\nAuthorization: @SESSION@\n"
    "Accept: application/json\n\n"
)


def esp_value(got):
    """What stands behind the last `value":` up to the end of the array, as the class reads it."""
    text = (got.head + got.body).decode()
    line = text[text.index("[") :].split("\n")[0]
    return json.loads(re.search(r'"value":(.*)\}\]$', line)[1])


async def test_the_esp8266_class_finds_its_things_by_id(server, ada, linked):
    got = await replay(server, _ESP.format("things"), end="\n", session=ada.token)

    assert got.json[0]["_id"] == linked.id
    assert linked.token.encode() not in got.body
    assert got.get("Content-Length") == str(len(got.body))


async def test_the_esp8266_class_reads_the_newest_value(server, ada, linked):
    request = _ESP.format("resources/temperature/@THING@?limit=1")

    got = await replay(server, request, end="\n", session=ada.token, thing=linked.id)

    assert len(got.json) == 1
    assert esp_value(got) == 21.5


async def test_the_esp8266_class_reads_the_public_description(server, ada, linked):
    described = {"name": "Kitchen", "public": {"maxPower": 2000}}
    path = f"/v2/me/resources/description/{linked.id}"
    await ada.expect(200, "PUT", path, described)
    request = _ESP.format("resources/publicDescription/@THING@")

    got = await replay(server, request, end="\n", session=ada.token, thing=linked.id)

    assert got.json[0]["value"] == described
    assert esp_value(got)["public"]["maxPower"] == 2000


async def test_a_session_that_ended_is_told_to_the_esp8266_class(server, ada):
    await ada.expect(200, "DELETE", "/v2/me/sessions/current")

    got = await replay(server, _ESP.format("things"), end="\n", session=ada.token)

    assert got.body == b'{"status":"error","code":401,"message":"Invalid session token"}'


# ferranpm/thethingsio-js (node): double slashes, no Content-Type, chunked; section 6.11.
async def node(server, method, path, body=None, *, session=None):
    """Send what node's http module makes of `request.write(body)` without a length."""
    head = f"{method} /v2/{path} HTTP/1.1\r\nHost: api-dev.thethings.io\r\n"
    if session is not None:
        head += f"Authorization: {session}\r\n"
    pieces = [(head + "Connection: close\r\n").encode()]
    if body is None:
        pieces = [pieces[0] + b"\r\n"]
    else:
        raw = json.dumps(body, separators=(",", ":")).encode()
        pieces[0] += b"Transfer-Encoding: chunked\r\n\r\n"
        pieces += [b"%x\r\n%b\r\n" % (len(raw), raw), b"0\r\n\r\n"]
    async with connect(server.address) as wire:
        await wire.send(*pieces)
        got = await wire.read()
        assert await wire.rest() == b""
    return got


async def test_ferranpms_client_registers_below_the_app(server, app, email):
    body = {"email": email, "password": PASSWORD, "appId": app, "language": "en"}

    got = await node(server, "POST", f"/apps/{app}/register", body)
    me = await node(server, "GET", "/me", session=got.json["token"])

    assert got.status == 201
    assert me.json["email"] == email


async def test_ferranpms_client_changes_the_password_and_logs_in(server, app, ada):
    body = {
        "appId": app,
        "currentPassword": ada.password,
        "password": "another sentence",
        "confirmationPassword": "another sentence",
    }

    changed = await node(server, "PUT", "/me", body, session=ada.token)
    credentials = {"email": ada.email, "password": "another sentence", "appId": app}
    entered = await node(server, "POST", "/login", credentials)

    assert (changed.status, changed.json["status"]) == (200, "success")
    assert entered.status == 200


async def test_ferranpms_client_describes_a_thing_and_shares_it(server, ada, linked):
    described = await node(
        server, "PUT", f"/me/resources/description/{linked.id}", {"name": "a"}, session=ada.token
    )
    granted = await node(
        server,
        "PUT",
        "/me/grant",
        {
            "email": "friend@example.org",
            "permissions": {"temperature": {linked.id: {"get": True}}},
        },
        session=ada.token,
    )

    assert (described.status, described.json["status"]) == (200, "success")
    assert (granted.status, granted.json["status"]) == (200, "success")


async def test_an_app_stream_is_one_document_in_each_chunk(server, ada, linked):
    # Section 6.7: framed as section 3.7 has it, which the JS SDK parses piece by piece.
    async with connect(server.address) as stream:
        await stream.send(
            b"GET /v2//me/resources/temperature/?subscribe=true&keepAlive=60000 HTTP/1.1\n"
            b"Host: h\nAuthorization: " + ada.token.encode() + b"\n\n"
        )
        head = await stream.read_head()
        first = await stream.read_chunk()
        body = values(("temperature", 22), datetime="2026-01-31T08:00:00Z")
        await ask(server.address, "POST", f"/v2/things/{linked.token}", body)
        piece = await stream.read_chunk()

    assert head.get("Transfer-Encoding") == "chunked"
    assert first == b'{"status":"success","message":"subscribed"}'
    [item] = json.loads(piece)
    assert (item["thingId"], item["key"], item["value"]) == (linked.id, "temperature", 22)
    assert piece.endswith(b'"value":22}]')
