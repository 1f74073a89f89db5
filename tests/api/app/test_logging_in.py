"""Logging in, and what a session is good for (`thethings-v2.md` 6.2; `security.md`, row 25)."""

import re
import sqlite3
from contextlib import closing
from urllib.parse import urlencode

import pytest

from support.in_process import served
from support.wire import connect, request
from thingstead.kernel.changes import Kind
from thingstead.limit_settings import LimitSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "a long sentence"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def credentials(person, **changed):
    return {"email": person.email, "password": PASSWORD, "app": person.app} | changed


async def login(person, **changed):
    got = await person.wire.ask("POST", "/v2/login", credentials(person, **changed))
    assert got.status == 200, got.body
    return got.json["token"]


async def me(wire, token):
    return await wire.ask("GET", "/v2/me", headers={"Authorization": token})


# Logging in.


async def test_the_answer_is_a_token_and_roles(ada):
    got = await ada.wire.ask("POST", "/v2/login", credentials(ada))

    assert got.status == 200
    assert re.fullmatch(
        rb'\{"status":"success","token":"us_[A-Za-z0-9_-]{43}","roles":\{\}\}', got.body
    )


async def test_a_form_works_too(ada):
    got = await ada.wire.ask("POST", "/v2/login", urlencode(credentials(ada)).encode(), FORM)

    assert got.status == 200
    assert (await me(ada.wire, got.json["token"])).json["_id"] == ada.id


async def test_the_app_may_be_called_app_id(ada):
    sent = credentials(ada)
    sent["appId"] = sent.pop("app")

    assert (await ada.wire.ask("POST", "/v2/login", sent)).status == 200


async def test_capitals_in_the_address_are_forgiven(ada):
    assert await login(ada, email=ada.email.upper())


async def test_each_log_in_is_a_session_of_its_own(ada):
    tokens = {ada.token, await login(ada), await login(ada)}

    assert len(tokens) == 3
    assert [(await me(ada.wire, token)).status for token in tokens] == [200] * 3


async def test_roles_name_every_resource_of_every_linked_thing(ada, thing):
    await ada.link(thing)
    written = {"values": [{"key": "temperature", "value": 20}]}
    assert (await ada.wire.ask("POST", f"/v2/things/{thing.token}", written)).status == 201

    got = await ada.wire.ask("POST", "/v2/login", credentials(ada))

    every = {"get": True, "post": True, "put": True, "grant": True}
    assert got.json["roles"]["temperature"] == {thing.thing.id: every}
    assert thing.token.encode() not in got.body


async def test_a_wrong_password_and_an_unknown_address_answer_byte_for_byte_alike(ada, bob):
    wrong = await ada.wire.ask("POST", "/v2/login", credentials(ada, password="another one"))
    unknown = await ada.wire.ask("POST", "/v2/login", credentials(ada, email="nobody@example.org"))
    impossible = await ada.wire.ask("POST", "/v2/login", credentials(bob, email="no address"))
    too_long = await ada.wire.ask("POST", "/v2/login", credentials(bob, password="x" * 2_000))

    assert wrong.status == 401
    assert wrong.body == b'{"status":"error","code":401,"message":"Invalid email or password"}'
    assert {got.without_date for got in (wrong, unknown, impossible, too_long)} == {
        wrong.without_date
    }


async def test_users_of_another_app_are_unknown(ada, server):
    other = await server.new_app()

    got = await ada.wire.ask("POST", "/v2/login", credentials(ada, app=other.id))

    assert (got.status, got.message) == (401, "Invalid email or password")


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"app": "A" * 14}, 404, "App not found"),
        ({"app": None}, 400, "app: missing"),
        ({"email": None}, 400, "email"),
        ({"password": None}, 400, "password"),
        ({"email": 7}, 400, "email: expected str, got int"),
        ({"password": {"$ne": ""}}, 400, "password: expected str, got object"),
    ],
)
async def test_a_malformed_log_in_says_what_is_wrong(ada, changed, status, said):
    sent = {name: value for name, value in credentials(ada, **changed).items() if value is not None}

    got = await ada.wire.ask("POST", "/v2/login", sent)

    assert got.status == status
    assert said in got.message
    assert PASSWORD not in got.message


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff"])
async def test_a_body_that_is_no_object_is_refused(wire, raw):
    assert (await wire.ask("POST", "/v2/login", raw)).status == 400


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_another_method_is_not_allowed(wire, method):
    got = await wire.ask(method, "/v2/login")

    assert (got.status, got.get("Allow")) == (405, "POST, OPTIONS")


