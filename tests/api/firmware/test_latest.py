"""`GET …/firmwares/latest`: what is offered, its validators, and who asks for it in the field."""

import base64
import hashlib
import json

import pytest

from support.firmware import content_of
from support.wire import connect
from thingstead.features.firmware.manifests import manifest_of
from thingstead.features.firmware.model import Signature
from thingstead.kernel.instants import format_instant
from thingstead.sealing.signatures import create_pair, sign

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTENT = content_of(1_000)


async def test_thing_of_a_product_without_images_is_offered_none(device):
    got = await device.latest()

    assert got.status == 200
    poll_after = got.json["pollAfter"]
    assert got.json == {
        "status": "success",
        "firmwares": [],
        "pollAfter": poll_after,
        "reason": "no_firmware",
    }
    assert got.get("Retry-After") == str(poll_after)
    assert got.get("Cache-Control") == "private, no-cache"
    assert got.get("Content-Type") == "application/json"


async def test_image_is_offered_with_all_that_a_client_needs(fleet, device):
    firmware = await fleet.publish(CONTENT, "3", notes="Better\nthan 2")

    got = await device.latest()

    assert b"\n" not in got.body
    assert got.json["firmwares"] == [
        {
            "_id": firmware.id,
            "version": "3",
            "mcu": "main",
            "name": "station.bin",
            "filename": "station.bin",
            "size": 1_000,
            "md5": hashlib.md5(CONTENT).hexdigest(),
            "createdAt": format_instant(firmware.created_at_ms),
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "sequence": firmware.sequence,
            "url": f"download/{firmware.id}",
            "mandatory": False,
            "notes": "Better\nthan 2",
        }
    ]
    assert "reason" not in got.json


async def test_members_that_say_more_are_there_where_there_is_more_to_say(fleet, device):
    await fleet.publish(CONTENT, "2", is_mandatory=True, expires_at_ms=4_102_444_800_000)

    (offered,) = (await device.latest()).json["firmwares"]

    assert (offered["mandatory"], offered["expires"]) == (True, "2100-01-01T00:00:00.000Z")


async def test_signature_is_told_with_the_very_text_that_was_signed(fleet, device):
    private, public = create_pair("ed25519")
    key = await fleet.publishing.add_key(fleet.product.id, public, "suite")
    text = manifest_of(
        product_id=fleet.product.id,
        mcu="main",
        version="2",
        sequence=7,
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).digest(),
    )
    signature = sign(private, text)
    firmware = await fleet.publish(CONTENT, "2", sequence=7, signature=signature)

    (offered,) = (await device.latest()).json["firmwares"]
    got = await device.download(firmware)

    value = base64.b64encode(signature.value).decode()
    assert isinstance(signature, Signature)
    assert offered["manifest"].encode() == text
    assert offered["signature"] == {"keyId": key.id, "algorithm": "ed25519", "value": value}
    assert got.get("X-Firmware-Signature") == value


async def test_newest_of_each_mcu_is_offered(fleet, device):
    await fleet.publish(CONTENT, "1.9", mcu="main")
    await fleet.publish(content_of(900), "1.10", mcu="main")
    await fleet.publish(content_of(800), "0.1", mcu="radio")

    offered = (await device.latest()).json["firmwares"]
    only_radio = (await device.latest("?mcu=radio")).json["firmwares"]

    assert [(each["mcu"], each["version"]) for each in offered] == [
        ("main", "1.10"),
        ("radio", "0.1"),
    ]
    assert [each["mcu"] for each in only_radio] == ["radio"]


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?version=1.2.3", {}),
        ("?version=v1.2.3&mcu=main", {}),
        ("", {"X-Firmware-Version": "1.2.3"}),
        ("", {"X-Firmware-Version": " 1.2.3 ", "X-Firmware-MCU": "main"}),
        ("?version=1.2.3", {"X-Firmware-Version": "0.1"}),
        ("", {"x-ESP8266-version": "1.2.3"}),
        ("", {"x-ESP32-version": "1.2.3"}),
        ("", {"x-ESP32-sketch-md5": hashlib.md5(CONTENT).hexdigest().upper()}),
    ],
    ids=str,
)
async def test_who_says_that_it_runs_the_newest_is_offered_nothing(fleet, device, query, headers):
    await fleet.publish(CONTENT, "1.2.3")

    got = (await device.latest(query, **headers)).json

    assert (got["firmwares"], got["reason"]) == ([], "up_to_date")


