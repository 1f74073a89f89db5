"""Whole updates by the clients that devices have: Arduino's, ESP-IDF's, and the first one."""

import asyncio
import hashlib
import json
import re

import pytest

from e2e.firmware.arduino import NO_UPDATES, OK, Board
from support.firmware import content_of
from support.images import esp8266_image, esp_idf_image
from support.wire import PATIENCE_SECONDS, connect, values

IMAGES = {
    "ESP8266": [esp8266_image(size) for size in (30_000, 40_000, 50_000)],
    "ESP32": [
        esp_idf_image(version=version, others=(20_000,)) for version in (b"1.0", b"2.0", b"3.0")
    ],
}


async def write(thing):
    async with connect(thing.server.address) as wire:
        body = values(("temperature", 21))
        assert (await wire.ask("POST", f"/v2/things/{thing.token}", body)).status == 201


@pytest.mark.parametrize("says_version", [True, False], ids=["version", "md5 alone"])
@pytest.mark.parametrize("family", ["ESP8266", "ESP32"])
async def test_an_arduino_goes_through_two_versions_and_a_flash_that_fails(
    station, family, says_version
):
    mcu = family.lower()
    first, second, third = IMAGES[family]
    thing, address = station.thing(), station.server.address
    path = f"{thing.firmwares}/update?mcu={mcu}"
    board = Board(family, first, "1.0" if says_version else "")
    outcomes = [await board.update(address, path, new_version="")]

    station.publish(first, "1.0", mcu=mcu)
    assert await thing.sees("1.0", mcu)
    outcomes.append(await board.update(address, path, new_version=""))
    station.publish(second, "2.0", mcu=mcu)
    assert await thing.sees("2.0", mcu)
    outcomes.append(await board.update(address, path, new_version="2.0"))
    outcomes.append(await board.update(address, path, new_version=""))
    await write(thing)
    assert board.sketch == second
    station.publish(third, "3.0", mcu=mcu)
    assert await thing.sees("3.0", mcu)
    board.broken_flashes = 1
    outcomes.append(await board.update(address, path, new_version="3.0"))
    assert board.sketch == second
    outcomes.append(await board.update(address, path, new_version="3.0"))
    outcomes.append(await board.update(address, path, new_version=""))
    await write(thing)

    assert outcomes == [NO_UPDATES, NO_UPDATES, OK, NO_UPDATES, OK, OK, NO_UPDATES]
    assert (board.sketch, board.flashes) == (third, 3)
    assert await thing.comes_to("succeeded", "succeeded", "current")
    story = thing.kinds()
    assert story[-5:] == ["offered", "begun", "downloaded", "reported", "succeeded"]
    assert story.count("failed") == 1


@pytest.mark.parametrize("family", ["ESP8266", "ESP32"])
async def test_an_arduino_reads_the_headers_that_it_needs(station, family):
    mcu, image = family.lower(), IMAGES[family][1]
    thing = station.thing()
    station.publish(image, "2.0", mcu=mcu)
    assert await thing.sees("2.0", mcu)
    board = Board(family, b"the sketch that came with it", "1.0")

    path = f"{thing.firmwares}/update"
    assert await board.update(station.server.address, path, new_version="2.0") == OK
    assert await board.update(station.server.address, path, new_version="") == NO_UPDATES
    nobody = f"/v2/things/{'A' * 43}/firmwares/update"
    assert await board.update(station.server.address, nobody, new_version="") == "failed: 404"

    given, nothing, _ = board.heads
    assert b"\r\nContent-Type: application/octet-stream\r\n" in given
    assert b"\r\nContent-Length: %d\r\n" % len(image) in given
    assert b"\r\nx-MD5: %b\r\n" % hashlib.md5(image).hexdigest().encode() in given
    assert b"\r\nConnection: close" in given
    assert nothing.startswith(b"HTTP/1.1 304 ")


REQUEST_BYTES = 16_384


