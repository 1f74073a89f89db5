"""Mails, the links in them, and the pages behind those (`security.md` 5, Password reset)."""

import asyncio
import itertools
import logging
import re
from urllib.parse import urlencode, urlsplit

import pytest
import pytest_asyncio

from support.in_process import served
from support.mailbox import Mailbox
from support.wire import PATIENCE_SECONDS, connect
from thingstead.features.mail.model import LetterState

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "a long sentence"
NEXT = "another long sentence"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SENT = b'{"status":"success","message":"mail sent"}'
UNKNOWN = "A" * 43
ADA = "ada@example.org"
_hosts = itertools.count(2)


@pytest_asyncio.fixture(loop_scope="module")
async def stranger(server):
    """A connection from an address that has asked for no mail yet, because that is counted."""
    async with connect(server.address, source=f"127.0.1.{next(_hosts)}") as wire:
        yield wire


async def login(person, password):
    sent = {"email": person.email, "password": password, "app": person.app}
    return await person.wire.ask("POST", "/v2/login", sent)


async def path_of_mail(mailbox, email):
    return urlsplit((await mailbox.letter_to(email)).link).path


async def reset_path(stranger, ada, mailbox):
    """Ask for a link that sets ada's password, and return its path."""
    await mailbox.letter_to(ada.email)
    got = await stranger.ask("POST", "/v2/password-reset", {"email": ada.email, "app": ada.app})
    assert (got.status, got.body) == (200, SENT)
    return await path_of_mail(mailbox, ada.email)


def form(password, again=None):
    return urlencode({"password": password, "again": password if again is None else again}).encode()


async def is_confirmed(person):
    return (await person.ask("GET", "/v2/me")).json["confirmed"]


# Confirming an address.


async def test_following_the_link_changes_nothing(ada, mailbox):
    path = await path_of_mail(mailbox, ada.email)

    for method in ("GET", "HEAD", "GET"):
        assert (await ada.wire.ask(method, path)).status == 200

    assert not await is_confirmed(ada)


async def test_the_button_confirms_the_address_once(ada, mailbox):
    path = await path_of_mail(mailbox, ada.email)

    first = await ada.wire.ask("POST", path, b"", FORM)
    second = await ada.wire.ask("POST", path, b"", FORM)
    shown = await ada.wire.ask("GET", path)

    assert (first.status, second.status, shown.status) == (200, 404, 404)
    assert f"{ada.email} is confirmed".encode() in first.body
    assert b"This link does not work any more" in second.body
    assert await is_confirmed(ada)


async def test_the_page_s_form_leads_to_itself(ada, mailbox):
    got = await ada.wire.ask("GET", await path_of_mail(mailbox, ada.email))

    assert re.findall(rb"<form[^>]*>", got.body) == [b'<form method="post">']
    assert ada.email.encode() in got.body


async def test_the_mail_is_sent_again_and_the_earlier_link_is_void(ada, mailbox):
    earlier = await path_of_mail(mailbox, ada.email)

    got = await ada.ask("POST", "/v2/me/confirmation")

    assert (got.status, got.body) == (200, SENT)
    later = await path_of_mail(mailbox, ada.email)
    assert [(await ada.wire.ask("POST", path)).status for path in (earlier, later)] == [404, 200]


async def test_a_confirmed_address_gets_no_further_mail(ada, mailbox, open_mail):
    await open_mail(ada.email)

    got = await ada.ask("POST", "/v2/me/confirmation")

    assert got.body == SENT
    assert len(mailbox.letters_to(ada.email)) == 1


async def test_an_address_gets_five_such_mails_a_day(ada):
    answers = [await ada.ask("POST", "/v2/me/confirmation") for _ in range(5)]

    # Registering has sent the first.
    assert [got.status for got in answers] == [200] * 4 + [429]
    assert "at most 5 letters" in answers[4].message


async def test_asking_for_the_mail_needs_a_session(wire):
    assert (await wire.ask("POST", "/v2/me/confirmation")).status == 401


# A forgotten password.


async def test_a_password_is_reset_by_mail(ada, stranger, mailbox):
    path = await reset_path(stranger, ada, mailbox)

    shown = await stranger.ask("GET", path)
    got = await stranger.ask("POST", path, form(NEXT), FORM)

    assert (shown.status, got.status) == (200, 200)
    assert ada.email.encode() in shown.body
    assert (await login(ada, NEXT)).status == 200
    assert (await login(ada, PASSWORD)).status == 401


