"""A request as handlers see it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.transports.http.refusals import (
    BodyTooLargeError,
    EncodingNotSupportedError,
    HTTPRefusalError,
    InvalidPathError,
    InvalidQueryError,
)
from thingstead.transports.http.request import (
    FROM_TRUSTED_PROXY,
    ClientGoneError,
    Request,
    path_segments,
)


def request_with(
    *pieces,
    path=b"/v2/things",
    query=b"",
    headers=(),
    client=("127.0.0.1", 5),
    scheme="http",
    is_from_proxy=False,
):
    """Make a request whose body arrives in the pieces; None is the client leaving."""
    messages = [
        {"type": "http.disconnect"}
        if piece is None
        else {"type": "http.request", "body": piece, "more_body": index < len(pieces) - 1}
        for index, piece in enumerate(pieces)
    ]

    async def receive():
        return messages.pop(0)

    scope = {
        "method": "POST",
        "raw_path": path,
        "query_string": query,
        "headers": list(headers),
        "client": client,
        "scheme": scheme,
        FROM_TRUSTED_PROXY: is_from_proxy,
    }
    return Request(scope, receive)


# The path.


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        (b"/", []),
        (b"//", []),
        (b"", []),
        (b"/v2/things/TOKEN", ["v2", "things", "TOKEN"]),
        (b"/v2/things/", ["v2", "things"]),
        (b"/v2//things///TOKEN//", ["v2", "things", "TOKEN"]),
        (b"/v2/things/a.b-c_d~e", ["v2", "things", "a.b-c_d~e"]),
        (b"/v2/.hidden", ["v2", ".hidden"]),
        (b"/v2/...", ["v2", "..."]),
        (b"/v2/a..b", ["v2", "a..b"]),
        (b"/v2/%74hings", ["v2", "things"]),
        (b"/v2/a%20b", ["v2", "a b"]),
        (b"/v2/a+b", ["v2", "a+b"]),
        (b"/v2/%C3%BCber", ["v2", "\u00fcber"]),
        (b"/v2/%24geo", ["v2", "$geo"]),
        (b"/v2/$settings.a", ["v2", "$settings.a"]),
        (b"/v2/a%3Fb%23c", ["v2", "a?b#c"]),
        (b"/v2/a;b=c", ["v2", "a;b=c"]),
        (b"/V2/Things", ["V2", "Things"]),
    ],
)
def test_a_path_is_its_decoded_parts_without_the_empty_ones(path, segments):
    assert path_segments(path) == segments


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (b"/v2/./things", "dot segments"),
        (b"/v2/../things", "dot segments"),
        (b"/v2/things/..", "dot segments"),
        (b"/v2/%2e%2e/things", "dot segments"),
        (b"/v2/%2E", "dot segments"),
        (b"/v2/.%2e", "dot segments"),
        (b"/v2/a%2Fb", "slash"),
        (b"/v2/a%2fb", "slash"),
        (b"/v2/%2F", "slash"),
        (b"/v2/a%5Cb", "backslash"),
        (b"/v2/a\\b", "backslash"),
        (b"/v2/a%00", "NUL"),
        (b"/v2/a\x00", "NUL"),
        (b"/v2/%2541", "encoded twice"),
        (b"/v2/%252e%252e", "encoded twice"),
        (b"/v2/%", "not percent-encoded"),
        (b"/v2/%zz", "not percent-encoded"),
        (b"/v2/%4", "not percent-encoded"),
        (b"/v2/%FF", "no UTF-8"),
        (b"/v2/%C0%AE", "no UTF-8"),
        (b"/v2/%ED%A0%80", "no UTF-8"),
        (b"/v2/\xc3\xbcber", "not percent-encoded"),
        (b"/v2/\xff%41", "no UTF-8"),
    ],
)
def test_a_path_that_could_mean_two_things_is_refused(path, said):
    with pytest.raises(InvalidPathError, match=said):
        path_segments(path)


@given(st.binary() | st.text("/.%2eEfF5cC\\a0", max_size=30).map(str.encode))
def test_no_accepted_part_could_be_taken_for_another_path(path):
    try:
        segments = path_segments(b"/" + path)
    except InvalidPathError:
        return
    for segment in segments:
        assert segment not in {"", ".", ".."}
        assert not set(segment) & set("/\\\x00%")


def test_the_path_is_decoded_when_the_request_is_made():
    assert request_with(path=b"/v2//a%20b/").segments == ["v2", "a b"]


# The query.


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", {}),
        (b"limit=1", {"limit": "1"}),
        (b"limit=1&limit=2", {"limit": "2"}),
        (b"limit=", {"limit": ""}),
        (b"limit", {"limit": ""}),
        (b"&&limit=1&", {"limit": "1"}),
        (b"a=x+y%20z%C3%BC", {"a": "x y z\u00fc"}),
        (b"a=b=c", {"a": "b=c"}),
        (b"a=1;b=2", {"a": "1;b=2"}),
    ],
)
def test_a_query_is_its_decoded_parameters(query, expected):
    assert request_with(query=query).query == expected


@pytest.mark.parametrize("query", [b"a=%FF", b"%FF=1", b"a=\xff", b"a=%ED%A0%80"])
def test_a_query_that_is_no_utf8_is_refused(query):
    with pytest.raises(InvalidQueryError, match="UTF-8"):
        _ = request_with(query=query).query


def test_a_query_may_have_50_parameters_and_no_more():
    parameters = [b"p%d=1" % number for number in range(51)]

    assert len(request_with(query=b"&".join(parameters[:50])).query) == 50
    with pytest.raises(InvalidQueryError, match="at most 50 parameters"):
        _ = request_with(query=b"&".join(parameters)).query


def test_the_query_is_read_once():
    request = request_with(query=b"limit=1")

    assert request.query is request.query


# Client and headers.


def test_the_address_is_the_client_s():
    assert request_with(client=("192.0.2.1", 5)).address == "192.0.2.1"


def test_a_client_without_an_address_is_unknown():
    assert request_with(client=None).address == "unknown"


@pytest.mark.parametrize(
    ("client", "counted_as"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("no address", "no address"),
        ("", ""),
    ],
)
def test_a_client_counts_as_its_ipv4_address_or_its_ipv6_network(client, counted_as):
    assert request_with(client=(client, 5)).address == counted_as


@pytest.mark.parametrize(
    ("client", "scheme", "is_from_proxy", "is_confidential"),
    [
        ("8.8.8.8", "http", False, False),
        ("8.8.8.8", "https", False, True),
        ("8.8.8.8", "http", True, True),
        ("127.0.0.1", "http", False, True),
        ("10.0.0.1", "http", False, True),
        ("172.16.0.1", "http", False, True),
        ("172.32.0.1", "http", False, False),
        ("192.168.0.1", "http", False, True),
        ("169.254.0.1", "http", False, True),
        ("::1", "http", False, True),
        ("fd00::1", "http", False, True),
        ("fe80::1%eth0", "http", False, True),
        ("2606:4700::1", "http", False, False),
        ("::ffff:8.8.8.8", "http", False, False),
        ("::ffff:10.0.0.1", "http", False, True),
    ],
)
def test_a_request_is_confidential_unless_a_public_network_could_read_it(
    client, scheme, is_from_proxy, is_confidential
):
    request = request_with(client=(client, 5), scheme=scheme, is_from_proxy=is_from_proxy)

    assert request.is_confidential is is_confidential


def test_without_a_word_of_a_proxy_there_was_none():
    scope = {"method": "GET", "raw_path": b"/", "client": ("8.8.8.8", 5), "scheme": "http"}

    assert not Request(scope, None).is_confidential


def test_every_value_of_a_header_is_at_hand():
    request = request_with(headers=[(b"accept", b"a"), (b"host", b"x"), (b"accept", b"b")])

    assert request.headers(b"accept") == [b"a", b"b"]
    assert request.headers(b"authorization") == []


def test_of_several_headers_of_one_name_the_first_counts():
    request = request_with(headers=[(b"accept", b"a"), (b"accept", b"b")])

    assert request.header(b"accept") == b"a"
    assert request.header(b"authorization") is None


def test_the_channel_is_at_hand_for_streams():
    assert callable(request_with().receive)


# The body.


@pytest.mark.parametrize("pieces", [[b""], [b"abc"], [b"a", b"b", b"c"], [b"", b"abc", b""]])
async def test_a_body_is_all_its_pieces(pieces):
    assert await request_with(*pieces).body(3) == b"".join(pieces)


async def test_a_body_may_fill_the_limit_and_no_more():
    assert await request_with(b"ab", b"cd").body(4) == b"abcd"

    with pytest.raises(BodyTooLargeError, match="at most 4 bytes"):
        await request_with(b"ab", b"cde").body(4)


async def test_a_body_announced_too_large_is_refused_before_it_arrives():
    request = request_with(headers=[(b"content-length", b"5")])

    with pytest.raises(BodyTooLargeError):
        await request.body(4)


async def test_a_body_announced_to_fill_the_limit_is_read():
    request = request_with(b"abcd", headers=[(b"content-length", b"4")])

    assert await request.body(4) == b"abcd"


async def test_a_body_is_the_same_when_it_is_asked_for_again():
    request = request_with(b"ab", b"cd")

    assert [await request.body(4), await request.body(4)] == [b"abcd", b"abcd"]


async def test_a_body_of_a_client_that_left_is_nobody_s():
    with pytest.raises(ClientGoneError):
        await request_with(b"ab", None).body(4)


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"identity, gzip", b"x"])
async def test_a_compressed_body_is_refused(encoding):
    request = request_with(b"", headers=[(b"content-encoding", encoding)])

    with pytest.raises(EncodingNotSupportedError):
        await request.body(4)


@pytest.mark.parametrize("encoding", [b"identity", b" Identity ", b""])
async def test_a_body_named_uncompressed_is_read(encoding):
    request = request_with(b"abc", headers=[(b"content-encoding", encoding)])

    assert await request.body(4) == b"abc"


def test_every_refusal_of_a_request_is_http_s_own():
    assert issubclass(InvalidPathError, HTTPRefusalError)
