"""Every limit of firmware that can be set, at n and at n + 1, on a server started with it.

As `tests/api/test_limits_as_settings.py`: that a setting reaches the code that it limits.
"""

import asyncio
from contextlib import asynccontextmanager

import pytest

from doubles.clock import ManualClock
from support.in_process import served
from support.wire import PATIENCE_SECONDS, ask, request
from thingstead.bootstrap import administration
from thingstead.features.firmware.errors import ImageTooLargeError, TooManyFirmwaresError
from thingstead.features.firmware.model import NewFirmware, UpdateState
from thingstead.limit_settings import LimitSettings

MCU = "esp32"
# Larger than what the kernel takes from a server whose client reads nothing.
LARGE = 12 * 1024 * 1024


@pytest.fixture
def clock(monkeypatch):
    standing = ManualClock(1_767_225_600_000)
    monkeypatch.setattr(administration, "SystemClock", lambda: standing)
    return standing


@pytest.fixture
def start(tmp_path, clock):
    return lambda limits: served(tmp_path / "folder", has_lane=True, limits=limits)


async def publish(server, version="2", size=3):
    async def chunks():
        yield b"\1" * size

    new = NewFirmware(product_id=server.product.id, mcu=MCU, version=version, filename="f.bin")
    return await server.platform.administration.publishing.publish(new, chunks())


async def latest(server, token, version=None):
    query = f"?version={version}" if version else ""
    got = await ask(server.address, "GET", f"/v2/things/{token}/firmwares/latest{query}")
    return got.json


async def fetch(server, token, firmware):
    path = f"/v2/things/{token}/firmwares/download/{firmware.id}"
    return await ask(server.address, "GET", path)


async def update_of(server, token):
    """The thing's only update, as it is stored."""
    thing = await server.platform.things.resolve(token, address=None)
    (update,) = (await server.platform.administration.updates.record(thing.id)).updates
    return update


async def fetch_whole(server, token, firmware):
    """Download it, until the server has noted that the last byte is out."""
    assert (await fetch(server, token, firmware)).status == 200
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if (await update_of(server, token)).state is UpdateState.DOWNLOADED:
                return
            await asyncio.sleep(0.001)


@asynccontextmanager
async def begun_download(server, token, firmware):
    """A download whose client reads the head and then nothing more."""
    path = f"/v2/things/{token}/firmwares/download/{firmware.id}"
    host, port = server.address.host, server.address.port
    reader, writer = await asyncio.open_connection(host, port, limit=1_024)
    try:
        writer.write(request("GET", path))
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.transport.abort()


async def test_an_image_has_as_many_bytes_as_it_may(start):
    async with start(LimitSettings(firmware_bytes=10)) as server:
        assert (await publish(server, "1", 10)).size == 10

        with pytest.raises(ImageTooLargeError, match="more than 10 bytes"):
            await publish(server, "2", 11)


async def test_a_product_has_as_many_images_as_it_may(start):
    async with start(LimitSettings(firmwares_per_product=2)) as server:
        for version in ("1", "2"):
            await publish(server, version, int(version))

        with pytest.raises(TooManyFirmwaresError, match="a product may have 2"):
            await publish(server, "3", 4)


async def test_an_update_fails_as_often_as_it_may_before_its_image_is_blocked(start, clock):
    limits = LimitSettings(firmware_attempts=2, firmware_grace_seconds=0)
    async with start(limits) as server:
        firmware, token = await publish(server), await server.new_token()
        offers = []
        for _ in range(2):
            await fetch_whole(server, token, firmware)
            clock.advance(0.001)
            offers.append(await latest(server, token, version="1"))

        assert [len(offer["firmwares"]) for offer in offers] == [1, 0]
        assert offers[-1]["reason"] == "blocked"
        assert (await fetch(server, token, firmware)).status == 404


@pytest.mark.parametrize(("after_s", "failures"), [(5, 0), (5.001, 1)])
async def test_a_thing_may_report_its_old_version_for_the_grace(start, clock, after_s, failures):
    async with start(LimitSettings(firmware_grace_seconds=5)) as server:
        firmware, token = await publish(server), await server.new_token()
        await fetch_whole(server, token, firmware)
        clock.advance(after_s)

        await latest(server, token, version="1")

        assert (await update_of(server, token)).failures == failures


@pytest.mark.parametrize("poll_s", [100, 10_000])
async def test_things_are_asked_to_ask_as_often_as_is_set(start, poll_s):
    async with start(LimitSettings(firmware_poll_seconds=poll_s)) as server:
        token = await server.new_token()

        assert 0.8 * poll_s <= (await latest(server, token))["pollAfter"] <= 1.2 * poll_s


async def test_a_thing_reports_other_versions_as_often_as_it_may(start):
    async with start(LimitSettings(firmware_reports_per_minute=2)) as server:
        await publish(server)
        path = f"/v2/things/{await server.new_token()}/firmwares/latest?version="

        got = [await ask(server.address, "GET", f"{path}{version}") for version in (1, 0, 1)]

        assert [one.status for one in got] == [200, 200, 429]
        assert got[-1].get("Retry-After") == "31"
        assert "2 reports" in got[-1].message


async def test_a_thing_has_as_many_downloads_as_it_may(start):
    async with start(LimitSettings(downloads_per_thing=1)) as server:
        firmware = await publish(server, size=LARGE)
        token, other = await server.new_token(), await server.new_token()
        async with begun_download(server, token, firmware):
            refused = await fetch(server, token, firmware)

            assert (refused.status, refused.get("Retry-After").isdigit()) == (429, True)
            assert "1" in refused.message
            async with begun_download(server, other, firmware) as head:
                assert head.startswith(b"HTTP/1.1 200")
        await _until_free(server, token, firmware)


async def test_the_server_has_as_many_downloads_as_it_may(start):
    async with start(LimitSettings(downloads=1)) as server:
        firmware = await publish(server, size=LARGE)
        token, other = await server.new_token(), await server.new_token()
        async with begun_download(server, token, firmware):
            assert (await fetch(server, other, firmware)).status == 429
        await _until_free(server, other, firmware)


async def _until_free(server, token, firmware):
    """The place of a client that left is given back."""
    path = f"/v2/things/{token}/firmwares/download/{firmware.id}"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            got = await ask(server.address, "GET", path, headers={"Range": "bytes=0-1"})
            if got.status == 206:
                return
            await asyncio.sleep(0.01)
