"""How a session token is found in a request."""

import pytest

from thingstead.features.users.errors import InsecureTransportError
from thingstead.transports.http.refusals import InvalidHeaderError
from thingstead.transports.http.request import Request
from thingstead.transports.http.v2.callers import demand_confidence, session_token


def request_with(*values, client="127.0.0.1", scheme="http"):
    headers = [(b"authorization", value) for value in values]
    scope = {
        "method": "GET",
        "raw_path": b"/",
        "headers": headers,
        "client": (client, 5),
        "scheme": scheme,
    }
    return Request(scope, None)


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (b"us_1", "us_1"),
        (b"  us_1\t", "us_1"),
        (b"Bearer us_1", "us_1"),
        (b"bearer us_1", "us_1"),
        (b"BEARER    us_1 ", "us_1"),
        (b"Bearer Bearer us_1", "Bearer us_1"),
        (b"Basic us_1", "Basic us_1"),
        (b"x" * 256, "x" * 256),
        (b"x" * 257, None),
        (b"", None),
        (b"   ", None),
        (b"us_\xfc", "us_\u00fc"),
    ],
)
def test_a_token_stands_bare_or_after_bearer(value, token):
    assert session_token(request_with(value)) == token


def test_without_a_header_there_is_no_token():
    assert session_token(request_with()) is None


@pytest.mark.parametrize("values", [(b"us_1", b"us_2"), (b"us_1", b"us_1"), (b"", b"us_1")])
def test_two_headers_are_refused(values):
    with pytest.raises(InvalidHeaderError, match="Authorization: stands twice"):
        session_token(request_with(*values))


def test_a_password_needs_a_private_way():
    demand_confidence(request_with(client="10.0.0.1"))
    demand_confidence(request_with(client="8.8.8.8", scheme="https"))

    with pytest.raises(InsecureTransportError):
        demand_confidence(request_with(client="8.8.8.8"))
