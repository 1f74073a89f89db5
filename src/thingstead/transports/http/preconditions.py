"""Conditional requests (RFC 9110, section 13): what becomes of a request that names validators.

Pure: header values and validators in, a decision out. Dates that cannot be read are ignored, as
the sections of their headers say.
"""

import re
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from enum import Enum

from thingstead.transports.http.request import Request

_ENTITY_TAG = re.compile(rb'[ \t]*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|$)')
_MOST_DATE_BYTES = 64


class Outcome(Enum):
    """How a conditional request is to be answered."""

    PERFORM = "perform"
    NOT_MODIFIED = "not modified"
    """With 304."""
    FAILED = "failed"
    """With 412."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one state of a representation from another.

    `etag`: a strong one, in its quotation marks. `modified_s`: when it last changed, in whole
    seconds since 1970; None where nobody knows.
    """

    etag: bytes
    modified_s: int | None = None


def outcome_of(request: Request, now: Validators) -> Outcome:
    """Return what the preconditions of a GET or HEAD lead to, in the order of section 13.2.2."""
    must_match = request.headers(b"if-match")
    if must_match:
        if not _names(must_match, now.etag, is_strong=True):
            return Outcome.FAILED
    elif _is_later(now, request.header(b"if-unmodified-since")):
        return Outcome.FAILED
    must_differ = request.headers(b"if-none-match")
    if must_differ:
        is_same = _names(must_differ, now.etag, is_strong=False)
    else:
        is_same = _is_not_later(now, request.header(b"if-modified-since"))
    return Outcome.NOT_MODIFIED if is_same else Outcome.PERFORM


def is_range_wanted(request: Request, now: Validators) -> bool:
    """Return whether `If-Range`, if it is there, lets the ranges of the request count.

    A tag must be the same strong one, a date exactly the same (section 13.1.5). The date is as
    good as a strong one only where what changes gets another address.
    """
    value = request.header(b"if-range")
    if value is None:
        return True
    value = value.strip(b" \t")
    if value[:1] == b'"' or value[:2] == b"W/":
        return value == now.etag
    at_s = _date_s(value)
    return at_s is not None and at_s == now.modified_s


def http_date(at_s: int) -> bytes:
    """Return the time in the form that headers have it."""
    return formatdate(at_s, usegmt=True).encode("ascii")


def _names(values: list[bytes], etag: bytes, *, is_strong: bool) -> bool:
    """Return whether the list is `*` or has the tag; weak ones never match a strong comparison."""
    listed = b",".join(values)
    if listed.strip(b" \t") == b"*":
        return True
    if etag not in listed:
        return False
    tags = _ENTITY_TAG.findall(listed)
    return etag in tags or (not is_strong and b"W/" + etag in tags)


def _is_later(now: Validators, date: bytes | None) -> bool:
    at_s = _date_s(date)
    return at_s is not None and now.modified_s is not None and now.modified_s > at_s


def _is_not_later(now: Validators, date: bytes | None) -> bool:
    at_s = _date_s(date)
    return at_s is not None and now.modified_s is not None and now.modified_s <= at_s


def _date_s(value: bytes | None) -> int | None:
    if value is None or len(value) > _MOST_DATE_BYTES:
        return None
    try:
        return int(parsedate_to_datetime(value.decode("ascii")).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
