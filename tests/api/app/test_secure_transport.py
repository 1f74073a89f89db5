"""Passwords do not cross public networks unencrypted (`rulings.md`, Limits and addresses)."""

import asyncio
import json
from urllib.parse import urlencode, urlsplit

import pytest
import pytest_asyncio

from support.in_process import served
from support.wire import compact, connect
from thingstead.limit_settings import LimitSettings
from thingstead.routes import all_routes
from thingstead.settings import Settings
from thingstead.transports.http.app import Application
from thingstead.transports.http.request import FROM_TRUSTED_PROXY
from thingstead.transports.http.router import Router
from thingstead.transports.http.v2.callers import Callers

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "a long sentence"
NEXT = "another long sentence"
PUBLIC = "8.8.8.8"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def asked(server):
    """Make a call as if it came from that client; returns its status and body."""
    application = Application(
        Router(all_routes(Settings(data=str(server.folder)), server.platform)),
        Callers(server.platform.people.sessions).has_session,
    )

    async def ask(
        method, path, raw=b"", *, token="", client=PUBLIC, scheme="http", kind=JSON, is_proxy=False
    ):
        sent = []
        is_received = asyncio.Event()

        async def receive():
            if is_received.is_set():
                # The client has said everything and waits for its answer.
                await asyncio.Event().wait()
            is_received.set()
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message):
            sent.append(message)

        scope = {
            "method": method,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"authorization", token.encode()), (b"content-type", kind.encode())],
            "client": (client, 5),
            "scheme": scheme,
            FROM_TRUSTED_PROXY: is_proxy,
        }
        await application(scope, receive, send)
        return sent[0]["status"], sent[1]["body"]

    return ask


def credentials(person):
    return compact({"email": person.email, "password": PASSWORD, "app": person.app})


CALLS = {
    "register": ("POST", "/v2/register", {"email": "eve@example.org", "password": PASSWORD}),
    "register, app in the path": ("POST", "/v2/apps/APP/register", {"password": PASSWORD}),
    "login": ("POST", "/v2/login", {"email": "eve@example.org", "password": PASSWORD}),
    "PUT /v2/me": ("PUT", "/v2/me", {"currentPassword": PASSWORD, "password": NEXT}),
    "DELETE /v2/me": ("DELETE", "/v2/me", {"currentPassword": PASSWORD}),
    "PUT /v2/me/settings": ("PUT", "/v2/me/settings", {"password": NEXT}),
}


@pytest.mark.parametrize("name", CALLS)
async def test_a_password_from_a_public_address_is_refused(ada, asked, name):
    method, path, body = CALLS[name]

    status, answer = await asked(method, path, compact(body | {"app": ada.app}), token=ada.token)

    assert (status, json.loads(answer)["message"]) == (403, "HTTPS required")
    got = await ada.wire.ask("POST", "/v2/login", credentials(ada))
    assert got.status == 200


async def test_so_is_one_on_the_page_that_a_mail_leads_to(ada, asked, mailbox, server):
    await mailbox.letter_to(ada.email)
    sent = compact({"email": ada.email, "app": ada.app})
    assert (await asked("POST", "/v2/password-reset", sent))[0] == 200
    path = urlsplit((await mailbox.letter_to(ada.email)).link).path
    form = urlencode({"password": NEXT, "again": NEXT}).encode()

    refused, page = await asked("POST", path, form, kind=FORM)
    taken, _ = await asked("POST", path, form, kind=FORM, scheme="https")

    assert (refused, taken) == (403, 200)
    assert b"HTTPS required" in page
    assert page.startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v2/me", b""),
        ("GET", "/v2/me/export", b""),
        ("PUT", "/v2/me/settings", b'{"language":"en"}'),
        ("GET", "/v2/me/sessions", b""),
    ],
)
async def test_calls_without_a_password_are_served_to_public_addresses(
    ada, asked, method, path, body
):
    status, _ = await asked(method, path, body, token=ada.token)

    assert status == 200


@pytest.mark.parametrize(
    "way",
    [
        {"scheme": "https"},
        {"is_proxy": True},
        {"client": "127.0.0.1"},
        {"client": "10.1.2.3"},
        {"client": "192.168.1.2"},
        {"client": "::1"},
        {"client": "fd00::1"},
        {"client": "::ffff:192.168.1.2"},
    ],
)
async def test_a_password_that_nobody_can_read_on_its_way_is_taken(ada, asked, way):
    status, _ = await asked("POST", "/v2/login", credentials(ada), **way)

    assert status == 200


@pytest.mark.parametrize("client", ["8.8.8.8", "::ffff:8.8.8.8", "2606:4700::1111"])
async def test_a_public_address_is_one_in_every_spelling(ada, asked, client):
    status, _ = await asked("POST", "/v2/login", credentials(ada), client=client)

    assert status == 403


# Behind a proxy.


@pytest_asyncio.fixture(loop_scope="module")
async def proxied(tmp_path):
    """A server that trusts one proxy, and a user of it."""
    async with served(
        tmp_path / "folder",
        trusted_proxy=("127.0.0.2",),
        limits=LimitSettings(bad_logins_per_address=2, bad_logins_per_minute=100),
    ) as server:
        sent = {
            "email": "ada@example.org",
            "password": PASSWORD,
            "app": (await server.new_app()).id,
        }
        async with connect(server.address, source="127.0.0.2") as proxy:
            assert (await proxy.ask("POST", "/v2/register", sent)).status == 201
            yield server, proxy, sent


async def test_a_trusted_proxy_brings_passwords_of_public_clients(proxied):
    _, proxy, sent = proxied

    got = await proxy.ask("POST", "/v2/login", sent, {"X-Forwarded-For": PUBLIC})

    assert got.status == 200


async def test_clients_behind_a_trusted_proxy_are_told_apart(proxied):
    _, proxy, sent = proxied
    wrong = sent | {"password": "another one"}

    statuses = [
        (await proxy.ask("POST", "/v2/login", wrong, {"X-Forwarded-For": client})).status
        for client in (PUBLIC, PUBLIC, PUBLIC, "8.8.4.4")
    ]

    assert statuses == [401, 401, 429, 401]


async def test_the_addresses_of_one_ipv6_network_count_as_one(proxied):
    _, proxy, sent = proxied
    wrong = sent | {"password": "another one"}
    clients = ["2606:4700::1", "2606:4700::2", "2606:4700::a:b:c:d", "2606:4700:0:1::1"]

    statuses = [
        (await proxy.ask("POST", "/v2/login", wrong, {"X-Forwarded-For": client})).status
        for client in clients
    ]

    assert statuses == [401, 401, 429, 401]


async def test_nobody_else_s_word_for_a_client_is_believed(proxied):
    server, _, sent = proxied
    wrong = sent | {"password": "another one"}

    async with connect(server.address) as wire:
        statuses = [
            (await wire.ask("POST", "/v2/login", wrong, {"X-Forwarded-For": f"8.8.8.{n}"})).status
            for n in range(3)
        ]
        secure = await wire.ask("POST", "/v2/login", sent, {"X-Forwarded-Proto": "https"})

    assert statuses == [401, 401, 429]
    assert secure.status == 429