async def esp_https_ota(address, path):
    """`esp_https_ota` with `partial_http_download`: HEAD, then ranges, a connection for each."""

    async def ask(method, *lines):
        async with connect(address) as wire:
            head = (
                f"{method} {path} HTTP/1.1",
                "User-Agent: ESP32 HTTP Client/1.0",
                f"Host: {address.host}:{address.port}",
                *lines,
            )
            await wire.send("".join(f"{line}\r\n" for line in head).encode() + b"\r\n")
            return await wire.read(to_head=method == "HEAD")

    # Up to version 5.2 of ESP-IDF every request had a length.
    told = await ask("HEAD", "Content-Length: 0")
    assert told.status == 200, told
    size, image = int(told.get("Content-Length")), b""
    while len(image) < size:
        at = len(image)
        to = at + REQUEST_BYTES - 1 if size - at > REQUEST_BYTES else ""
        got = await ask("GET", f"Range: bytes={at}-{to}", "Content-Length: 0")
        assert got.status == 206, got
        assert len(got.body) == int(got.get("Content-Length"))
        image += got.body
    return image


async def test_esp_https_ota_loads_an_image_in_ranges_after_a_head(station):
    image = esp_idf_image(version=b"2.0", others=(30_000, 20_000))
    thing, firmware = station.thing(), station.publish(image, "2.0", mcu="esp32")
    assert await thing.is_offered(firmware, query="?mcu=esp32&version=1.0")

    loaded = await esp_https_ota(station.server.address, f"{thing.firmwares}/download/{firmware}")

    assert loaded == image
    assert await thing.comes_to("downloaded")
    await thing.latest("?mcu=esp32&version=2.0")
    await write(thing)
    assert await thing.comes_to("succeeded")


# A packet that begins with a 0 is thrown away by the client, so there is none in here.
LUA = b"function start()\n" + b"  print('it works')\n" * 500 + b"end\n"


async def lua_client(address, token, version):
    """`firmware_upgrade.lua` of thethings.iO-esp8266-library: what it has written, if anything.

    It takes the first packet of `latest` for the whole answer, and never looks at a length.
    """

    async def send(wire, path):
        await wire.send(
            f"GET /v2/things/{token}/firmwares/{path} HTTP/1.1\n".encode(),
            b"Host: api.thethings.io\n",
            b"Accept: application/json\n\n",
        )

    async with connect(address) as wire, asyncio.timeout(PATIENCE_SECONDS):
        await send(wire, "latest")
        received = await wire.reader.read(65_536)
        answer = json.loads(received[received.index(b"{") :])
    newest, file_id = version, ""
    assert answer["status"] == "success"
    for each in answer["firmwares"]:
        if float(each["version"]) > newest:
            newest, file_id = float(each["version"]), each["_id"]
    if not file_id:
        return None
    written = b""
    async with connect(address) as wire, asyncio.timeout(PATIENCE_SECONDS):
        await send(wire, f"download/{file_id}")
        packet = await wire.reader.read(1_460)
        head = packet[: packet.index(b"function")]
        assert head.endswith(b"\r\n\r\n")
        assert b"chunked" not in head
        length = int(re.search(rb"Content-Length: (\d+)", head)[1])
        packet = packet[len(head) :]
        while len(written) < length:
            assert packet
            if packet[:1] != b"0":
                written += packet
            if len(written) < length:
                packet = await wire.reader.read(1_460)
    return written


async def test_the_first_client_that_there_was_loads_a_newer_version_whole(station):
    thing = station.thing()
    firmware = station.publish(LUA, "4")
    assert await thing.is_offered(firmware)

    assert await lua_client(station.server.address, thing.token, 3) == LUA
    assert await lua_client(station.server.address, thing.token, 4) is None


async def test_an_image_that_is_too_large_for_a_board_is_not_sent(station):
    thing = station.thing()
    station.publish(content_of(2_000_000), "2.0")
    assert await thing.sees("2.0", "main")
    board = Board("ESP32", b"sketch", "1.0")

    path = f"{thing.firmwares}/update"

    assert await board.update(station.server.address, path, new_version="") == NO_UPDATES
    assert thing.kinds()[-1] == "failed"