# Guessing.


async def test_after_five_wrong_passwords_even_the_right_one_is_refused_for_a_while(ada):
    wrong = credentials(ada, password="another one")
    statuses = [(await ada.wire.ask("POST", "/v2/login", wrong)).status for _ in range(6)]

    got = await ada.wire.ask("POST", "/v2/login", credentials(ada))

    assert statuses == [401] * 5 + [429]
    assert got.status == 429
    assert 1 <= int(got.get("Retry-After")) <= 13
    assert "at most 5 wrong passwords of one account in a minute" in got.message


async def test_the_owner_gets_in_from_another_address_all_the_same(ada, server):
    wrong = credentials(ada, password="another one")
    for _ in range(6):
        await ada.wire.ask("POST", "/v2/login", wrong)

    async with connect(server.address, source="127.0.0.2") as elsewhere:
        got = await elsewhere.ask("POST", "/v2/login", credentials(ada))

    assert got.status == 200


async def test_guessing_one_account_does_not_shut_out_another(ada, bob):
    for _ in range(6):
        await ada.wire.ask("POST", "/v2/login", credentials(ada, password="another one"))

    assert await login(bob)


async def test_right_passwords_use_nothing_up(ada):
    assert len({await login(ada) for _ in range(12)}) == 12


async def test_wrong_current_passwords_count_like_failed_log_ins(ada):
    sent = {"currentPassword": "another one", "password": "the next sentence"}
    statuses = [(await ada.ask("PUT", "/v2/me", sent)).status for _ in range(6)]

    got = await ada.wire.ask("POST", "/v2/login", credentials(ada))

    assert statuses == [403] * 5 + [429]
    assert got.status == 429


# How a session is shown.


@pytest.mark.parametrize(
    "write",
    [
        "{}".format,
        "Bearer {}".format,
        "bearer {}".format,
        "BEARER   {}  ".format,
        "  {}  ".format,
        "\t{}".format,
    ],
)
async def test_a_session_is_shown_bare_or_as_a_bearer(ada, write):
    assert (await me(ada.wire, write(ada.token))).status == 200


@pytest.mark.parametrize(
    "write",
    [
        "".format,
        "Bearer".format,
        "Bearer ".format,
        "Basic {}".format,
        "Bearer Bearer {}".format,
        "{}x".format,
        lambda token: token[:-1],
        lambda token: token.upper(),
        lambda token: token.removeprefix("us_"),
        "{0},{0}".format,
        lambda token: "us_" + "A" * 43,
        lambda token: "x" * 5_000,
        lambda token: "us_\u00fc",
    ],
)
async def test_what_is_no_session_is_not_one(ada, write):
    got = await me(ada.wire, write(ada.token))

    assert got.status == 401
    assert got.body == b'{"status":"error","code":401,"message":"Invalid session token"}'


async def test_no_session_at_all_is_not_one(wire):
    got = await wire.ask("GET", "/v2/me")

    assert (got.status, got.message) == (401, "Invalid session token")


async def test_two_sessions_at_once_are_refused(ada, bob):
    twice = {"Authorization": ada.token, "authorization": bob.token}

    got = await ada.wire.ask("GET", "/v2/me", headers=twice)

    assert (got.status, got.message) == (400, "Invalid header: Authorization: stands twice")


async def test_a_session_in_the_query_is_not_looked_at(ada):
    assert (await ada.wire.ask("GET", f"/v2/me?Authorization={ada.token}")).status == 401
    assert (await ada.wire.ask("GET", f"/v2/me?token={ada.token}")).status == 401


async def test_the_token_of_a_thing_is_no_session(ada, thing):
    await ada.link(thing)

    assert (await me(ada.wire, thing.token)).status == 401
    assert (await me(ada.wire, f"us_{thing.token}")).status == 401


async def test_an_unknown_address_below_v2_wants_a_session_first(ada):
    without = await ada.wire.ask("GET", "/v2/nothing")
    with_one = await ada.ask("GET", "/v2/nothing")

    assert (without.status, without.message) == (401, "Invalid session token")
    assert (with_one.status, with_one.message) == (404, "Not found")


# How sessions are listed and end.


