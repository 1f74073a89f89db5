"""`POST …/firmwares/status`: what a thing says about its update."""

import pytest
import pytest_asyncio

from support.firmware import content_of, fleet_of
from thingstead.features.firmware.model import UpdateState

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def firmware(fleet, device):
    published = await fleet.publish(content_of(1_000))
    await device.latest()
    return published


async def update_of(fleet, device):
    updates = fleet.server.platform.administration.updates
    (update,) = (await updates.record(device.id)).updates
    return update


async def timeline(fleet, device):
    updates = fleet.server.platform.administration.updates
    return [(event.kind, event.detail) for _, event in await updates.timeline(device.id)]


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ({"state": "downloaded"}, UpdateState.DOWNLOADED),
        ({"state": "installing", "progress": 40}, UpdateState.INSTALLING),
        ({"execution": "proceeding", "result": "none"}, UpdateState.OFFERED),
        ({"execution": "closed", "result": "success"}, UpdateState.REPORTED),
        ({"state": "success"}, UpdateState.REPORTED),
        ({"state": "failed", "error": "no power"}, UpdateState.FAILED),
        ({"execution": "closed", "result": {"finished": "failure"}}, UpdateState.FAILED),
    ],
    ids=str,
)
async def test_what_a_thing_says_moves_its_update(fleet, device, firmware, body, state):
    got = await device.say(id=firmware.id, **body)

    assert (got.status, got.body) == (200, b'{"status":"success","message":"status noted"}')
    update = await update_of(fleet, device)
    # Outside campaigns success is believed at once.
    assert update.state in {
        state,
        UpdateState.SUCCEEDED if state is UpdateState.REPORTED else state,
    }


async def test_error_and_log_are_in_the_timeline_cut_and_printable(fleet, device, firmware):
    log = ["line\x01one\n", "x" * 5_000]

    got = await device.say(id=firmware.id, state="failed", error="no \u202epower", log=log)
    shown = "".join(detail for _, detail in await timeline(fleet, device))

    assert got.status == 200
    assert "no power; line one ; xxx" in " ".join(shown.split())
    assert shown.isprintable()
    assert len(shown) < 1_000


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "Invalid status: an object is expected"),
        ({}, "Invalid status: id: a text is expected"),
        ({"id": 7, "state": "downloaded"}, "Invalid status: id: a text is expected"),
        ({"id": "ID"}, "Invalid status: state: a text is expected"),
        ({"id": "ID", "state": 3}, "Invalid status: state: a text is expected"),
        ({"id": "ID", "state": "failed", "error": 3}, "Invalid status: error: a text is expected"),
        (
            {"id": "ID", "state": "failed", "log": [3]},
            "Invalid status: details: a text or a list of texts is expected",
        ),
        (
            {"id": "ID", "state": "closed", "result": "good"},
            "Invalid status: result: one of none, success, failure is expected",
        ),
    ],
    ids=str,
)
async def test_what_cannot_be_understood_is_refused_by_name(device, body, message):
    got = await device.wire.ask("POST", f"{device.firmwares}/status", body)

    assert (got.status, got.message) == (400, message)


@pytest.mark.parametrize("state", ["", "dancing", "x" * 1_000])
async def test_unknown_words_are_refused_with_those_that_are_known(device, firmware, state):
    got = await device.say(id=firmware.id, state=state)

    assert got.status == 400
    assert "state: one of scheduled, " in got.message


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 413)])
async def test_body_is_as_long_as_a_document_may_be(device, firmware, more, status):
    body = f'{{"id":"{firmware.id}","state":"installing","log":""}}'.encode()
    padded = body[:-2] + b"x" * (16 * 1024 + 1024 + more - len(body)) + body[-2:]

    got = await device.wire.ask("POST", f"{device.firmwares}/status", padded)

    assert got.status == status


async def test_image_that_was_never_offered_is_nothing_to_speak_of(fleet, device, firmware):
    other = await fleet_of(fleet.server)
    foreign = await other.publish(content_of(900))

    got = await device.say(id=foreign.id, state="downloaded")
    absent = await device.say(id="A" * 26, state="downloaded")

    assert (got.status, got.message) == (404, "Update not found")
    assert got.without_date == absent.without_date


async def test_form_is_understood_as_json_is(fleet, device, firmware):
    got = await device.wire.ask(
        "POST",
        f"{device.firmwares}/status",
        f"id={firmware.id}&state=downloaded".encode(),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert got.status == 200
    assert (await update_of(fleet, device)).state is UpdateState.DOWNLOADED
