"""`ETag` and `If-Match`."""

import pytest

from thingstead.transports.http.refusals import InvalidHeaderError
from thingstead.transports.http.request import Request
from thingstead.transports.http.v2.conditions import etag_header, if_match


def request_with(*values):
    headers = [(b"if-match", value) for value in values]
    return Request({"method": "PUT", "raw_path": b"/", "headers": headers}, None)


def test_an_entity_tag_stands_in_quotation_marks():
    assert etag_header("abc-1") == (b"ETag", b'"abc-1"')


@pytest.mark.parametrize(
    ("values", "etag"),
    [
        ([], None),
        ([b"*"], None),
        ([b" * "], None),
        ([b'"abc"'], "abc"),
        ([b'  "a,b"\t'], "a,b"),
        ([b'"' + b"x" * 100 + b'"'], "x" * 100),
    ],
)
def test_a_condition_is_one_tag_or_none(values, etag):
    assert if_match(request_with(*values)) == etag


@pytest.mark.parametrize(
    "values",
    [
        [b"abc"],
        [b'W/"abc"'],
        [b'"a", "b"'],
        [b'""'],
        [b'"a"b"'],
        [b'"a b"'],
        [b'"\xfc"'],
        [b'"' + b"x" * 101 + b'"'],
        [b""],
        [b'"a"', b'"a"'],
        [b'"a"', b"*"],
        [b"*", b'"a"'],
    ],
)
def test_another_condition_is_refused_rather_than_ignored(values):
    with pytest.raises(InvalidHeaderError, match="If-Match"):
        if_match(request_with(*values))


def test_the_tag_that_was_sent_is_the_one_that_is_read():
    _, sent = etag_header("0123abc")

    assert if_match(request_with(sent)) == "0123abc"
