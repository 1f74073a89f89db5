"""`kill -9` of a server while devices are updated: all that any of them was told stays true."""

import asyncio
import hashlib
import os
import random
import secrets

from e2e.durability.checker import check_file
from e2e.durability.load import Ledger
from e2e.firmware.devices import NEW, Device, Image, live_all
from e2e.firmware.rows import Watcher, read_rows
from support.commands import beside
from support.firmware import content_of
from support.process import PATIENCE_SECONDS, server_process

KILLS = 5
DEVICES = 30
CONTENT = content_of(150_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
LIMITS = {
    "THINGSTEAD_LIMITS_WRITES_PER_SECOND": "1000000",
    "THINGSTEAD_LIMITS_WRITE_BURST": "1000000",
}
PLAN = ("--rings", "20,60,100", "--success", "50", "--soak", "0s", "--stop-percent", "off")


def prepared(server, folder, chance, ledger):
    """The devices of a product and a campaign that updates them ring by ring."""
    product = str(beside(server, "product", "create", "Station")["id"])
    file = folder.with_name("station.bin")
    file.write_bytes(CONTENT)
    what = ("--product", product, "--mcu", "main", "--version", NEW, "--draft")
    firmware = beside(server, "firmware", "publish", str(file), *what)["id"]
    image = Image(firmware, SHA256, CONTENT)
    things = [beside(server, "thing", "create", "--product", product) for _ in range(DEVICES)]
    campaign = beside(server, "campaign", "create", "--firmware", firmware, "--name", "all", *PLAN)[
        "id"
    ]
    devices = [
        Device(
            thing["id"],
            thing["token"],
            image,
            random.Random(chance.random()),
            ledger,
            fails_first=number % 6 == 0,
            # Large ones are sent piece by piece, small ones in one go.
            largest_range=(3_000, 40_000)[number % 2],
        )
        for number, thing in enumerate(things)
    ]
    return devices, campaign


async def until_all_succeeded(server, campaign):
    until = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while beside(server, "campaign", "show", campaign)["things"]["succeeded"] < DEVICES:
        assert asyncio.get_running_loop().time() < until
        await asyncio.sleep(0.2)


async def test_nothing_that_devices_were_told_is_lost_when_the_server_is_killed(tmp_path):
    seed = int(os.environ.get("THINGSTEAD_TEST_SEED", "0")) or secrets.randbits(32)
    print(f"THINGSTEAD_TEST_SEED={seed}")  # noqa: T201
    chance = random.Random(seed)
    folder, ledger = tmp_path / "folder", Ledger()
    with server_process(folder, env=LIMITS) as server:
        devices, campaign = prepared(server, folder, chance, ledger)
        server.stop()
    watcher = Watcher(devices, read_rows(folder))

    for _ in range(KILLS):
        is_over = asyncio.Event()
        with server_process(folder, env=LIMITS) as server:
            living = asyncio.create_task(live_all(devices, server.address, is_over))
            # The moment of the kill is the round's input, not something that it waits for.
            await asyncio.wait({living}, timeout=chance.uniform(0.1, 0.6))
            server.kill()
            is_over.set()
            await living
        watcher.check(read_rows(folder))
        assert check_file(folder, ledger).problems == {}

    is_over = asyncio.Event()
    with server_process(folder, env=LIMITS) as server:
        living = asyncio.create_task(live_all(devices, server.address, is_over))
        await until_all_succeeded(server, campaign)
        is_over.set()
        await living
        assert server.stop() == 0
        assert "Traceback" not in server.logged()
    watcher.check(read_rows(folder))
    assert check_file(folder, ledger).problems == {}
    assert {device.version for device in devices} == {NEW}
    # Those who failed once, or may have, loaded it a second time, and nobody a third.
    assert sum(device.whole_downloads for device in devices) == DEVICES + DEVICES // 6
    assert {"waiting", "succeeded"} < watcher.seen_states, "no device was killed on its way"
