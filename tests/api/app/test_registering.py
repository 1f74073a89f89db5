"""Registering (`thethings-v2.md` 6.1; `security.md`, row 9)."""

import asyncio
import re
import unicodedata
from contextlib import AsyncExitStack
from urllib.parse import urlencode

import pytest

from support.wire import ask, compact, connect, request
from thingstead.storage.sql.user_tables import APP_USER, MAIL_LINK, SESSION, USER_SETTING

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "a long sentence"
ANSWER = re.compile(rb'\{"status":"success","token":"us_[A-Za-z0-9_-]{43}","roles":\{\}\}')


@pytest.fixture
def body(app, email):
    return {"email": email, "password": PASSWORD, "app": app}


async def me(wire, answer):
    got = await wire.ask("GET", "/v2/me", headers={"Authorization": answer.json["token"]})
    assert got.status == 200
    return got.json


# What is answered.


async def test_the_answer_is_a_token_and_no_roles_yet(wire, body):
    got = await wire.ask("POST", "/v2/register", body)

    assert got.status == 201
    assert ANSWER.fullmatch(got.body)
    assert b"error" not in got.head + got.body
    assert got.get("Cache-Control") == "no-store"


async def test_the_token_is_a_session_of_the_user(wire, body, app):
    got = await me(wire, await wire.ask("POST", "/v2/register", body))

    assert list(got) == ["_id", "email", "confirmed", "app", "createdAt"]
    assert (got["email"], got["confirmed"], got["app"]) == (body["email"], False, app)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "x", None])
async def test_any_content_type_or_none_is_taken_for_json(wire, body, content_type):
    raw = compact(body)
    head = f"POST /v2/register HTTP/1.1\r\nHost: test\r\nContent-Length: {len(raw)}\r\n"
    head += f"Content-Type: {content_type}\r\n" if content_type else ""
    await wire.send(head.encode() + b"\r\n" + raw)

    assert (await wire.read()).status == 201


async def test_a_form_works_too(wire, body):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    got = await wire.ask("POST", "/v2/register", urlencode(body).encode(), headers)

    assert got.status == 201
    assert (await me(wire, got))["email"] == body["email"]


async def test_the_app_may_be_called_app_id(wire, body):
    body["appId"] = body.pop("app")

    got = await wire.ask("POST", "/v2/register", body)

    assert (got.status, (await me(wire, got))["app"]) == (201, body["appId"])


async def test_the_app_may_stand_in_the_path(wire, body):
    app = body.pop("app")

    got = await wire.ask("POST", f"/v2/apps/{app}/register", body | {"language": "en"})

    assert (got.status, (await me(wire, got))["app"]) == (201, app)


async def test_the_app_in_the_path_wins(wire, server, body):
    other = await server.new_app()

    got = await wire.ask("POST", f"/v2/apps/{other.id}/register", body)

    assert (await me(wire, got))["app"] == other.id


async def test_a_mail_asks_to_confirm_the_address(wire, body, mailbox):
    await wire.ask("POST", "/v2/register", body)

    letter = await mailbox.letter_to(body["email"])

    assert letter.link.startswith("https://things.example/confirm/email/")
    assert PASSWORD not in letter.raw.decode("latin-1")


# Addresses that are taken.


async def test_a_taken_address_is_refused(wire, body):
    await wire.ask("POST", "/v2/register", body)

    got = await wire.ask("POST", "/v2/register", body | {"password": "another sentence"})

    assert got.status == 400
    assert got.body == b'{"status":"error","code":400,"message":"User already exists"}'


@pytest.mark.parametrize(
    "spell",
    [
        str.upper,
        str.title,
        lambda text: f"  {text} ",
        lambda text: unicodedata.normalize("NFD", text),
    ],
    ids=["capitals", "title", "blanks", "decomposed"],
)
async def test_another_spelling_of_a_taken_address_is_the_same_one(wire, body, spell):
    body["email"] = f"b\u00e9{body['email']}"
    await wire.ask("POST", "/v2/register", body)

    got = await wire.ask("POST", "/v2/register", body | {"email": spell(body["email"])})

    assert (got.status, got.message) == (400, "User already exists")


