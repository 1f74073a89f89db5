"""A thousand devices get an image while the power of some fails; every one is explained.

No processes: the services of a server over real files, with a clock that is set by hand.
"""

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from doubles.clock import ManualClock
from doubles.ids import SequentialIds
from e2e.firmware.fleet import OLD_IMAGE, STEP_S, Device, live
from e2e.firmware.platform import Platform, make_things
from thingstead.features.campaigns.model import CampaignPlan, CampaignState, Gate, Stop
from thingstead.features.campaigns.progress import Progress
from thingstead.features.firmware.model import Update, UpdateState
from thingstead.features.things.model import Thing
from thingstead.kernel.ids import ThingId

SEED = 20_260_131
DEVICES = 1_000
IMAGE = random.Random(SEED).randbytes(30_000)
LIMIT = 10
ATTEMPTS = 3
TABLES = ("campaign", "firmware", "firmware_update", "firmware_event")
# Of the 50 whose power fails most are well afterwards, some need a third attempt, some fail every
# time, and some are never heard of again.
NEVER_BACK = 5
FATES = [(1, True)] * 30 + [(2, True)] * 10 + [(99, True)] * 5 + [(1, False)] * NEVER_BACK


class Trial:
    """The devices and the services of the moment, which may be thrown away at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock = ManualClock()
        self._ids = SequentialIds()
        self.devices: list[Device] = []

    async def begin(self) -> None:
        self.platform = await self._opened()
        names = [ThingId(f"thing {number:04}") for number in range(DEVICES)]
        things = await make_things(self._folder, self.platform.core, names)
        self.devices = _fleet(things, self._clock.now_ms())
        firmware = await self.platform.publish(things[0].product_id, "1.1", IMAGE)
        campaign = await self.platform.campaigns.create(
            CampaignPlan(
                firmware_id=firmware.id,
                name="Spring",
                rings=(1, 10, 50, 100),
                gate=Gate(success_percent=80, soak_s=60),
                stop=Stop(failures=LIMIT, percent=None),
                attempts=ATTEMPTS,
                patience_s=2_400,
            )
        )
        self.campaign_id = (await self.platform.campaigns.prepare(campaign)).id

    async def restart(self) -> None:
        """Throw the services away, open them again, and compare all that campaigns are made of."""
        before = await self.progress()
        await self.platform.leave()
        rows = _rows(self._folder)
        self.platform = await self._opened()
        await self.platform.engine.tick()

        assert await self.progress() == before
        assert _rows(self._folder) == rows

    async def live_until(self, is_reached: Callable[[Progress], bool], *, hours: float) -> None:
        for _ in range(round(hours * 3_600 / STEP_S)):
            await live(self.platform, self.devices)
            if is_reached(await self.progress()):
                return
        raise AssertionError(f"not reached within {hours} h: {await self.progress()}")

    async def progress(self) -> Progress:
        return await self.platform.campaigns.progress(self.campaign_id)

    async def _opened(self) -> Platform:
        return await Platform.open(self._folder, self._clock, self._ids)


def _fleet(things: list[Thing], now_ms: int) -> list[Device]:
    chance = random.Random(SEED)
    doomed = dict(zip(chance.sample(range(DEVICES), len(FATES)), FATES, strict=True))
    devices = []
    for number, thing in enumerate(things):
        power_cuts, comes_back = doomed.get(number, (0, True))
        device = Device(thing, random.Random(f"{SEED} {number}"), power_cuts, comes_back)
        device.due_ms = now_ms + chance.uniform(0, 1_200_000)
        devices.append(device)
    return devices


def _rows(folder: Path) -> dict[str, list[object]]:
    with closing(sqlite3.connect(folder / "core.db")) as database:
        return {
            table: database.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            for table in TABLES
        }


@pytest.fixture
async def trial(tmp_path):
    trial = Trial(tmp_path)
    await trial.begin()
    yield trial
    await trial.platform.leave()


async def test_a_thousand_devices_with_power_cuts_all_end_explained(trial):
    await trial.live_until(_is_in_the_third_ring_with_downloads, hours=4)
    await trial.restart()
    await trial.live_until(_has_halted_at_the_limit, hours=4)
    await _check_that_nothing_moves(trial)
    await trial.restart()

    while (await trial.progress()).campaign.state is not CampaignState.FINISHED:
        await trial.platform.campaigns.resume(trial.campaign_id)
        await trial.live_until(_is_halted_or_finished, hours=8)
    await trial.live_until(_is_at_rest, hours=4)
    await trial.restart()

    updates = {
        update.thing_id: update
        async for update in trial.platform.campaigns.members(trial.campaign_id)
    }
    assert Counter(update.state for update in updates.values()) == {
        UpdateState.SUCCEEDED: 990,
        UpdateState.BLOCKED: 5,
        UpdateState.FAILED: 5,
    }
    for device in trial.devices:
        update = updates[device.thing.id]
        _check_device(device, update)
        _check_story(update, await trial.platform.story(device.thing.id))


def _is_in_the_third_ring_with_downloads(progress: Progress) -> bool:
    return progress.campaign.open_ring == 2 and progress.total.under_way > 20


def _has_halted_at_the_limit(progress: Progress) -> bool:
    """Also check, at every step, that it halts at its limit and not before."""
    is_halted = progress.campaign.state is CampaignState.HALTED
    assert is_halted == (progress.total.failed >= LIMIT)
    return is_halted


def _is_halted_or_finished(progress: Progress) -> bool:
    return progress.campaign.state is not CampaignState.RUNNING


def _is_at_rest(progress: Progress) -> bool:
    total = progress.total
    return total.succeeded + total.blocked + NEVER_BACK == DEVICES


async def _check_that_nothing_moves(trial: Trial) -> None:
    """Have the halted campaign wait half an hour for its operator."""
    halted = (await trial.progress()).campaign
    bytes_taken = sum(device.bytes_taken for device in trial.devices)
    assert halted.reason.endswith(f"failed things; {LIMIT} are the limit")

    for _ in range(1_800 // STEP_S):
        await live(trial.platform, trial.devices)

    assert (await trial.progress()).campaign == halted
    assert sum(device.bytes_taken for device in trial.devices) == bytes_taken


def _check_device(device: Device, update: Update) -> None:
    """Check that what it runs is what the platform says, byte for byte."""
    has_it = update.state is UpdateState.SUCCEEDED
    assert device.runs == (IMAGE if has_it else OLD_IMAGE)
    assert device.version == ("1.1" if has_it else "1.0")
    assert device.whole_downloads <= ATTEMPTS
    assert update.failures == device.power_failures


def _check_story(update: Update, story: list[tuple[str, str]]) -> None:
    """Check that the timeline tells how it came to the state, and that there is a reason."""
    kinds = [kind for kind, _ in story]
    assert kinds[0] == "joined"
    assert 1 <= kinds.count("offered") <= ATTEMPTS
    assert kinds.count("failed") == update.failures
    assert update.reason
    match update.state:
        case UpdateState.SUCCEEDED:
            assert kinds[-4:] == ["begun", "downloaded", "reported", "succeeded"]
        case UpdateState.BLOCKED:
            assert kinds[-2:] == ["failed", "blocked"]
            assert "failure 3 of 3" in update.reason
        case _:
            assert kinds[-3:] == ["begun", "downloaded", "failed"]
            assert "did not report the version within 40 min" in update.reason
