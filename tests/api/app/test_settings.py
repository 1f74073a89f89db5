"""A user's settings, and the password among them (`thethings-v2.md` 6.9; `security.md`, row 28)."""

import logging
from urllib.parse import urlencode

import pytest

from support.wire import compact

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "a long sentence"
NEXT = "another-long-sentence-4711"
PATH = "/v2/me/settings"
UPDATED = b'{"status":"success","message":"updated"}'
RESERVED = ["roles", "email", "verified", "confirmed", "token", "appId", "app", "userId", "_id"]


async def put(person, members, **headers):
    return await person.ask("PUT", PATH, members, **headers)


async def login(person, password):
    sent = {"email": person.email, "password": password, "app": person.app}
    return await person.wire.ask("POST", "/v2/login", sent)


async def second_session(person):
    return (await login(person, PASSWORD)).json["token"]


async def is_open(person, token):
    got = await person.wire.ask("GET", "/v2/me", headers={"Authorization": token})
    return got.status == 200


def settings_of(size):
    """An object whose compact JSON has so many bytes."""
    return {"a": "x" * (size - len(compact({"a": ""})))}


# A small store.


async def test_a_new_user_has_none(ada):
    got = await ada.ask("GET", PATH)

    assert (got.status, got.body) == (200, b"{}")


async def test_they_are_read_back_bare_in_the_order_of_their_setting(ada):
    first = await put(ada, b'{"thing":"ID","b":[1,2.5,null,true],"a":{"c":"\xc3\xbc"}}')

    got = await ada.ask("GET", PATH)

    assert (first.status, first.body) == (200, UPDATED)
    assert got.body == b'{"thing":"ID","b":[1,2.5,null,true],"a":{"c":"\xc3\xbc"}}'


async def test_members_sent_are_set_and_the_others_kept(ada):
    await put(ada, {"a": 1, "b": {"x": 1}, "c": 3})

    await put(ada, {"b": {"y": 2}, "d": 4})

    got = await ada.ask("GET", PATH)
    assert got.body == b'{"a":1,"b":{"y":2},"c":3,"d":4}'


async def test_null_is_a_value(ada):
    await put(ada, {"a": 1})

    await put(ada, {"a": None})

    assert (await ada.ask("GET", PATH)).body == b'{"a":null}'


async def test_a_form_sets_texts(ada):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    got = await put(ada, urlencode({"language": "en", "a[b]": "1"}).encode(), **headers)

    assert got.body == UPDATED
    assert (await ada.ask("GET", PATH)).json == {"language": "en", "a": {"b": "1"}}


async def test_an_empty_object_changes_nothing(ada):
    await put(ada, {"a": 1})

    assert (await put(ada, {})).body == UPDATED
    assert (await ada.ask("GET", PATH)).body == b'{"a":1}'


async def test_they_are_each_user_s_own(ada, bob):
    await put(ada, {"a": 1})

    assert (await bob.ask("GET", PATH)).body == b"{}"


@pytest.mark.parametrize("name", RESERVED)
async def test_what_the_platform_knows_itself_is_dropped(ada, name):
    before = (await ada.ask("GET", "/v2/me")).body

    got = await put(ada, {name: "admin", "kept": 1})

    assert got.body == UPDATED
    assert (await ada.ask("GET", PATH)).body == b'{"kept":1}'
    assert (await ada.ask("GET", "/v2/me")).body == before


@pytest.mark.parametrize("name", ["__proto__", "constructor", "$where", "a.b", "\u00fc", "x" * 128])
async def test_other_names_are_plain_data(ada, name):
    await put(ada, {name: 1})

    assert (await ada.ask("GET", PATH)).json == {name: 1}


