"""Images that a thing may not have look exactly like images that do not exist."""

import json

import pytest

from support.firmware import content_of, fleet_of
from thingstead.features.campaigns.model import Target
from thingstead.features.firmware.status import Execution, Result, Status
from thingstead.kernel.errors import Category, ThingsteadError
from thingstead.kernel.ids import FirmwareId
from thingstead.transports.http.request import Request
from thingstead.transports.http.v2.downloads import Downloads

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTENT = content_of(1_000)
HOUR_MS = 3_600_000


async def absent(fleet, device):
    return FirmwareId("A" * 26)


async def foreign(fleet, device):
    other = await fleet_of(fleet.server)
    return (await other.publish(CONTENT)).id


async def draft(fleet, device):
    return (await fleet.publish(CONTENT, is_draft=True)).id


async def revoked(fleet, device):
    firmware = await fleet.publish(CONTENT)
    await device.download(firmware, headers={"Range": "bytes=0-0"})
    await fleet.publishing.revoke(firmware.id)
    return firmware.id


async def deprecated(fleet, device):
    firmware = await fleet.publish(CONTENT)
    await fleet.publishing.deprecate(firmware.id)
    return firmware.id


async def paused(fleet, device):
    firmware = await fleet.publish(CONTENT)
    campaign = await fleet.campaign(firmware)
    await fleet.campaigns.pause(campaign.id)
    return firmware.id


async def cancelled(fleet, device):
    firmware = await fleet.publish(CONTENT)
    campaign = await fleet.campaign(firmware)
    await device.download(firmware, headers={"Range": "bytes=0-0"})
    await fleet.campaigns.cancel(campaign.id)
    return firmware.id


async def not_a_target(fleet, device):
    firmware = await fleet.publish(CONTENT)
    await fleet.campaign(firmware, target=Target(tags=("others",)))
    return firmware.id


async def blocked(fleet, device):
    firmware = await fleet.publish(CONTENT)
    await device.latest()
    thing = await fleet.server.platform.things.resolve(device.token, address=None)
    for _ in range(3):
        updates = fleet.server.platform.administration.updates
        await updates.said(thing, firmware.id, Status(Execution.CLOSED, Result.FAILURE))
        await device.latest()
    return firmware.id


async def expired(fleet, device):
    now_ms = fleet.server.platform.clock.now_ms()
    return (await fleet.publish(CONTENT, expires_at_ms=now_ms + 1)).id


async def not_yet(fleet, device):
    now_ms = fleet.server.platform.clock.now_ms()
    return (await fleet.publish(CONTENT, not_before_ms=now_ms + HOUR_MS)).id


async def for_newer_versions_only(fleet, device):
    return (await fleet.publish(CONTENT, "3", min_version="2")).id


CASES = [
    absent,
    foreign,
    draft,
    revoked,
    deprecated,
    paused,
    cancelled,
    not_a_target,
    blocked,
    expired,
    not_yet,
    for_newer_versions_only,
]


@pytest.mark.parametrize("make", CASES)
async def test_image_that_the_thing_may_not_have_is_not_there(fleet, device, make):
    firmware_id = await make(fleet, device)
    hidden = await device.latest("?version=1")

    got = await device.download(firmware_id)
    head = await device.download(firmware_id, "HEAD")
    ranged = await device.download(firmware_id, headers={"Range": "bytes=99999-"})
    known = await device.download(firmware_id, headers={"If-None-Match": "*"})
    made_up = await device.download("B" * 26)

    assert (got.status, got.body) == (
        404,
        json.dumps(
            {"status": "error", "code": 404, "message": "Firmware not found"},
            separators=(",", ":"),
        ).encode(),
    )
    assert head.status == 404
    for other in (ranged, known, made_up):
        assert other.without_date == got.without_date
    assert firmware_id not in [each["_id"] for each in hidden.json["firmwares"]]


@pytest.mark.parametrize(
    "name", ["..%2f..%2fetc%2fpasswd", "%00", "con", "x" * 300, "%E2%80%AE", "{}", "'--"]
)
async def test_made_up_names_of_images_find_nothing(device, name):
    got = await device.download(name)

    assert got.status in {400, 404}
    assert b"passwd" not in got.body


async def test_download_that_had_begun_may_finish_while_its_campaign_pauses(fleet, device):
    firmware = await fleet.publish(CONTENT)
    campaign = await fleet.campaign(firmware)
    await device.latest()
    await device.download(firmware, headers={"Range": "bytes=0-499"})
    await fleet.campaigns.pause(campaign.id)

    got = await device.download(firmware, headers={"Range": "bytes=500-"})

    assert (got.status, got.body) == (206, CONTENT[500:])


@pytest.mark.parametrize("end", ["revoked", "deleted"])
async def test_right_to_a_download_is_looked_at_again_while_it_goes_on(fleet, device, end):
    firmware = await fleet.publish(CONTENT)
    platform = fleet.server.platform
    scope = {"method": "GET", "raw_path": b"/", "query_string": b"", "headers": [], "client": None}
    request = Request(scope, None)
    request.arguments = {"thing_token": device.token, "firmware_id": firmware.id}
    answer = await Downloads(platform.things, platform.firmware.offers).download(request)
    await answer.check()

    if end == "revoked":
        await fleet.publishing.revoke(firmware.id)
    else:
        await platform.things.delete(device.id)

    with pytest.raises(ThingsteadError) as caught:
        await answer.check()
    assert caught.value.category is Category.NOT_FOUND
