"""Addresses, methods, the date, health: what holds for every call."""

import re

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_SESSION = b'{"status":"error","code":401,"message":"Invalid session token"}'


@pytest.mark.parametrize(
    ("query", "form"),
    [
        ("", rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"'),
        ("?format=UTC", rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"'),
        ("?format=", rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"'),
        ("?format=unix_timestamp", rb"\d{10}"),
        ("/?format=unix_timestamp&thingToken=unknown", rb"\d{10}"),
    ],
)
async def test_the_date_is_an_array_whose_last_member_is_the_value(wire, query, form):
    got = await wire.ask("GET", f"/v2/utils/date{query}")

    assert got.status == 200
    assert re.fullmatch(rb'\[\{"key":"date","value":' + form + rb"\}\]", got.body)


async def test_a_date_in_an_unknown_format_is_refused_without_an_echo(wire):
    got = await wire.ask("GET", "/v2/utils/date?format=<script>")

    assert got.status == 400
    assert b"script" not in got.body


@pytest.mark.parametrize(
    "path", ["/v2", "/v2/", "/v2/nothing", "/v2/things/a/b/c/d/e", "/v2/me/things", "/v2/utils"]
)
async def test_an_unmatched_path_below_v2_asks_for_a_session(wire, path):
    got = await wire.ask("GET", path)

    assert (got.status, got.reason, got.body) == (401, "Unauthorized", NO_SESSION)


@pytest.mark.parametrize("path", ["/", "/v1/things", "/index.html", "/health"])
async def test_an_unmatched_path_outside_v2_is_404(wire, path):
    assert (await wire.ask("GET", path)).status == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v2/things", "POST, OPTIONS"),
        ("DELETE", "/v2/utils/date", "GET, OPTIONS"),
        ("PUT", "/v2/things/T", "GET, POST, OPTIONS"),
        ("HEAD", "/v2/things/T", "GET, POST, OPTIONS"),
        ("PATCH", "/v2/things/T/tags", "GET, POST, OPTIONS"),
        ("POST", "/v2/things/T/resources", "GET, OPTIONS"),
        ("POST", "/v2/things/T/resources/description", "GET, PUT, OPTIONS"),
    ],
)
async def test_a_known_path_with_another_method_names_the_right_ones(wire, method, path, allowed):
    got = await wire.ask(method, path)

    assert (got.status, got.get("Allow")) == (405, allowed)


async def test_head_is_answered_like_get_without_the_body(wire, thing):
    got = await wire.ask("GET", f"{thing}/resources")
    head = await wire.ask("HEAD", f"{thing}/resources")

    assert (head.status, head.body) == (200, b"")
    assert head.get("Content-Length") == got.get("Content-Length")


@pytest.mark.parametrize(
    "path",
    [
        "/v2/things/%2e%2e/resources",
        "/v2/things/../resources",
        "/v2/things/a%2Fb/resources",
        "/v2/things/a%5Cb/resources",
        "/v2/things/%00/resources",
        "/v2/things/%C3/resources",
        "/v2/things/%2541/resources",
    ],
)
async def test_a_path_that_means_two_things_is_refused(wire, path):
    got = await wire.ask("GET", path)

    assert got.status == 400
    assert got.message.startswith("Invalid path")


@pytest.mark.parametrize("slashes", ["//v2//things//{}//resources//", "/v2/things/{}/resources/"])
async def test_needless_slashes_change_nothing(wire, token, slashes):
    assert (await wire.ask("GET", slashes.format(token))).status == 200


async def test_every_answer_has_the_headers_that_old_clients_cope_with(wire, thing):
    for method, path in (("GET", f"{thing}/resources"), ("GET", "/v2/nothing"), ("PUT", thing)):
        got = await wire.ask(method, path)

        assert got.get("Content-Type") == "application/json"
        assert got.get("Content-Length") == str(len(got.body))
        assert got.get("X-Content-Type-Options") == "nosniff"
        assert got.get("Access-Control-Allow-Origin") == "*"
        assert got.get("Access-Control-Allow-Credentials") is None
        assert got.get("Set-Cookie") is None
        assert got.get("Server") is None
        assert b"{" not in got.head
        assert b"\n" not in got.body


async def test_a_browser_may_ask_with_every_method_and_header(wire, thing):
    asked = {
        "Origin": "https://example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }

    got = await wire.ask("OPTIONS", thing, headers=asked)

    assert got.status == 200
    assert got.get("Access-Control-Allow-Origin") == "*"
    assert {"GET", "POST", "PUT", "DELETE"} <= set(
        got.get("Access-Control-Allow-Methods").split(", ")
    )
    assert {"Content-Type", "Accept", "Authorization"} <= set(
        got.get("Access-Control-Allow-Headers").split(", ")
    )


@pytest.mark.parametrize(("path", "status"), [("live", "live"), ("ready", "ready")])
async def test_a_healthy_server_says_so(wire, path, status):
    got = await wire.ask("GET", f"/health/{path}")

    assert (got.status, got.json) == (200, {"status": status})


async def test_a_query_of_many_parameters_is_refused(wire, thing):
    query = "&".join(f"p{n}=1" for n in range(51))

    got = await wire.ask("GET", f"{thing}/resources/k?{query}")

    assert got.status == 400
    assert got.message.startswith("Invalid query")
