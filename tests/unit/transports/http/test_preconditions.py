"""Conditional requests (RFC 9110, section 13)."""

import pytest

from thingstead.transports.http.preconditions import (
    Outcome,
    Validators,
    http_date,
    is_range_wanted,
    outcome_of,
)
from thingstead.transports.http.request import Request

AT_S = 784_111_777
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER = b"Sun, 06 Nov 1994 08:49:36 GMT"
LATER = b"Sun, 06 Nov 1994 08:49:38 GMT"
NOW = Validators(b'"abc"', AT_S)
PERFORM, NOT_MODIFIED, FAILED = Outcome.PERFORM, Outcome.NOT_MODIFIED, Outcome.FAILED


def request(*headers):
    scope = {"method": "GET", "raw_path": b"/", "query_string": b"", "headers": list(headers)}
    return Request(scope, None)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], PERFORM),
        ([(b"if-none-match", b'"abc"')], NOT_MODIFIED),
        ([(b"if-none-match", b'W/"abc"')], NOT_MODIFIED),
        ([(b"if-none-match", b'"x", W/"abc" ,"y"')], NOT_MODIFIED),
        ([(b"if-none-match", b'"x"'), (b"if-none-match", b'"abc"')], NOT_MODIFIED),
        ([(b"if-none-match", b" * ")], NOT_MODIFIED),
        ([(b"if-none-match", b'"x"')], PERFORM),
        ([(b"if-none-match", b"abc")], PERFORM),
        ([(b"if-none-match", b'"abcd"')], PERFORM),
        ([(b"if-none-match", b'"x "abc" y"')], PERFORM),
        ([(b"if-modified-since", DATE)], NOT_MODIFIED),
        ([(b"if-modified-since", LATER)], NOT_MODIFIED),
        ([(b"if-modified-since", EARLIER)], PERFORM),
        ([(b"if-modified-since", b"Sunday, 06-Nov-94 08:49:37 GMT")], NOT_MODIFIED),
        ([(b"if-modified-since", b"Sun Nov  6 08:49:37 1994")], NOT_MODIFIED),
        ([(b"if-match", b'"abc"')], PERFORM),
        ([(b"if-match", b"*")], PERFORM),
        ([(b"if-match", b'"x", "abc"')], PERFORM),
        ([(b"if-match", b'W/"abc"')], FAILED),
        ([(b"if-match", b'"x"')], FAILED),
        ([(b"if-unmodified-since", DATE)], PERFORM),
        ([(b"if-unmodified-since", LATER)], PERFORM),
        ([(b"if-unmodified-since", EARLIER)], FAILED),
        # 13.2.2: what goes before what.
        ([(b"if-match", b'"abc"'), (b"if-unmodified-since", EARLIER)], PERFORM),
        ([(b"if-match", b'"x"'), (b"if-none-match", b'"abc"')], FAILED),
        ([(b"if-match", b'"abc"'), (b"if-none-match", b'"abc"')], NOT_MODIFIED),
        ([(b"if-unmodified-since", EARLIER), (b"if-none-match", b'"abc"')], FAILED),
        ([(b"if-none-match", b'"x"'), (b"if-modified-since", DATE)], PERFORM),
        ([(b"if-match", b'"abc"'), (b"if-modified-since", DATE)], NOT_MODIFIED),
    ],
)
def test_preconditions_are_evaluated_in_their_order(headers, expected):
    assert outcome_of(request(*headers), NOW) is expected


@pytest.mark.parametrize(
    "date",
    [
        b"",
        b"yesterday",
        b"0",
        b"\xff\xfe",
        b"Sun, 99 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:37 GMT " + b"x" * 100,
        b"," * 60,
    ],
)
def test_dates_that_cannot_be_read_are_ignored(date):
    asked = request((b"if-modified-since", date), (b"if-unmodified-since", date))

    assert outcome_of(asked, NOW) is PERFORM
    assert not is_range_wanted(request((b"if-range", date)), NOW)


@pytest.mark.parametrize("name", [b"if-modified-since", b"if-unmodified-since"])
def test_dates_say_nothing_where_nobody_knows_when_it_changed(name):
    assert outcome_of(request((name, DATE)), Validators(b'"abc"')) is PERFORM


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'"abc"', True),
        (b' "abc" ', True),
        (b'W/"abc"', False),
        (b'"x"', False),
        (b'"abc", "x"', False),
        (b"*", False),
        (DATE, True),
        (EARLIER, False),
        (LATER, False),
    ],
)
def test_if_range_must_be_exactly_the_same(value, expected):
    assert is_range_wanted(request((b"if-range", value)), NOW) is expected


def test_ranges_count_without_if_range():
    assert is_range_wanted(request(), NOW)


def test_date_is_written_as_it_is_read():
    assert http_date(AT_S) == DATE