async def test_a_reset_ends_every_session_and_is_told_by_mail(ada, stranger, mailbox):
    path = await reset_path(stranger, ada, mailbox)

    await stranger.ask("POST", path, form(NEXT), FORM)

    assert (await ada.ask("GET", "/v2/me")).status == 401
    assert "was changed" in (await mailbox.letter_to(ada.email)).subject


async def test_a_reset_confirms_the_address(ada, stranger, mailbox):
    path = await reset_path(stranger, ada, mailbox)

    await stranger.ask("POST", path, form(NEXT), FORM)

    ada.token = (await login(ada, NEXT)).json["token"]
    assert await is_confirmed(ada)


async def test_a_link_resets_once(ada, stranger, mailbox):
    path = await reset_path(stranger, ada, mailbox)
    await stranger.ask("POST", path, form(NEXT), FORM)

    again = await stranger.ask("POST", path, form("a third long sentence"), FORM)

    assert again.status == 404
    assert (await login(ada, NEXT)).status == 200


async def test_a_newer_link_voids_the_earlier(ada, stranger, mailbox):
    earlier = await reset_path(stranger, ada, mailbox)
    sent = {"email": ada.email, "app": ada.app}
    await stranger.ask("POST", "/v2/password-reset", sent)
    later = await path_of_mail(mailbox, ada.email)

    assert (await stranger.ask("POST", earlier, form(NEXT), FORM)).status == 404
    assert (await stranger.ask("POST", later, form(NEXT), FORM)).status == 200


async def test_a_new_password_voids_the_link(ada, stranger, mailbox):
    path = await reset_path(stranger, ada, mailbox)
    await ada.ask("PUT", "/v2/me", {"currentPassword": PASSWORD, "password": NEXT})

    assert (await stranger.ask("GET", path)).status == 404


async def test_a_stolen_session_can_neither_void_the_link_nor_outlive_its_use(
    ada, stranger, mailbox
):
    path = await reset_path(stranger, ada, mailbox)

    stolen = await ada.ask("PUT", "/v2/me/settings", {"password": "the thief's password"})
    reset = await stranger.ask("POST", path, form(NEXT), FORM)
    again = await ada.ask("PUT", "/v2/me/settings", {"password": "the thief's password"})

    assert (stolen.status, reset.status, again.status) == (200, 200, 401)
    assert (await login(ada, NEXT)).status == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (form("seven77"), "shorter than 8 characters"),
        (form("password1"), "one of the most common ones"),
        (form(NEXT, "another"), "The two are not the same."),
        (b"", "password and again: missing"),
        (b"password=a+long+sentence", "password and again: missing"),
        (b"password[a]=1&again[a]=1", "password and again: missing"),
        (b"password=a&password=b&again=c", "a form field stands twice"),
        (b"\xff", "malformed"),
    ],
)
async def test_a_password_that_cannot_be_used_leaves_the_link_as_it_is(
    ada, stranger, mailbox, body, said
):
    path = await reset_path(stranger, ada, mailbox)

    got = await stranger.ask("POST", path, body, FORM)

    assert (got.status, got.get("Content-Type")) == (400, "text/html; charset=utf-8")
    assert said in got.body.decode()
    assert b"seven77" not in got.body
    assert (await login(ada, PASSWORD)).status == 200
    assert (await stranger.ask("POST", path, form(NEXT), FORM)).status == 200


async def test_nothing_tells_whether_there_is_an_account(ada, stranger, mailbox):
    known = {"email": ada.email, "app": ada.app}

    answers = [
        await stranger.ask("POST", "/v2/password-reset", known | changed)
        for changed in ({}, {"email": "nobody@example.org"}, {"email": "no address"})
    ]

    assert {got.without_date for got in answers} == {answers[0].without_date}
    assert answers[0].body == SENT
    assert not mailbox.letters_to("nobody@example.org")