@pytest.mark.parametrize("name", ["", "x" * 129])
async def test_a_name_has_1_to_128_characters(ada, name):
    got = await put(ada, {name: 1})

    assert (got.status, got.message) == (400, "Invalid settings: a name has 1 to 128 characters")


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"text"', b"null", b"true"])
async def test_only_an_object_is_taken(ada, raw):
    got = await put(ada, raw)

    assert (got.status, got.message) == (400, "Invalid settings: the body must be a JSON object")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":"\\u0000"}', b"\xff", b"[" * 9_000]
)
async def test_a_malformed_body_is_refused(ada, raw):
    await put(ada, {"kept": 1})

    assert (await put(ada, raw)).status == 400
    assert (await ada.ask("GET", PATH)).body == b'{"kept":1}'


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PUT", {"a": 1})])
async def test_they_need_a_session(wire, method, body):
    got = await wire.ask(method, PATH, body)

    assert (got.status, got.message) == (401, "Invalid session token")


async def test_they_may_have_16_kib_and_no_more(ada):
    fitting = await put(ada, settings_of(16_384))

    beyond = await put(ada, settings_of(16_385))

    assert (fitting.status, beyond.status) == (200, 413)
    assert "16384 bytes" in beyond.message


async def test_they_may_grow_to_16_kib_and_no_more(ada):
    await put(ada, {"b": 1})

    fitting = await put(ada, settings_of(16_384 - len(',"b":1')))
    assert fitting.status == 200
    beyond = await put(ada, settings_of(16_385 - len(',"b":1')))

    assert beyond.status == 413


async def test_they_may_have_100_members_and_no_more(ada):
    fitting = await put(ada, {f"n{number}": number for number in range(100)})

    beyond = await put(ada, {"n0": "changed", "n100": 100})

    assert (fitting.status, beyond.status) == (200, 413)
    assert "100 members" in beyond.message


# The password among them.


async def test_a_password_among_them_becomes_the_password(ada):
    got = await put(ada, {"password": NEXT, "language": "en"})

    assert got.body == UPDATED
    assert (await login(ada, NEXT)).status == 200
    assert (await login(ada, PASSWORD)).status == 401


async def test_a_password_is_neither_kept_nor_shown_nor_logged(ada, server, caplog):
    with caplog.at_level(logging.DEBUG):
        sent = {"password": NEXT, "confirmationPassword": NEXT, "currentPassword": PASSWORD}
        assert (await put(ada, sent | {"language": "en"})).status == 200
        await put(ada, {"password": NEXT[:7]})
        await login(ada, f"{NEXT}-wrong")

    assert (await ada.ask("GET", PATH)).body == b'{"language":"en"}'
    assert NEXT[:7] not in caplog.text
    for file in server.folder.iterdir():
        assert NEXT.encode() not in file.read_bytes(), file.name
    # The search finds what is there.
    assert any(b'{"language":"en"}' in file.read_bytes() for file in server.folder.iterdir())


@pytest.mark.parametrize("name", ["currentPassword", "confirmationPassword"])
async def test_what_comes_beside_a_password_is_not_kept_alone_either(ada, name):
    got = await put(ada, {name: NEXT, "a": 1})

    assert got.status == 200
    assert (await ada.ask("GET", PATH)).body == b'{"a":1}'
    assert (await login(ada, PASSWORD)).status == 200


async def test_a_new_password_ends_the_other_sessions_at_once(ada):
    other = await second_session(ada)
    assert await is_open(ada, other)

    await put(ada, {"password": NEXT})

    assert not await is_open(ada, other)
    assert await is_open(ada, ada.token)