async def test_each_app_has_users_of_its_own(wire, server, body):
    first = await wire.ask("POST", "/v2/register", body)
    other = await server.new_app()

    second = await wire.ask("POST", "/v2/register", body | {"app": other.id})

    assert second.status == 201
    assert (await me(wire, second))["_id"] != (await me(wire, first))["_id"]


async def test_of_parallel_registrations_of_one_address_one_succeeds(server, body):
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(connect(server.address)) for _ in range(50)]

        answers = await asyncio.gather(*(wire.ask("POST", "/v2/register", body) for wire in wires))

    statuses = [got.status for got in answers]
    assert statuses.count(201) == 1
    # More passwords come than may wait to be hashed.
    assert set(statuses) <= {201, 400, 503}


async def test_an_app_that_hides_accounts_answers_a_taken_address_alike(wire, server, body):
    body["app"] = (await server.new_app(hides_accounts=True)).id
    first = await wire.ask("POST", "/v2/register", body)

    second = await wire.ask("POST", "/v2/register", body | {"password": "another sentence"})

    assert first.status == second.status == 201
    assert ANSWER.fullmatch(first.body)
    assert ANSWER.fullmatch(second.body)
    assert [name for name, _ in first.headers] == [name for name, _ in second.headers]
    for got in (first, second):
        headers = {"Authorization": got.json["token"]}
        assert (await wire.ask("GET", "/v2/me", headers=headers)).status == 401


async def test_in_an_app_that_hides_accounts_a_log_in_needs_a_confirmed_address(
    wire, server, body, open_mail
):
    body["app"] = (await server.new_app(hides_accounts=True)).id
    await wire.ask("POST", "/v2/register", body)

    before = await wire.ask("POST", "/v2/login", body)
    await open_mail(body["email"])
    after = await wire.ask("POST", "/v2/login", body)

    assert (before.status, before.message) == (401, "Invalid email or password")
    assert after.status == 200


async def test_the_token_of_a_hidden_account_opens_nothing_and_its_owner_is_told(
    wire, server, body, mailbox
):
    body["app"] = (await server.new_app(hides_accounts=True)).id
    await wire.ask("POST", "/v2/register", body)
    await mailbox.letter_to(body["email"])

    token = (await wire.ask("POST", "/v2/register", body)).json["token"]
    letter = await mailbox.letter_to(body["email"])

    assert (await wire.ask("GET", "/v2/me", headers={"Authorization": token})).status == 401
    assert "already have an account" in letter.subject
    assert letter.link is None or "/confirm/" not in letter.link


# What is refused.

REFUSED = {
    "no address": ({"email": None}, "email"),
    "a number as address": ({"email": 7}, "email: expected str, got int"),
    "an address without an @": ({"email": "nobody"}, "Invalid email: exactly one @ is needed"),
    "an address with two lines": (
        {"email": "a@example.org\r\nBcc: eve@example.org"},
        "Invalid email",
    ),
    "no password": ({"password": None}, "password"),
    "a list as password": ({"password": ["a long sentence"]}, "password: expected str, got array"),
    "a short password": ({"password": "seven77"}, "Invalid password: shorter than 8 characters"),
    "a long password": ({"password": "xy" * 64 + "z"}, "Invalid password: longer than 128"),
    "a common password": ({"password": "password1"}, "one of the most common ones"),
    "an app that is a number": ({"app": 7}, "app: expected str"),
    "no app": ({"app": None}, "app: missing"),
    "an empty app": ({"app": ""}, "app: missing"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refusal_says_what_is_wrong_and_quotes_nothing(wire, body, name):
    changed, said = REFUSED[name]
    sent = {key: value for key, value in (body | changed).items() if value is not None}

    got = await wire.ask("POST", "/v2/register", sent)

    assert got.status == 400
    assert said in got.message
    secrets = [sent.get("password"), sent.get("email")]
    assert not any(isinstance(text, str) and text in got.message for text in secrets)


@pytest.mark.parametrize("app", ["A" * 14, "../..", "x" * 1_000, "\u00fc", "' OR 1=1 --"])
async def test_an_unknown_app_is_not_found(wire, body, app):
    got = await wire.ask("POST", "/v2/register", body | {"app": app})

    assert (got.status, got.message) == (404, "App not found")


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b'"text"', b"null", b"\xff", b'{"email":"a","email":"b"}', b"[" * 9_000],
)
async def test_a_body_that_is_no_object_is_refused(wire, raw):
    got = await wire.ask("POST", "/v2/register", raw)

    assert got.status == 400
    assert got.json["code"] == 400


