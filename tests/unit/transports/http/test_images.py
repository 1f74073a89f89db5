"""The answer with an image: headers, conditions, ranges and names."""

import base64
import hashlib
import re
from dataclasses import replace
from urllib.parse import unquote

import pytest

from thingstead.features.firmware.model import (
    Digests,
    Firmware,
    FirmwareState,
    ImageFacts,
    Signature,
)
from thingstead.kernel.ids import FirmwareId, ProductId
from thingstead.transports.http.answers import Answer
from thingstead.transports.http.images import content_disposition, image_answer
from thingstead.transports.http.ranges import MOST_PARTS, Span
from thingstead.transports.http.refusals import (
    PreconditionFailedError,
    RangeNotSatisfiableError,
)
from thingstead.transports.http.request import Request

CONTENT = bytes(range(200))
SHA256 = hashlib.sha256(CONTENT).digest()
MD5 = hashlib.md5(CONTENT).digest()
ETAG = b'"%b"' % SHA256.hex().encode()
DATE = b"Sat, 31 Jan 2026 12:00:00 GMT"
FIRMWARE = Firmware(
    number=1,
    id=FirmwareId("image"),
    product_id=ProductId(1),
    mcu="main",
    version="1.2.3",
    sequence=1,
    state=FirmwareState.PUBLISHED,
    size=len(CONTENT),
    digests=Digests(SHA256, hashlib.sha1(CONTENT).digest(), MD5),
    filename="station.bin",
    facts=ImageFacts("raw"),
    created_at_ms=1_769_860_800_999,
)


def never():
    raise AssertionError("it was opened")


def ask(*headers, method="GET", firmware=FIRMWARE, **more):
    scope = {
        "method": method,
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in headers],
    }
    return image_answer(Request(scope, None), firmware, never, **more)


def body_of(answer):
    return b"".join(
        part if isinstance(part, bytes) else CONTENT[part.start : part.end] for part in answer.parts
    )


def test_whole_image_has_all_headers():
    answer = ask()
    headers = dict(answer.headers)

    assert (answer.status, answer.size, answer.parts) == (200, 200, (Span(0, 200),))
    assert headers == {
        b"Content-Type": b"application/octet-stream",
        b"Cache-Control": b"private, no-cache",
        b"X-Content-Type-Options": b"nosniff",
        b"Referrer-Policy": b"no-referrer",
        b"Access-Control-Allow-Origin": b"*",
        b"Accept-Ranges": b"bytes",
        b"ETag": ETAG,
        b"Last-Modified": DATE,
        b"Repr-Digest": b"sha-256=:%b:" % base64.b64encode(SHA256),
        b"Content-MD5": base64.b64encode(MD5),
        b"x-MD5": MD5.hex().encode(),
        b"X-Firmware-Version": b"1.2.3",
        b"Content-Disposition": b'attachment; filename="station.bin"',
    }


def test_signature_is_told_where_there_is_one():
    signed = replace(FIRMWARE, signature=Signature("0123456789abcdef", "ed25519", b"\xfb" * 64))

    headers = dict(ask(firmware=signed).headers)

    assert headers[b"X-Firmware-Signature"] == base64.b64encode(b"\xfb" * 64)


def test_face_may_add_headers():
    assert (b"A", b"b") in ask(headers=((b"A", b"b"),)).headers


def test_head_has_the_length_of_the_whole_and_ignores_ranges():
    answer = ask((b"Range", b"bytes=500-"), method="HEAD")

    assert (answer.status, answer.size, answer.parts) == (200, 200, ())


def test_one_range_is_answered_with_the_digests_of_the_whole():
    whole, answer = dict(ask().headers), ask((b"Range", b"bytes=10-19"))
    headers = dict(answer.headers)

    assert (answer.status, answer.size, body_of(answer)) == (206, 10, CONTENT[10:20])
    assert headers.pop(b"Content-Range") == b"bytes 10-19/200"
    assert headers == whole