async def test_a_new_password_is_told_by_mail(ada, mailbox):
    await mailbox.letter_to(ada.email)

    await put(ada, {"password": NEXT})

    letter = await mailbox.letter_to(ada.email)
    assert "was changed" in letter.subject
    assert NEXT not in letter.raw.decode("latin-1")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"password": "seven77"}, "Invalid password: shorter than 8 characters"),
        ({"password": "password1"}, "Invalid password: it is one of the most common ones"),
        ({"password": 12345678}, "Invalid password: password: a text is needed"),
        ({"password": None}, "Invalid password: password: a text is needed"),
        (
            {"password": NEXT, "confirmationPassword": "other"},
            "Invalid password: confirmationPassword: it is not the same as password",
        ),
    ],
)
async def test_a_password_that_cannot_be_used_leaves_all_as_it_was(ada, members, said):
    other = await second_session(ada)

    got = await put(ada, members | {"a": 1})

    assert (got.status, got.message) == (400, said)
    assert (await ada.ask("GET", PATH)).body == b"{}"
    assert (await login(ada, PASSWORD)).status == 200
    assert await is_open(ada, other)


async def test_settings_that_are_too_large_leave_the_password_as_it_was(ada):
    got = await put(ada, settings_of(16_385) | {"password": NEXT})

    assert got.status == 413
    async with ada.elsewhere() as ada:
        assert (await login(ada, PASSWORD)).status == 200


async def test_a_wrong_current_password_is_refused_where_it_is_sent(ada):
    got = await put(ada, {"password": NEXT, "currentPassword": "wrong"})

    assert (got.status, got.message) == (403, "Invalid current password")
    assert (await login(ada, PASSWORD)).status == 200


async def test_an_app_may_demand_the_current_password(server, new_person):
    app = await server.new_app(needs_current_password=True)
    ada = await new_person(app=app.id)

    without = await put(ada, {"password": NEXT})
    wrong = await put(ada, {"password": NEXT, "currentPassword": "wrong"})
    right = await put(ada, {"password": NEXT, "currentPassword": PASSWORD})

    assert [got.status for got in (without, wrong, right)] == [403, 403, 200]
    assert "it is missing" in without.message
    assert (await login(ada, NEXT)).status == 200


async def test_settings_without_a_password_need_none(server, new_person):
    ada = await new_person(app=(await server.new_app(needs_current_password=True)).id)

    assert (await put(ada, {"language": "en"})).status == 200


# `PUT /v2/me`.


async def test_the_password_is_changed_given_the_current_one(ada):
    other = await second_session(ada)
    sent = {"appId": ada.app, "currentPassword": PASSWORD}

    got = await ada.ask("PUT", "/v2/me", sent | {"password": NEXT, "confirmationPassword": NEXT})

    assert (got.status, got.body) == (200, UPDATED)
    assert (await login(ada, NEXT)).status == 200
    assert not await is_open(ada, other)
    assert await is_open(ada, ada.token)


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"currentPassword": "wrong"}, 403, "Invalid current password"),
        ({"currentPassword": "x" * 5_000}, 403, "Invalid current password"),
        ({"currentPassword": None}, 400, "currentPassword"),
        ({"currentPassword": 7}, 400, "currentPassword: expected str, got int"),
        ({"password": None}, 400, "password"),
        ({"password": "seven77"}, 400, "Invalid password: shorter than 8 characters"),
        ({"confirmationPassword": "other"}, 400, "confirmationPassword: it is not the same"),
    ],
)
async def test_a_change_that_cannot_be_made_leaves_the_password(ada, changed, status, said):
    sent = {"currentPassword": PASSWORD, "password": NEXT} | changed
    sent = {name: value for name, value in sent.items() if value is not None}

    got = await ada.ask("PUT", "/v2/me", sent)

    assert got.status == status
    assert said in got.message
    assert NEXT not in got.message
    assert (await login(ada, PASSWORD)).status == 200


async def test_changing_the_password_needs_a_session(wire):
    sent = {"currentPassword": PASSWORD, "password": NEXT}

    assert (await wire.ask("PUT", "/v2/me", sent)).status == 401


@pytest.mark.parametrize("raw", [b"", b"[]", b"{"])
async def test_a_change_that_is_no_object_is_refused(ada, raw):
    assert (await ada.ask("PUT", "/v2/me", raw)).status == 400