async def test_sessions_are_listed_newest_first_without_their_tokens(ada):
    token = await login(ada)

    got = await ada.ask("GET", "/v2/me/sessions")

    assert [list(one) for one in got.json] == [
        ["_id", "current", "client", "createdAt", "lastUsedAt", "expiresAt"]
    ] * 2
    assert [one["current"] for one in got.json] == [False, True]
    assert b"us_" not in got.body
    assert token.encode() not in got.body


async def test_logging_out_ends_the_session_at_once(ada):
    other = await login(ada)

    got = await ada.ask("DELETE", "/v2/me/sessions/current")

    assert (got.status, got.body) == (200, b'{"status":"success","message":"ended"}')
    assert (await me(ada.wire, ada.token)).status == 401
    assert (await me(ada.wire, other)).status == 200


async def test_one_session_is_ended_from_another(ada):
    other = await login(ada)
    assert (await me(ada.wire, other)).status == 200
    newest = (await ada.ask("GET", "/v2/me/sessions")).json[0]["_id"]

    got = await ada.ask("DELETE", f"/v2/me/sessions/{newest}")

    assert got.status == 200
    assert (await me(ada.wire, other)).status == 401
    assert (await me(ada.wire, ada.token)).status == 200
    assert (await ada.ask("DELETE", f"/v2/me/sessions/{newest}")).status == 404


async def test_all_other_sessions_are_ended_together(ada):
    others = [await login(ada), await login(ada)]

    got = await ada.ask("DELETE", "/v2/me/sessions")

    assert got.json == {"status": "success", "message": "ended", "ended": 2}
    assert [(await me(ada.wire, token)).status for token in others] == [401, 401]
    assert len((await ada.ask("GET", "/v2/me/sessions")).json) == 1


@pytest.mark.parametrize("name", ["nothing", "A" * 30, "CURRENT", "x" * 500, "%C3%BC", "%25"])
async def test_an_unknown_session_is_not_found(ada, name):
    got = await ada.ask("DELETE", f"/v2/me/sessions/{name}")

    assert (got.status, got.message) == (404, "Session not found")


async def test_the_session_of_another_user_is_not_found(ada, bob):
    bobs = (await bob.ask("GET", "/v2/me/sessions")).json[0]["_id"]

    got = await ada.ask("DELETE", f"/v2/me/sessions/{bobs}")

    assert (got.status, got.message) == (404, "Session not found")
    assert (await me(bob.wire, bob.token)).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/me/sessions"),
        ("DELETE", "/v2/me/sessions"),
        ("DELETE", "/v2/me/sessions/current"),
        ("GET", "/v2/me"),
    ],
)
async def test_sessions_are_only_for_who_has_one(wire, method, path):
    assert (await wire.ask(method, path)).status == 401


async def test_an_expired_session_opens_nothing(ada, server):
    assert (await me(ada.wire, ada.token)).status == 200
    with closing(sqlite3.connect(server.folder / "core.db", isolation_level=None)) as core:
        core.execute(
            "UPDATE session SET expires_at_ms = ? WHERE user_id = ?",
            (server.platform.clock.now_ms() - 1, ada.id),
        )
    # What is remembered of a session knows when it ends; this row was changed behind its back.
    server.platform.changes.tell(Kind.USER, ada.id)

    assert (await me(ada.wire, ada.token)).status == 401


async def test_no_answer_of_an_account_holds_a_password_or_its_hash(ada):
    for path in ("/v2/me", "/v2/me/settings", "/v2/me/sessions", "/v2/me/export"):
        got = await ada.ask("GET", path)

        assert got.status == 200
        assert b"assword" not in got.body
        assert b"$argon2" not in got.body
        assert got.get("Cache-Control") == "no-store"


async def test_log_ins_are_spared_the_budget_of_sessions(tmp_path):
    limits = LimitSettings(bad_sessions_per_minute=1)
    async with (
        served(tmp_path / "folder", limits=limits) as server,
        connect(server.address) as wire,
    ):
        app = (await server.new_app()).id
        sent = {"email": "ada@example.org", "password": PASSWORD, "app": app}
        token = (await wire.ask("POST", "/v2/register", sent)).json["token"]
        assert (await me(wire, "us_" + "A" * 43)).status == 401
        assert (await me(wire, "us_" + "A" * 43)).status == 429

        assert (await me(wire, token)).status == 200
        assert (await wire.ask("POST", "/v2/login", sent)).status == 200


async def test_a_session_is_looked_at_before_the_body_is_read(wire):
    await wire.send(
        request("PUT", "/v2/me/settings", None, {"Content-Length": "1000"}),
    )

    assert (await wire.read()).status == 401
