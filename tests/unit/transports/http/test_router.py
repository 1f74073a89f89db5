"""Which handler serves which address."""

import pytest

from thingstead.transports.http.refusals import (
    AddressNotFoundError,
    InvalidSessionTokenError,
    MethodNotAllowedError,
)
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Route, Router


async def handler(_request):
    """Stand in a route; the router finds handlers and must never call one."""
    raise AssertionError("the router called a handler")


async def stream(_request, _send):
    """Stand in a route of a stream, likewise."""
    raise AssertionError("the router called a stream")


ROUTES = [
    Route(
        "POST",
        "/v2/things",
        "activate",
        handler,
        access=Access.PUBLIC,
    ),
    Route(
        "GET",
        "/v2/things/{token}",
        "subscribe",
        stream=stream,
        access=Access.PUBLIC,
    ),
    Route(
        "POST",
        "/v2/things/{token}",
        "write",
        handler,
        access=Access.PUBLIC,
    ),
    Route(
        "GET",
        "/v2/things/{token}/resources",
        "keys",
        handler,
        access=Access.PUBLIC,
    ),
    Route(
        "GET",
        "/v2/things/{token}/resources/description",
        "description",
        handler,
        access=Access.PUBLIC,
    ),
    Route(
        "PUT",
        "/v2/things/{thing}/resources/description",
        "describe",
        handler,
        access=Access.PUBLIC,
    ),
    Route(
        "GET",
        "/v2/things/{token}/resources/{key}",
        "read",
        handler,
        access=Access.PUBLIC,
    ),
    Route(
        "POST",
        "/v2/things/{token}/tags",
        "tag",
        handler,
        access=Access.PUBLIC,
    ),
    Route(
        "PUT",
        "/v2/things/{collection}/{id}",
        "alias",
        handler,
        access=Access.PUBLIC,
    ),
    Route(
        "GET",
        "/v2/things/special/other/path",
        "literal",
        handler,
        access=Access.PUBLIC,
    ),
    Route(
        "GET",
        "/v2/{a}/special/{b}",
        "two names",
        handler,
        access=Access.PUBLIC,
    ),
    Route(
        "GET",
        "/healthz",
        "health",
        handler,
        access=Access.PUBLIC,
    ),
    Route(
        "GET",
        "/{tenant}/controller/v1/{id}",
        "poll",
        handler,
        access=Access.TARGET_TOKEN,
    ),
]


def request_of(method, path):
    scope = {"method": method, "raw_path": path.encode()}
    return Request(scope, None)


@pytest.fixture(scope="module")
def router():
    return Router(ROUTES)


@pytest.mark.parametrize(
    ("method", "path", "summary", "arguments"),
    [
        ("POST", "/v2/things", "activate", {}),
        ("POST", "/v2/things/", "activate", {}),
        ("POST", "/v2//things//T", "write", {"token": "T"}),
        ("GET", "/v2/things/T", "subscribe", {"token": "T"}),
        ("GET", "/v2/things/T/resources", "keys", {"token": "T"}),
        ("GET", "/v2/things/T/resources/temp", "read", {"token": "T", "key": "temp"}),
        ("GET", "/v2/things/T/resources/description", "description", {"token": "T"}),
        ("PUT", "/v2/things/T/resources/description", "describe", {"thing": "T"}),
        ("GET", "/v2/things/T/resources/%24geo", "read", {"token": "T", "key": "$geo"}),
        ("GET", "/v2/things/special/other/path", "literal", {}),
        ("GET", "/v2/things/special", "subscribe", {"token": "special"}),
        ("GET", "/v2/things/special/resources", "keys", {"token": "special"}),
        ("GET", "/v2/things/special/x", "two names", {"a": "things", "b": "x"}),
        ("POST", "/v2/things/T/tags", "tag", {"token": "T"}),
        ("PUT", "/v2/things/lamps/tags", "alias", {"collection": "lamps", "id": "tags"}),
        ("PUT", "/v2/things/lamps/one", "alias", {"collection": "lamps", "id": "one"}),
        ("PUT", "/v2/things/special/other", "alias", {"collection": "special", "id": "other"}),
        ("GET", "/healthz", "health", {}),
        ("HEAD", "/healthz", "health", {}),
        ("GET", "/DEFAULT/controller/v1/x", "poll", {"tenant": "DEFAULT", "id": "x"}),
        ("GET", "/V2/controller/v1/x", "poll", {"tenant": "V2", "id": "x"}),
    ],
)
def test_an_address_finds_its_route_and_its_arguments(router, method, path, summary, arguments):
    request = request_of(method, path)

    assert router.find(request).summary == summary
    assert request.arguments == arguments


@pytest.mark.parametrize(
    "path",
    [
        "/v2",
        "/v2/",
        "/v2/nothing",
        "/v2/things/T/resources/k/more",
        "/v2/things/T/x/y/z",
        "/v2/controller/v1/x",
        "//v2/controller/v1/x",
    ],
)
def test_an_unknown_address_below_v2_asks_for_a_session(router, path):
    with pytest.raises(InvalidSessionTokenError):
        router.find(request_of("GET", path))


@pytest.mark.parametrize(
    "path", ["/v3", "/healthz/more", "/V2/things", "/x/v2", "/healthz/controller/v1/x"]
)
def test_an_unknown_address_elsewhere_is_not_found(router, path):
    with pytest.raises(AddressNotFoundError):
        router.find(request_of("GET", path))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v2/things", "POST, OPTIONS"),
        ("HEAD", "/v2/things", "POST, OPTIONS"),
        ("PUT", "/v2/things/T", "GET, POST, OPTIONS"),
        ("HEAD", "/v2/things/T", "GET, POST, OPTIONS"),
        ("POST", "/v2/things/T/resources/description", "GET, PUT, OPTIONS"),
        ("DELETE", "/v2/things/lamps/one", "PUT, OPTIONS"),
    ],
)
def test_a_known_address_names_the_methods_it_has(router, method, path, allowed):
    with pytest.raises(MethodNotAllowedError) as refused:
        router.find(request_of(method, path))

    assert refused.value.allowed == allowed


def test_a_route_must_say_what_a_call_brings():
    with pytest.raises(TypeError, match="access"):
        Route("GET", "/a", "one", handler)


def test_the_root_can_have_a_route():
    router = Router(
        [
            Route(
                "GET",
                "/",
                "root",
                handler,
                access=Access.PUBLIC,
            )
        ]
    )

    assert router.find(request_of("GET", "/")).summary == "root"


def test_a_route_cannot_be_declared_twice():
    with pytest.raises(ValueError, match=r"GET /a/\{y\} is declared twice"):
        Router(
            [
                Route(
                    "GET",
                    "/a/{x}",
                    "one",
                    handler,
                    access=Access.PUBLIC,
                ),
                Route(
                    "GET",
                    "/a/{y}",
                    "two",
                    handler,
                    access=Access.PUBLIC,
                ),
            ]
        )


def test_the_routes_are_listed_as_declared(router):
    assert router.routes == tuple(ROUTES)
