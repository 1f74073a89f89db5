"""The updaters of the Arduino world, by the headers that their sources send.

`ESP8266httpUpdate.cpp` of esp8266/Arduino and `HTTPUpdate.cpp` of espressif/arduino-esp32.
"""

import hashlib

import pytest

from support.firmware import content_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTENT = content_of(1_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


def esp8266(**said):
    """What an ESP8266 sends; `version` only where the program passes one."""
    headers = {
        "User-Agent": "ESP8266-http-Update",
        "Connection": "close",
        "x-ESP8266-Chip-ID": "1234567",
        "x-ESP8266-STA-MAC": "5C:CF:7F:00:00:01",
        "x-ESP8266-AP-MAC": "5E:CF:7F:00:00:01",
        "x-ESP8266-free-space": "2736128",
        "x-ESP8266-sketch-size": "408640",
        "x-ESP8266-sketch-md5": "7ba6a95cece0abbed66e0784c111d668",
        "x-ESP8266-chip-size": "4194304",
        "x-ESP8266-sdk-version": "2.2.1(cfd48f3)",
        "x-ESP8266-mode": "sketch",
    }
    return headers | {f"x-ESP8266-{name.replace('_', '-')}": value for name, value in said.items()}


def esp32(**said):
    headers = {
        "User-Agent": "ESP32-http-Update",
        "Cache-Control": "no-cache",
        "x-ESP32-STA-MAC": "24:0A:C4:00:00:01",
        "x-ESP32-AP-MAC": "24:0A:C4:00:00:02",
        "x-ESP32-free-space": "1310720",
        "x-ESP32-sketch-size": "800000",
        "x-ESP32-sketch-sha256": "AB" * 32,
        "x-ESP32-chip-size": "4194304",
        "x-ESP32-sdk-version": "v4.4.7",
        "x-ESP32-mode": "sketch",
    }
    return headers | {f"x-ESP32-{name.replace('_', '-')}": value for name, value in said.items()}


async def update(device, headers, query=""):
    headers = {name: value for name, value in headers.items() if name != "Connection"}
    return await device.wire.ask("GET", f"{device.firmwares}/update{query}", headers=headers)


@pytest.mark.parametrize("headers", [esp8266(version="1"), esp32(version="1"), esp8266(), {}])
async def test_newer_image_is_given_whole_with_length_and_digest(fleet, device, headers):
    await fleet.publish(CONTENT, "2")

    got = await update(device, headers)

    assert (got.status, got.body) == (200, CONTENT)
    assert got.get("Content-Length") == "1000"
    assert got.get("x-MD5") == MD5
    assert got.get("Transfer-Encoding") is None


@pytest.mark.parametrize(
    "headers",
    [esp8266(version="2"), esp32(version="v2.0"), esp32(version="3"), esp8266(sketch_md5=MD5)],
    ids=["same", "same as semver", "newer", "digest"],
)
async def test_thing_that_runs_it_already_is_told_that_there_is_nothing(fleet, device, headers):
    await fleet.publish(CONTENT, "2")

    got = await update(device, headers)

    assert (got.status, got.body) == (304, b"")
    assert got.get("Content-Length") is None
    assert int(got.get("Retry-After")) > 0


async def test_product_without_images_has_nothing_new(device):
    assert (await update(device, esp32())).status == 304


@pytest.mark.parametrize(
    ("headers", "query", "mcu"),
    [
        (esp8266(), "", "esp8266"),
        (esp32(), "", "esp32"),
        (esp32(), "?mcu=radio", "radio"),
        ({}, "?mcu=esp8266", "esp8266"),
    ],
    ids=str,
)
async def test_mcu_is_told_by_the_query_or_by_the_family(fleet, device, headers, query, mcu):
    contents = {name: content_of(900 + at) for at, name in enumerate(("esp8266", "esp32", "radio"))}
    for name, content in contents.items():
        await fleet.publish(content, "2", mcu=name)

    got = await update(device, headers, query)

    assert got.body == contents[mcu]


@pytest.mark.parametrize("headers", [esp32(), {}], ids=["another family", "no family"])
async def test_nothing_is_guessed_where_the_mcu_cannot_be_known(fleet, device, headers):
    await fleet.publish(CONTENT, "2", mcu="main")
    await fleet.publish(CONTENT, "2", mcu="radio")

    got = await update(device, headers)

    assert (got.status, got.message) == (404, "Firmware not found")


async def test_program_is_never_given_for_a_file_system_nor_the_other_way_round(fleet, device):
    files = content_of(700)
    await fleet.publish(CONTENT, "2", mcu="esp32")
    before = await update(device, esp32(mode="spiffs"))
    await fleet.publish(files, "1", mcu="esp32-spiffs")

    program = await update(device, esp32())
    file_system = await update(device, esp32(mode="spiffs", version="0"))
    again = await update(device, esp32(mode="spiffs", version="1"))

    assert before.status == 304
    assert (program.body, file_system.body) == (CONTENT, files)
    assert again.status == 304


@pytest.mark.parametrize(("free", "status"), [("1000", 200), ("999", 304), ("many", 200)])
async def test_image_without_room_is_not_given_and_the_timeline_tells_why(
    fleet, device, free, status
):
    await fleet.publish(CONTENT, "2")

    got = await update(device, esp8266(free_space=free))
    timeline = await fleet.server.platform.administration.updates.timeline(device.id)
    told = [event.detail for _, event in timeline if "the image has 1000 bytes" in event.detail]

    assert got.status == status
    assert bool(told) is (status == 304)


async def test_image_that_never_has_room_is_offered_no_more_after_a_while(fleet, device):
    firmware = await fleet.publish(CONTENT, "2")
    for _ in range(3):
        await update(device, esp8266(free_space="10"))

    offered = (await device.latest()).json

    assert (offered["firmwares"], offered["reason"]) == ([], "blocked")
    assert (await device.download(firmware)).status == 404


async def test_unknown_token_is_no_thing(device):
    got = await device.wire.ask("GET", f"/v2/things/{'A' * 43}/firmwares/update", headers=esp32())

    assert (got.status, got.message) == (404, "Thing not found")


async def test_download_is_in_the_timeline(fleet, device):
    await fleet.publish(CONTENT, "2")

    await update(device, esp32(version="1"))
    await update(device, esp32(version="2"))
    timeline = await fleet.server.platform.administration.updates.timeline(device.id)
    kinds = [event.kind for _, event in timeline]

    assert kinds[-3:] == ["downloaded", "begun", "offered"]
    assert "reported" in kinds