async def test_the_reset_of_another_app_reaches_nobody(ada, server, stranger, mailbox):
    other = await server.new_app()

    got = await stranger.ask("POST", "/v2/password-reset", {"email": ada.email, "app": other.id})

    assert got.body == SENT
    assert len([one for one in mailbox.letters_to(ada.email) if "password" in one.subject]) == 0


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"email": "ada@example.org"}, 400, "app: missing"),
        ({"app": "APP"}, 400, "email"),
        ({"email": 7, "app": "APP"}, 400, "email: expected str"),
        ({"email": "ada@example.org", "app": "A" * 14}, 404, "App not found"),
        (b"[]", 400, "expected object"),
        (b"", 400, "Invalid JSON"),
    ],
)
async def test_a_malformed_request_says_what_is_wrong(stranger, body, status, said):
    got = await stranger.ask("POST", "/v2/password-reset", body)

    assert got.status == status
    assert said in got.message


async def test_an_address_asks_ten_times_an_hour(stranger, app):
    sent = {"email": "nobody@example.org", "app": "A" * 14}

    statuses = [(await stranger.ask("POST", "/v2/password-reset", sent)).status for _ in range(11)]

    assert statuses == [404] * 10 + [429]


# Links and pages.


async def test_links_begin_with_the_configured_url_whatever_a_request_claims(
    ada, stranger, mailbox
):
    await mailbox.letter_to(ada.email)
    claims = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "Forwarded": "host=evil.example",
        "Origin": "https://evil.example",
    }

    await stranger.ask("POST", "/v2/password-reset", {"email": ada.email, "app": ada.app}, claims)

    letter = await mailbox.letter_to(ada.email)
    assert re.fullmatch(r"https://things\.example/confirm/password/[A-Za-z0-9_-]{43}", letter.link)
    assert b"evil" not in letter.raw


@pytest.mark.parametrize("name", ["email", "password", "grant"])
@pytest.mark.parametrize("secret", [UNKNOWN, "x", "%3Cscript%3E", "%C3%BC", "A" * 500])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_link_is_a_page_that_says_so(wire, name, secret, method):
    got = await wire.ask(method, f"/confirm/{name}/{secret}", form(NEXT), FORM)

    assert (got.status, got.get("Content-Type")) == (404, "text/html; charset=utf-8")
    assert b"This link does not work any more" in got.body
    assert b"<script" not in got.body


@pytest.mark.parametrize("path", ["/confirm", "/confirm/email", f"/confirm/other/{UNKNOWN}"])
async def test_other_addresses_beside_them_are_not_found(wire, path):
    assert (await wire.ask("GET", path)).status == 404


async def test_a_link_for_one_purpose_is_none_for_another(ada, mailbox):
    secret = (await path_of_mail(mailbox, ada.email)).rpartition("/")[2]

    assert (await ada.wire.ask("GET", f"/confirm/password/{secret}")).status == 404
    assert (
        await ada.wire.ask("POST", f"/confirm/password/{secret}", form(NEXT), FORM)
    ).status == 404
    assert (await login(ada, PASSWORD)).status == 200


async def pages(wire, ada, stranger, mailbox):
    """One answer of each kind of page."""
    confirm = await path_of_mail(mailbox, ada.email)
    await stranger.ask("POST", "/v2/password-reset", {"email": ada.email, "app": ada.app})
    reset = await path_of_mail(mailbox, ada.email)
    return [
        await wire.ask("GET", confirm),
        await wire.ask("POST", confirm),
        await wire.ask("GET", confirm),
        await wire.ask("GET", reset),
        await wire.ask("POST", reset, form("short"), FORM),
        await wire.ask("POST", reset, form(NEXT), FORM),
    ]


async def test_pages_are_kept_by_nobody_and_load_nothing(wire, ada, stranger, mailbox):
    for got in await pages(wire, ada, stranger, mailbox):
        names = {name for name, _ in got.headers}
        assert names == {
            "Date",
            "Content-Type",
            "Content-Length",
            "Cache-Control",
            "Content-Security-Policy",
            "X-Content-Type-Options",
            "Referrer-Policy",
        }
        assert got.get("Cache-Control") == "no-store"
        assert got.get("X-Content-Type-Options") == "nosniff"
        assert got.get("Referrer-Policy") == "no-referrer"
        assert re.fullmatch(
            r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; form-action 'self';"
            r" frame-ancestors 'none'; base-uri 'none'",
            got.get("Content-Security-Policy"),
        )
        assert not re.search(rb"<script|<link|<img|<iframe|src=|href=|url\(|//|@import", got.body)


