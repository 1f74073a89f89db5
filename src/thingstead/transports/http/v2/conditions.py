"""`ETag` and `If-Match` (RFC 9110, 8.8.3 and 13.1.1), for those who share a document."""

import re

from thingstead.transports.http.answers import Header
from thingstead.transports.http.refusals import InvalidHeaderError
from thingstead.transports.http.request import Request

_ONE_STRONG = re.compile(rb'\s*"([\x21\x23-\x7e]{1,100})"\s*')


def etag_header(etag: str) -> Header:
    """Return the header of a strong entity tag."""
    return (b"ETag", b'"' + etag.encode("ascii") + b'"')


def if_match(request: Request) -> str | None:
    """Return the one entity tag that the document must have, or None when any will do.

    Raises:
        InvalidHeaderError: it names several, or a weak one, which never matches.
    """
    values = request.headers(b"if-match")
    if not values or [value.strip() for value in values] == [b"*"]:
        return None
    found = _ONE_STRONG.fullmatch(values[0])
    if len(values) > 1 or found is None:
        raise InvalidHeaderError("If-Match: expected one entity tag in quotation marks, or *")
    return found[1].decode("ascii")