@pytest.mark.parametrize(
    "query",
    [
        "?version=",
        "?version=1.2.2",
        "?version=%00%01",
        "?version=" + "9" * 200 + "&mcu=other",
        "?mcu=",
    ],
    ids=str,
)
async def test_other_reports_do_no_harm(fleet, device, query):
    await fleet.publish(CONTENT, "1.2.3")

    got = await device.latest(query)

    assert got.status == 200
    assert len(got.json["firmwares"]) == ("mcu=other" not in query)


async def test_what_is_known_already_is_not_sent_again(fleet, device):
    await fleet.publish(CONTENT)
    first = await device.latest()
    etag = first.get("ETag")

    again = await device.latest(**{"If-None-Match": etag})
    weak = await device.latest(**{"If-None-Match": f'"x", W/{etag}'})
    await fleet.publish(content_of(900), "1.2.4")
    changed = await device.latest(**{"If-None-Match": etag})

    assert etag.startswith('"')
    for got in (again, weak):
        assert (got.status, got.body, got.get("ETag")) == (304, b"", etag)
        assert got.get("Cache-Control") == "private, no-cache"
        assert got.get("Retry-After") == first.get("Retry-After")
        assert (got.get("Content-Length"), got.get("Content-Type")) == (None, None)
    assert (changed.status, changed.json["firmwares"][0]["version"]) == (200, "1.2.4")


async def test_poll_under_a_condition_that_does_not_hold_is_refused(device):
    got = await device.latest(**{"If-Match": '"other"'})

    assert (got.status, got.json["code"]) == (412, 412)


async def test_head_of_latest_has_the_length_of_its_body(fleet, device):
    await fleet.publish(CONTENT)
    whole = await device.latest()

    got = await device.wire.ask("HEAD", f"{device.firmwares}/latest")

    assert got.get("Content-Length") == str(len(whole.body))
    assert got.get("ETag") == whole.get("ETag")


async def test_poll_of_a_thing_with_nothing_new_opens_no_file(fleet, device, monkeypatch):
    await fleet.publish(CONTENT)
    etag = (await device.latest()).get("ETag")

    async def never(_sha256):
        raise AssertionError("a file was opened")

    monkeypatch.setattr(fleet.server.platform.administration.firmware.blobs, "open", never)
    firmware_id = (await device.latest()).json["firmwares"][0]["_id"]
    sha256 = (await device.latest()).json["firmwares"][0]["sha256"]

    polled = await device.latest(**{"If-None-Match": etag})
    fetched = await device.download(firmware_id, headers={"If-None-Match": f'"{sha256}"'})

    assert (polled.status, fetched.status) == (304, 304)


async def test_client_of_the_esp8266_in_lua_asks_with_bare_line_feeds(fleet, device):
    firmware = await fleet.publish(CONTENT, "4")
    async with connect(fleet.server.address) as wire:
        await wire.send(
            f"GET {device.firmwares}/latest HTTP/1.1\n"
            "Host: api.thethings.io\nContent-Type: application/json\nConnection: close\n\n".encode()
        )
        listed = await wire.read()
        assert await wire.rest() == b""
    async with connect(fleet.server.address) as wire:
        await wire.send(
            f"GET {device.firmwares}/download/{firmware.id} HTTP/1.1\n"
            "Host: api.thethings.io\nConnection: close\n\n".encode()
        )
        fetched = await wire.read()
        assert await wire.rest() == b""

    # It looks for the first brace and decodes from there; then it compares numbers.
    raw = listed.head + listed.body
    document = json.loads(raw[raw.index(b"{") :])
    assert float(document["firmwares"][0]["version"]) == 4
    assert fetched.body == CONTENT
    assert b"{" not in fetched.head


async def test_client_of_node_asks_with_a_slash_too_many(fleet, device):
    firmware = await fleet.publish(CONTENT)
    base = f"//v2//things/{device.token}/firmwares"

    listed = await device.wire.ask("GET", f"{base}/latest/")
    fetched = await device.wire.ask("GET", f"{base}//download/{firmware.id}")

    assert listed.json["status"] == "success"
    assert fetched.body == CONTENT


async def test_unknown_token_is_no_thing(device):
    got = await device.wire.ask("GET", f"/v2/things/{'A' * 43}/firmwares/latest")

    assert (got.status, got.message) == (404, "Thing not found")