def test_several_ranges_are_parts_of_exactly_the_told_length():
    answer = ask((b"Range", b"bytes=150-,0-1,0-3"))
    kind = dict(answer.headers)[b"Content-Type"]
    boundary = re.fullmatch(rb"multipart/byteranges; boundary=([0-9a-f]{32})", kind)[1]
    body = body_of(answer)
    head, *parts, tail = body.split(b"--" + boundary)

    assert (answer.status, answer.size) == (206, len(body))
    assert (head, tail) == (b"", b"--\r\n")
    assert parts == [
        b"\r\nContent-Type: application/octet-stream\r\n"
        b"Content-Range: bytes %d-%d/200\r\n\r\n%b\r\n" % (start, end - 1, CONTENT[start:end])
        for start, end in [(150, 200), (0, 4)]
    ]
    assert not dict(answer.headers).get(b"Content-Range")


def test_more_parts_than_there_may_be_are_answered_whole():
    header = b"bytes=" + b",".join(b"%d-%d" % (at * 2, at * 2) for at in range(MOST_PARTS + 1))

    assert ask((b"Range", header)).status == 200


def test_two_headers_with_ranges_are_ignored():
    assert ask((b"Range", b"bytes=0-1"), (b"Range", b"bytes=0-1")).status == 200


def test_range_that_does_not_exist_tells_the_size():
    with pytest.raises(RangeNotSatisfiableError) as caught:
        ask((b"Range", b"bytes=200-"))

    assert caught.value.size == 200


@pytest.mark.parametrize(
    ("value", "status"),
    [(ETAG, 206), (DATE, 206), (b"W/" + ETAG, 200), (b'"other"', 200), (b"x", 200)],
)
def test_range_counts_only_if_the_image_is_the_same(value, status):
    assert ask((b"Range", b"bytes=0-1"), (b"If-Range", value)).status == status


def test_range_that_does_not_exist_is_ignored_when_the_image_is_another():
    assert ask((b"Range", b"bytes=900-"), (b"If-Range", b'"other"')).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "header", [(b"If-None-Match", ETAG), (b"If-Modified-Since", DATE), (b"If-None-Match", b"*")]
)
def test_known_image_is_not_sent_again(method, header):
    answer = ask(header, (b"Range", b"bytes=900-"), method=method)

    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (304, b"")
    assert dict(answer.headers) == {b"ETag": ETAG, b"Last-Modified": DATE}
    assert (b"Cache-Control", b"private, no-cache") in answer.common


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_other_image_than_the_wanted_one_is_refused(method):
    with pytest.raises(PreconditionFailedError):
        ask((b"If-Match", b'"other"'), (b"Range", b"bytes=0-1"), method=method)


HOSTILE = [
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "C:\\firm.bin",
    'a"; filename="evil.exe',
    "a\r\nSet-Cookie: x=1",
    "nul\x00.bin",
    "{json}.bin",
    "con",
    "",
    "...",
    "/",
    "x" * 300 + ".bin",
    "\u202egnp.exe",
    "прошивка.bin",
    "固件.bin",
    "\ud800.bin",
    "é'%2F*.bin",
    "\u2028.bin",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_leave_a_header_that_everybody_reads_alike(name):
    value = content_disposition(name).decode("ascii")

    found = re.fullmatch(
        r'attachment; filename="([A-Za-z0-9_+][A-Za-z0-9._+-]{0,99})"'
        r"(?:; filename\*=UTF-8''([A-Za-z0-9!#$&+^`|%._~-]+))?",
        value,
    )
    assert found is not None, value
    for decoded in filter(None, [found[1], unquote(found[2] or "")]):
        assert decoded.isprintable()
        assert not re.search(r"[/\\{]|^\.", decoded)
        assert len(decoded) <= 100
    assert not re.search(r"[{}\x00-\x1f\x7f]", value)


def test_name_in_other_letters_is_told_in_full():
    value = content_disposition("прошивка 1.bin").decode("ascii")

    assert unquote(value.rpartition("''")[2]) == "прошивка 1.bin"


@pytest.mark.parametrize("name", HOSTILE)
def test_no_header_of_an_image_holds_a_brace_or_a_control_character(name):
    for _, value in ask(firmware=replace(FIRMWARE, filename=name)).headers:
        assert not re.search(rb"[{\x00-\x1f\x7f-\xff]", value)
