"""curl, as a device without a program of its own would use it, over a line that breaks."""

import asyncio
import hashlib
import random
import subprocess
from contextlib import asynccontextmanager
from email import message_from_bytes

import pytest

from support.firmware import content_of
from support.wire import PATIENCE_SECONDS

pytestmark = pytest.mark.needs_tool("curl")

CONTENT = content_of(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
CUTS = 30


async def curl(*words):
    """The exit code of curl, and what it wrote to stdout."""
    process = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--show-error", "--fail", *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        out, _ = await process.communicate()
    return process.returncode, out


@asynccontextmanager
async def breaking_line(address, dice):
    """The port of a line to the server that breaks behind so many bytes; and how often it did."""
    cuts, tasks = [], []

    async def carry(reader, writer):
        tasks.append(asyncio.current_task())
        theirs, ours = await asyncio.open_connection(address.host, address.port)
        try:
            ours.write(await reader.readuntil(b"\r\n\r\n"))
            left = dice.choice([0, 1, 700, 20_000, 60_000]) if len(cuts) < CUTS else 10**9
            while left and (piece := await theirs.read(min(left, 16_384))):
                writer.write(piece)
                left -= len(piece)
                await writer.drain()
            if not left:
                cuts.append(writer)
        finally:
            ours.transport.abort()
            writer.transport.abort()

    async with await asyncio.start_server(carry, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1], cuts
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_curl_goes_on_where_it_was_cut_until_the_image_is_whole(station, tmp_path):
    thing, firmware = station.thing(), station.publish(CONTENT, "2.0")
    assert await thing.is_offered(firmware)
    file = tmp_path / "loaded"
    codes = []
    async with breaking_line(station.server.address, random.Random(30)) as (port, cuts):
        url = f"http://127.0.0.1:{port}{thing.firmwares}/download/{firmware}"
        while not codes or codes[-1]:
            assert len(codes) <= CUTS
            code, _ = await curl("--continue-at", "-", "--output", str(file), url)
            codes.append(code)

    assert len(cuts) == CUTS
    assert hashlib.sha256(file.read_bytes()).hexdigest() == SHA256
    assert await thing.comes_to("downloaded")


async def test_curl_that_has_everything_is_not_sent_it_again(station, tmp_path):
    thing, firmware = station.thing(), station.publish(CONTENT, "2.0")
    assert await thing.is_offered(firmware)
    file = tmp_path / "loaded"
    file.write_bytes(CONTENT)

    code, out = await curl(
        *("--continue-at", "-", "--output", str(file), "--write-out", "%{http_code}"),
        f"{thing.url}/download/{firmware}",
    )

    assert (code, out) in {(0, b"416"), (22, b"416")}
    assert file.read_bytes() == CONTENT


async def test_curl_gets_several_ranges_at_once(station):
    thing, firmware = station.thing(), station.publish(CONTENT, "2.0")
    assert await thing.is_offered(firmware)

    code, out = await curl(
        "--include", "--range", "0-99,500000-500099,-50", f"{thing.url}/download/{firmware}"
    )

    status, _, rest = out.partition(b"\r\n")
    message = message_from_bytes(rest)
    parts = message.get_payload()
    assert (code, status) == (0, b"HTTP/1.1 206 Partial Content")
    assert message.get_content_type() == "multipart/byteranges"
    assert [part["Content-Range"] for part in parts] == [
        "bytes 0-99/1000000",
        "bytes 500000-500099/1000000",
        "bytes 999950-999999/1000000",
    ]
    assert b"\r\n\r\n" + CONTENT[500_000:500_100] + b"\r\n--" in out


@pytest.mark.parametrize(("etag", "status"), [(SHA256, b"206"), ("0" * 64, b"200")])
async def test_curl_gets_the_rest_of_what_it_has_and_all_of_anything_else(
    station, tmp_path, etag, status
):
    thing, firmware = station.thing(), station.publish(CONTENT, "2.0")
    assert await thing.is_offered(firmware)
    file = tmp_path / "loaded"

    code, out = await curl(
        *("--range", "999000-", "--header", f'If-Range: "{etag}"'),
        *("--output", str(file), "--write-out", "%{http_code}"),
        f"{thing.url}/download/{firmware}",
    )

    assert (code, out) == (0, status)
    assert file.read_bytes() == (CONTENT if status == b"200" else CONTENT[999_000:])
