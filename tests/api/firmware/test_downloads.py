"""`GET|HEAD …/firmwares/download/ID`: bytes, ranges and conditions on a real connection."""

import base64
import hashlib
import itertools
import random
import re

import pytest

from support.firmware import content_of
from support.range_reference import UNSATISFIABLE, reference
from support.wire import connect, request
from thingstead.transports.http.ranges import MOST_PARTS

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTENT = content_of(1_000)
LARGE = content_of(3_000_001, seed=2)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ETAG = f'"{SHA256}"'
LONG_AGO = "Thu, 01 Jan 1970 00:00:01 GMT"
LONG_AFTER = "Fri, 01 Jan 2100 00:00:00 GMT"


async def test_image_comes_whole_with_its_digests(fleet, device):
    firmware = await fleet.publish(CONTENT, "1.2.3")

    got = await device.download(firmware)

    assert (got.status, got.body) == (200, CONTENT)
    assert {name: got.get(name) for name in ("Transfer-Encoding", "Content-Encoding")} == {
        "Transfer-Encoding": None,
        "Content-Encoding": None,
    }
    assert got.get("Content-Length") == "1000"
    assert got.get("Content-Type") == "application/octet-stream"
    assert got.get("Content-Disposition") == 'attachment; filename="station.bin"'
    assert got.get("Accept-Ranges") == "bytes"
    assert got.get("Cache-Control") == "private, no-cache"
    assert got.get("X-Content-Type-Options") == "nosniff"
    assert got.get("ETag") == ETAG
    digest = base64.b64encode(bytes.fromhex(SHA256)).decode()
    assert got.get("Repr-Digest") == f"sha-256=:{digest}:"
    assert got.get("x-MD5") == hashlib.md5(CONTENT).hexdigest()
    assert got.get("Content-MD5") == base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
    assert got.get("X-Firmware-Version") == "1.2.3"
    assert got.get("X-Firmware-Signature") is None


@pytest.mark.parametrize(
    "content", [CONTENT, LARGE, content_of(16 * 1024), content_of(16 * 1024 + 1)]
)
async def test_images_of_any_size_come_with_their_exact_length(fleet, device, content):
    firmware = await fleet.publish(content)

    whole = await device.download(firmware)
    head = await device.download(firmware, "HEAD", {"Range": "bytes=0-0"})
    again = await device.download(firmware)

    assert (whole.body == content, again.body == content) == (True, True)
    assert whole.get("Content-Length") == str(len(content))
    assert head.status == 200
    assert without_date(head) == without_date(whole)


def without_date(answer):
    return [entry for entry in answer.headers if entry[0] != "Date"]


def expected(method, headers, date):
    """What RFC 9110, 13.2.2, leads to: status, and the parts or None for the whole."""
    etag_is_wanted = {"*": True, ETAG: True, f"W/{ETAG}": None, '"other"': False}
    if "If-Match" in headers:
        if not etag_is_wanted[headers["If-Match"]]:
            return 412, None
    elif headers.get("If-Unmodified-Since") == LONG_AGO:
        return 412, None
    if "If-None-Match" in headers:
        if etag_is_wanted[headers["If-None-Match"]] is not False:
            return 304, None
    elif headers.get("If-Modified-Since") in {LONG_AFTER, date}:
        return 304, None
    if method == "HEAD" or "Range" not in headers:
        return 200, None
    if headers.get("If-Range", ETAG) not in {ETAG, date}:
        return 200, None
    parts = reference(headers["Range"].encode(), len(CONTENT), MOST_PARTS)
    if parts == UNSATISFIABLE:
        return 416, None
    return (200, None) if parts is None else (206, parts)


def sent_parts(answer):
    """The parts of a 206, each with where it says that it stands."""
    kind = answer.get("Content-Type")
    found = re.fullmatch("multipart/byteranges; boundary=([0-9a-f]+)", kind)
    if found is None:
        return [(answer.get("Content-Range"), answer.body)]
    assert answer.get("Content-Range") is None
    pieces = answer.body.split(b"\r\n--" + found[1].encode())
    first = pieces[0].removeprefix(b"--" + found[1].encode())
    assert pieces.pop() == b"--\r\n"
    parts = []
    for piece in [first, *pieces[1:]]:
        head, _, body = piece.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[:2] == ["", "Content-Type: application/octet-stream"]
        parts.append((lines[2].removeprefix("Content-Range: "), body))
    return parts


def cases(date):
    dice = random.Random(13_2_2)
    choices = {
        "If-Match": [None, None, None, ETAG, "*", '"other"', f"W/{ETAG}"],
        "If-Unmodified-Since": [None, None, None, LONG_AGO, LONG_AFTER, date, "never"],
        "If-None-Match": [None, None, None, ETAG, "*", '"other"', f"W/{ETAG}"],
        "If-Modified-Since": [None, None, None, LONG_AGO, LONG_AFTER, date, "never"],
        "If-Range": [None, None, ETAG, f"W/{ETAG}", '"other"', date, LONG_AFTER, "x"],
        "Range": [
            None,
            "bytes=0-0",
            "bytes=10-19",
            "bytes=990-",
            "bytes=-7",
            "bytes=-5000",
            "bytes=5-5000",
            "bytes=0-9,20-29,900-",
            "bytes=20-29,0-9",
            "bytes=0-9,5-20",
            "bytes=1000-",
            "bytes=1000-,0-1",
            "bytes=9-1",
            "bytes=x",
            "lines=0-1",
            "bytes=" + ",".join(f"{at}-{at}" for at in range(0, 34, 2)),
        ],
    }
    for header_range, method in itertools.product(choices["Range"], ("GET", "HEAD")):
        yield method, {"Range": header_range} if header_range else {}
    for _ in range(500):
        drawn = {name: dice.choice(values) for name, values in choices.items()}
        method = dice.choice(["GET", "GET", "GET", "HEAD"])
        yield method, {name: value for name, value in drawn.items() if value is not None}