async def test_a_body_that_is_too_large_is_refused(server, body):
    got = await ask(server.address, "POST", "/v2/register", body | {"more": "x" * 16_384})

    assert got.status == 413


@pytest.mark.parametrize(
    ("password", "status"),
    [
        ("\u00fc" * 7, 400),
        ("\u00fcberdr\u00fcs", 201),
        ("xy" * 64, 201),
        ("\u00fc\u00e9" * 64, 201),
        (unicodedata.normalize("NFD", "\u00fc\u00e9" * 64), 201),
        ("\u00fc\u00e9" * 64 + "x", 400),
        ("x" * 1_025, 400),
    ],
    ids=["7", "8", "128", "128 of two bytes", "128 decomposed", "129", "1025 bytes"],
)
async def test_a_password_has_8_to_128_characters(wire, body, password, status):
    got = await wire.ask("POST", "/v2/register", body | {"password": password})

    assert got.status == status
    assert password not in got.body.decode()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_another_method_is_not_allowed(wire, method):
    got = await wire.ask(method, "/v2/register")

    assert (got.status, got.get("Allow")) == (405, "POST, OPTIONS")


# Members that are nobody's business.

COLUMNS = sorted(
    {column.name for table in (APP_USER, SESSION, MAIL_LINK, USER_SETTING) for column in table.c}
)
WISHED = [
    "role",
    "roles",
    "verified",
    "confirmed",
    "confirmedAt",
    "_id",
    "userId",
    "token",
    "admin",
]


@pytest.mark.parametrize("name", sorted({*COLUMNS, *WISHED} - {"email", "password", "app"}))
@pytest.mark.parametrize("value", [1, True, "chosen", {"temperature": {"x": {"get": True}}}])
async def test_further_members_change_nothing(wire, body, name, value):
    got = await wire.ask("POST", "/v2/register", body | {name: value})

    user = await me(wire, got)
    session = {"Authorization": got.json["token"]}
    settings = await wire.ask("GET", "/v2/me/settings", headers=session)
    sessions = await wire.ask("GET", "/v2/me/sessions", headers=session)
    assert ANSWER.fullmatch(got.body)
    assert (user["email"], user["app"], user["confirmed"]) == (body["email"], body["app"], False)
    assert "chosen" not in (user["_id"], sessions.json[0]["_id"], sessions.json[0]["client"])
    assert user["createdAt"] > "2020"
    assert settings.body == b"{}"


async def test_what_a_client_calls_itself_is_cut_and_cleaned(wire, body):
    headers = {"User-Agent": "x" * 119 + "\u00e9" + "yyy"}
    await wire.send(request("POST", "/v2/register", body, headers).replace(b"\xc3\xa9", b"\xe9"))
    token = (await wire.read()).json["token"]

    got = await wire.ask("GET", "/v2/me/sessions", headers={"Authorization": token})

    assert got.json[0]["client"] == "x" * 119 + "\u00e9"