async def test_a_page_does_not_repeat_its_secret(wire, ada, mailbox):
    path = await path_of_mail(mailbox, ada.email)

    got = await wire.ask("GET", path)

    assert path.rpartition("/")[2].encode() not in got.head + got.body


async def test_hostile_names_are_only_text(server, wire, mailbox):
    app = await server.platform.administration.apps.create('<script>alert("x")</script>&', ())
    email = "<b>&'\"@example.org".replace("<", "").replace(">", "").replace('"', "")
    sent = {"email": email, "password": PASSWORD, "app": app.id}
    assert (await wire.ask("POST", "/v2/register", sent)).status == 201

    letter = await mailbox.letter_to(email)
    got = await wire.ask("GET", urlsplit(letter.link).path)

    assert "<script" not in letter.html
    assert "&lt;script&gt;" in letter.html
    assert b"b&amp;&#39;@example.org" in got.body


@pytest.mark.parametrize("email", ["<script>@example.org", '"a b"@example.org', "a@<b>.org"])
async def test_an_address_that_means_something_in_html_is_none(wire, app, email):
    sent = {"email": email, "password": PASSWORD, "app": app}

    assert (await wire.ask("POST", "/v2/register", sent)).status == 400


async def test_a_page_takes_no_large_body(server, ada, stranger, mailbox):
    path = await reset_path(stranger, ada, mailbox)

    got = await stranger.ask("POST", path, form("x" * 16_384), FORM)

    assert (got.status, got.get("Content-Type")) == (413, "text/html; charset=utf-8")


# Mail servers that are not as one wishes.


async def letters_of(server, email):
    return [
        one
        for one in await server.platform.mail.letters()
        if one.letter is not None and one.letter.to == email
    ]


async def settled(server, email, wanted):
    """The first listed letter to the address with which `wanted` agrees."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            for one in await letters_of(server, email):
                if wanted(one):
                    return one
            await asyncio.sleep(0)


@pytest_asyncio.fixture(loop_scope="module")
async def alone(tmp_path):
    """A server and a mail server that no other test has mails on the way to, and a new user."""
    async with (
        Mailbox() as mailbox,
        served(tmp_path / "folder", with_chores=True, mail=mailbox.url) as server,
        connect(server.address) as wire,
    ):

        async def register(answer):
            mailbox.rcpt_answers.append(answer)
            sent = {"email": ADA, "password": PASSWORD, "app": (await server.new_app()).id}
            got = await wire.ask("POST", "/v2/register", sent)
            assert got.status == 201

        yield server, mailbox, register


async def test_who_registers_notices_nothing_of_a_mail_server_that_is_busy(alone):
    server, mailbox, register = alone

    await register("451 come back later")

    waiting = await settled(server, ADA, lambda one: one.attempts == 1)
    assert waiting.state is LetterState.WAITING
    assert "451" in waiting.problem
    # A minute passes.
    outbox = server.platform.administration.core.outbox
    await outbox.put_off(waiting.id, state=LetterState.WAITING, due_at_ms=0, problem=None)
    server.platform.mail.wake()
    assert (await mailbox.letter_to(ADA)).link is not None


async def test_a_mail_that_is_refused_for_good_is_listed(alone):
    server, mailbox, register = alone

    await register("550 nobody of that name")

    failed = await settled(server, ADA, lambda one: one.state is LetterState.FAILED)
    assert "550" in failed.problem
    assert failed.letter.facts["link"].startswith("/confirm/email/")
    assert not mailbox.letters


async def test_without_a_mail_server_the_log_has_the_link(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "thingstead.mail"):
        async with (
            served(tmp_path / "folder", with_chores=True, mail="console") as server,
            connect(server.address) as wire,
        ):
            app = (await server.new_app()).id
            sent = {"email": ADA, "password": PASSWORD, "app": app}
            assert (await wire.ask("POST", "/v2/register", sent)).status == 201
            await settled(server, ADA, lambda one: one.state is LetterState.SHOWN)
            shown = re.search(r"http://\S+(/confirm/email/\S+)", caplog.text)

            assert shown is not None
            assert (await wire.ask("POST", shown[1])).status == 200