async def test_every_mix_of_conditions_and_ranges_is_answered_as_the_rfc_says(fleet, device):
    firmware = await fleet.publish(CONTENT)
    date = (await device.download(firmware)).get("Last-Modified")
    for method, headers in cases(date):
        status, parts = expected(method, headers, date)

        got = await device.download(firmware, method, headers)

        assert got.status == status, (method, headers)
        if status == 416:
            assert got.get("Content-Range") == "bytes */1000"
        if status in {200, 206, 304}:
            assert got.get("ETag") == ETAG
        if method == "GET" and status == 200:
            assert got.body == CONTENT
        if parts is not None:
            assert sent_parts(got) == [
                (f"bytes {start}-{end - 1}/1000", CONTENT[start:end]) for start, end in parts
            ], headers
            assert got.get("x-MD5") == hashlib.md5(CONTENT).hexdigest()


async def test_connection_serves_on_after_parts_of_a_large_image(fleet, device):
    firmware = await fleet.publish(LARGE)
    path = f"{device.firmwares}/download/{firmware.id}"
    ranges = ["bytes=1000000-2999999", "bytes=0-99999,500000-", "bytes=-2000000", "bytes=7-7"]

    await device.wire.send(
        b"".join(request("GET", path, headers={"Range": value}) for value in ranges)
    )
    got = [await device.wire.read() for _ in ranges]

    assert [answer.status for answer in got] == [206] * 4
    assert got[0].body == LARGE[1_000_000:3_000_000]
    assert [body for _, body in sent_parts(got[1])] == [LARGE[:100_000], LARGE[500_000:]]
    assert got[2].body == LARGE[-2_000_000:]
    assert got[3].body == LARGE[7:8]


@pytest.mark.parametrize("content", [CONTENT, LARGE], ids=len)
async def test_client_of_http_1_0_gets_length_and_close(fleet, device, content):
    firmware = await fleet.publish(content)
    async with connect(fleet.server.address) as wire:
        await wire.send(f"GET {device.firmwares}/download/{firmware.id} HTTP/1.0\r\n\r\n".encode())
        got = await wire.read()
        rest = await wire.rest()

    assert (got.body == content, rest) == (True, b"")
    assert (got.get("Transfer-Encoding"), got.get("Connection")) == (None, "close")


@pytest.mark.parametrize(
    "header",
    ["bytes=" + "0-," * 5_000, "bytes=" + "9" * 10_000 + "-", "bytes=0-" + ",-1" * 5_000],
    ids=len,
)
async def test_bomb_of_ranges_reads_no_more_than_the_image(fleet, device, header, monkeypatch):
    firmware = await fleet.publish(LARGE)
    blobs = fleet.server.platform.administration.firmware.blobs
    opened, original = [], blobs.open

    async def counting(sha256):
        opened.append(sha256)
        return await original(sha256)

    monkeypatch.setattr(blobs, "open", counting)

    got = await device.download(firmware, headers={"Range": header})

    assert (got.status, len(opened)) in {(200, 1), (416, 0)}
    assert len(got.body) <= len(LARGE)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ESP8266-version": "1.2.3"},
        {"x-ESP32-version": "v1.2.3"},
        {"x-ESP8266-sketch-md5": hashlib.md5(CONTENT).hexdigest()},
        {"x-ESP32-sketch-md5": hashlib.md5(CONTENT).hexdigest().upper()},
    ],
    ids=str,
)
async def test_updater_that_runs_the_image_already_is_told_so(fleet, device, headers):
    firmware = await fleet.publish(CONTENT, "1.2.3")

    got = await device.download(firmware, headers=headers)

    assert (got.status, got.body, got.get("ETag")) == (304, b"", ETAG)


async def test_image_that_goes_bad_on_the_disk_is_cut_and_never_padded(fleet, device, caplog):
    # No file of it was opened before.
    content = content_of(3_000_001, seed=3)
    firmware = await fleet.publish(content)
    digest = firmware.digests.sha256.hex()
    (stored,) = [
        path for path in fleet.server.folder.rglob("*") if path.name in {digest, digest[2:]}
    ]
    stored.chmod(0o600)
    stored.write_bytes(content[:2_000_000])
    async with connect(fleet.server.address) as wire:
        await wire.send(request("GET", f"{device.firmwares}/download/{firmware.id}"))
        head = await wire.read_head()
        body = await wire.rest()

    assert head.get("Content-Length") == str(len(content))
    assert 0 < len(body) <= 2_000_000
    assert content.startswith(body)
    assert "cut off: store-unavailable" in caplog.text


async def test_download_that_ended_is_in_the_timeline(fleet, device):
    firmware = await fleet.publish(LARGE)
    await device.latest()
    updates = fleet.server.platform.administration.updates

    await device.download(firmware, headers={"Range": "bytes=0-1999999"})
    before = [event.kind for _, event in await updates.timeline(device.id)]
    await device.download(firmware, headers={"Range": "bytes=2000000-"})
    await device.latest()
    after = [event.kind for _, event in await updates.timeline(device.id)]

    assert before == ["begun", "offered"]
    assert after == ["downloaded", "begun", "offered"]


async def test_head_is_no_download(fleet, device):
    firmware = await fleet.publish(CONTENT)
    await device.latest()

    await device.download(firmware, "HEAD")
    timeline = await fleet.server.platform.administration.updates.timeline(device.id)

    assert [event.kind for _, event in timeline] == ["offered"]
