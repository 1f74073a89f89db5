"""The answer with an image: conditions, ranges, digests and names, for every face that gives one.

    return image_answer(request, firmware, lambda: offers.download(thing, firmware))

`check` is asked again while a download goes on, so that it should raise when the thing may not
have the image any more. `headers` are further ones of the face. The digests are those of the
whole image, whatever part of it is sent. No header holds a `{` (`thethings-v2.md` 2.3) or a
control character, whatever the image's file is called.
"""

import base64
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from urllib.parse import quote

from thingstead.features.firmware.filenames import MAX_FILENAME_CHARACTERS, safe_filename
from thingstead.features.firmware.model import Firmware
from thingstead.transports.http.answers import Answer, Header
from thingstead.transports.http.long_answers import OCTETS, LongAnswer, Source
from thingstead.transports.http.preconditions import (
    Outcome,
    Validators,
    http_date,
    is_range_wanted,
    outcome_of,
)
from thingstead.transports.http.ranges import Span, spans_of
from thingstead.transports.http.refusals import PreconditionFailedError
from thingstead.transports.http.request import Request

PRIVATE: tuple[Header, ...] = (
    # The bytes never change, but a thing's right to them may end.
    (b"Cache-Control", b"private, no-cache"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"no-referrer"),
    (b"Access-Control-Allow-Origin", b"*"),
)
"""The headers of everything about firmware, in place of `V2_HEADERS`."""
# Small devices fetch an image in hundreds of ranges; the headers take longer than a range.
_MOST_REMEMBERED = 256
_SEPARATORS = re.compile(r"[/\\]")
# RFC 8187, 3.2.1: what needs no percent sign; quote() leaves letters, digits and `_.-~` alone.
_ATTRIBUTE_CHARACTERS = "!#$&+^`|"


def image_answer(
    request: Request,
    firmware: Firmware,
    download: Callable[[], AbstractAsyncContextManager[Source]],
    *,
    headers: tuple[Header, ...] = (),
    check: Callable[[], Awaitable[object]] | None = None,
) -> Answer | LongAnswer:
    """Return the answer to a GET or HEAD of the image (RFC 9110, sections 13 and 14).

    `download` is called only when bytes go out: not for HEAD, nor for a 304.

    Raises:
        PreconditionFailedError: `If-Match` or `If-Unmodified-Since` does not hold.
        RangeNotSatisfiableError: none of the ranges exists.
    """
    now = Validators(_etag(firmware), firmware.created_at_ms // 1_000)
    outcome = outcome_of(request, now)
    if outcome is Outcome.FAILED:
        raise PreconditionFailedError
    if outcome is Outcome.NOT_MODIFIED:
        return not_modified(firmware)
    described = (*_described(firmware), *headers)
    size = firmware.size
    if request.method == "HEAD":
        return LongAnswer(200, size, (OCTETS, *described), (), size - 1, download)
    ranges = request.headers(b"range")
    spans = None
    # Two such headers say two things; a Range that is not understood is ignored.
    if len(ranges) == 1 and is_range_wanted(request, now):
        spans = spans_of(ranges[0], size)
    if spans is None:
        whole = (Span(0, size),)
        return LongAnswer(200, size, (OCTETS, *described), whole, size - 1, download, check)
    if len(spans) == 1:
        span = spans[0]
        ranged = (OCTETS, (b"Content-Range", _content_range(span, size)), *described)
        sent = span.end - span.start
        return LongAnswer(206, sent, ranged, spans, size - 1, download, check)
    return _several(firmware, spans, described, download, check)


def not_modified(firmware: Firmware) -> Answer:
    """Return 304 with the image's validators."""
    validators = (
        (b"ETag", _etag(firmware)),
        (b"Last-Modified", http_date(firmware.created_at_ms // 1_000)),
    )
    return Answer(304, b"", validators, common=PRIVATE)


def content_disposition(filename: str) -> bytes:
    """Return a header value with the name, as text of old and of new clients (RFC 6266, 8187)."""
    plain = safe_filename(filename)
    value = f'attachment; filename="{plain}"'
    shown = "" if filename.isascii() else _shown(filename)
    if shown:
        value += f"; filename*=UTF-8''{quote(shown, safe=_ATTRIBUTE_CHARACTERS)}"
    return value.encode("ascii")


def _shown(filename: str) -> str:
    """Return the name in its own letters, without a path and what cannot be seen."""
    name = _SEPARATORS.split(filename)[-1][-MAX_FILENAME_CHARACTERS:]
    shown = "".join(each if each.isprintable() and each not in "{}" else "_" for each in name)
    return shown.lstrip(".")


def _etag(firmware: Firmware) -> bytes:
    return b'"%b"' % firmware.digests.sha256.hex().encode("ascii")


@lru_cache(maxsize=_MOST_REMEMBERED)
def _described(firmware: Firmware) -> tuple[Header, ...]:
    digests = firmware.digests
    signed: tuple[Header, ...] = ()
    if firmware.signature is not None:
        signed = ((b"X-Firmware-Signature", base64.b64encode(firmware.signature.value)),)
    return (
        *PRIVATE,
        (b"Accept-Ranges", b"bytes"),
        (b"ETag", _etag(firmware)),
        (b"Last-Modified", http_date(firmware.created_at_ms // 1_000)),
        (b"Repr-Digest", b"sha-256=:%b:" % base64.b64encode(digests.sha256)),
        (b"Content-MD5", base64.b64encode(digests.md5)),
        # Clients of the Arduino world compare it as text, and their own is in lower case.
        (b"x-MD5", digests.md5.hex().encode("ascii")),
        (b"X-Firmware-Version", firmware.version.encode("ascii")),
        *signed,
        (b"Content-Disposition", content_disposition(firmware.filename)),
    )


def _content_range(span: Span, size: int) -> bytes:
    return b"bytes %d-%d/%d" % (span.start, span.end - 1, size)


def _several(
    firmware: Firmware,
    spans: tuple[Span, ...],
    described: tuple[Header, ...],
    download: Callable[[], AbstractAsyncContextManager[Source]],
    check: Callable[[], Awaitable[object]] | None,
) -> LongAnswer:
    """Return `multipart/byteranges` (RFC 9110, 14.6)."""
    # An image can hardly hold its own digest.
    boundary = firmware.digests.sha256.hex()[:32].encode("ascii")
    parts: list[bytes | Span] = []
    size = 0
    line_end = b""
    for span in spans:
        head = b"%b--%b\r\nContent-Type: application/octet-stream\r\nContent-Range: %b\r\n\r\n" % (
            line_end,
            boundary,
            _content_range(span, firmware.size),
        )
        parts += (head, span)
        size += len(head) + span.end - span.start
        line_end = b"\r\n"
    tail = b"\r\n--%b--\r\n" % boundary
    parts.append(tail)
    kind = (b"Content-Type", b"multipart/byteranges; boundary=" + boundary)
    return LongAnswer(
        206,
        size + len(tail),
        (kind, *described),
        tuple(parts),
        firmware.size - 1,
        download,
        check,
    )
