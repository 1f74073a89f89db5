"""The demo fleet inside a platform with real files; time is moved, never waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from doubles.clock import ManualClock
from thingstead.bootstrap import Platform, open_platform
from thingstead.features.things.model import Thing
from thingstead.features.values.errors import InvalidValuesError
from thingstead.features.values.model import DocumentChange, Window
from thingstead.kernel.clock import SystemClock
from thingstead.kernel.errors import OverloadedError, TooManyRequestsError
from thingstead.settings import Settings
from thingstead.simulation.demo import PRODUCT_NAME, run_demo

HOUR_MS = 3_600_000
PATIENCE_SECONDS = 20
THINGS = 4


@dataclass
class MovedTime:
    """Sleeping moves the clock; after `sleeps` of them the sleeper waits for good.

    `deed` is done during the tenth.
    """

    clock: ManualClock
    sleeps: int
    deed: Callable[[], Awaitable[None]] | None = None
    slept: list[float] = field(default_factory=list)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) > self.sleeps:
            self.is_over.set()
            await asyncio.Event().wait()
        if len(self.slept) == 10 and self.deed is not None:
            await self.deed()
        self.clock.advance(seconds)
        await asyncio.sleep(0)


@pytest.fixture(name="clock")
def _clock() -> ManualClock:
    return ManualClock(SystemClock().now_ms() - HOUR_MS)


@pytest.fixture(name="platform")
async def _platform(tmp_path, clock):
    async with open_platform(Settings(data=str(tmp_path))) as platform:
        yield replace(platform, administration=replace(platform.administration, clock=clock))


async def run_until_slept(
    platform: Platform,
    clock: ManualClock,
    sleeps: int = 0,
    deed: Callable[[], Awaitable[None]] | None = None,
) -> list[float]:
    """Run the demo until it has slept so often; return how long each time."""
    time = MovedTime(clock, sleeps, deed)
    demo = asyncio.create_task(run_demo(platform, seed=1, things=THINGS, sleep=time.sleep))
    over = asyncio.create_task(time.is_over.wait())
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.wait({demo, over}, return_when=asyncio.FIRST_COMPLETED)
        if demo.done():
            demo.result()
        return time.slept
    finally:
        demo.cancel()
        over.cancel()
        await asyncio.gather(demo, over, return_exceptions=True)


async def fleet_of(platform: Platform) -> dict[object, Thing]:
    """The demo's things by their numbers in the fleet."""
    (product,) = [p async for p in platform.products.all() if p.name == PRODUCT_NAME]
    return {
        await platform.magic.read(new.thing, "$settings.fleet_number"): new.thing
        async for new in platform.things.all(product.id)
    }


async def times_of(platform: Platform, thing: Thing, key: str) -> list[int]:
    """The times of the newest thousand values, newest first."""
    reading = await platform.values.read(thing, key, Window(limit=1_000))
    return [row[1] for row in reading.rows]


def refusing(platform: Platform, errors: list[Exception]) -> Platform:
    """The platform, with values that are refused once for each error."""
    submit: Callable[..., object] = platform.values.submit

    class Refusing:
        def __getattr__(self, name: str) -> object:
            return getattr(platform.values, name)

        def submit(self, *words: object, **flags: object) -> object:
            if errors:
                raise errors.pop(0)
            return submit(*words, **flags)

    return replace(platform, values=Refusing())


async def test_things_have_names_and_places(platform, clock):
    await run_until_slept(platform, clock)

    things = await fleet_of(platform)
    assert set(things) == set(range(THINGS))
    assert await platform.magic.read(things[3], "$settings.name") == "Freezer 1"
    assert (await platform.magic.read(things[3], "$geo"))["type"] == "Point"


async def test_the_last_six_hours_are_there_at_once(platform, clock):
    await run_until_slept(platform, clock, 20)

    times = await times_of(platform, (await fleet_of(platform))[0], "temperature")
    past = [at_ms for at_ms in times if at_ms % 60_000 == 0]
    assert 270 <= len(past) <= 360
    assert past[0] - past[-1] > 5.9 * HOUR_MS


async def test_live_values_follow(platform, clock):
    begun_ms = clock.now_ms()

    slept = await run_until_slept(platform, clock, 60)

    assert 0 < max(slept) <= 15
    for thing in (await fleet_of(platform)).values():
        (key, *_) = [key for key in await platform.values.keys(thing) if key != "boot"]
        assert (await times_of(platform, thing, key))[0] > begun_ms


async def test_a_restart_goes_on_with_the_same_things(platform, clock):
    await run_until_slept(platform, clock, 30)
    before = await fleet_of(platform)
    stored = await times_of(platform, before[0], "temperature")

    await run_until_slept(platform, clock, 30)

    assert await fleet_of(platform) == before
    times = await times_of(platform, before[0], "temperature")
    assert len(times) == len(set(times))
    assert set(stored) < set(times)


async def test_a_restart_keeps_a_name_that_was_changed(platform, clock):
    await run_until_slept(platform, clock)
    thing = (await fleet_of(platform))[0]
    renaming = DocumentChange("$settings", ("name",), "Tomatoes", max_bytes=1_000)
    await platform.values.submit_change(thing, renaming)

    await run_until_slept(platform, clock)

    assert await platform.magic.read(thing, "$settings.name") == "Tomatoes"


async def test_a_deleted_thing_falls_silent_and_the_others_go_on(platform, clock, caplog):
    await run_until_slept(platform, clock)
    things = await fleet_of(platform)
    at_ms = clock.now_ms()

    async def delete() -> None:
        await platform.things.delete(things[0].id)

    await run_until_slept(platform, clock, 100, deed=delete)

    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "Greenhouse 1 falls silent: Thing not found"
    ]
    assert set(await fleet_of(platform)) == {1, 2, 3}
    for thing, key in ((things[1], "power"), (things[2], "speed"), (things[3], "door")):
        assert (await times_of(platform, thing, key))[0] > at_ms


async def test_a_deleted_thing_is_made_anew_at_the_next_start(platform, clock):
    await run_until_slept(platform, clock)
    things = await fleet_of(platform)
    await platform.things.delete(things[0].id)

    await run_until_slept(platform, clock)

    renewed = await fleet_of(platform)
    assert renewed[0] != things[0]
    assert {number: renewed[number] for number in (1, 2, 3)} == {
        number: things[number] for number in (1, 2, 3)
    }


@pytest.mark.parametrize(
    "error",
    [OverloadedError("full", retry_after_s=3), TooManyRequestsError("slow down", retry_after_s=3)],
)
async def test_a_busy_server_is_waited_out(platform, clock, error):
    slept = await run_until_slept(refusing(platform, [error, error]), clock, 10)

    assert slept[:2] == [3, 3]
    assert len(await fleet_of(platform)) == THINGS


async def test_other_refusals_are_logged_and_the_fleet_goes_on(platform, clock, caplog):
    await run_until_slept(platform, clock)
    clock.advance(120)

    await run_until_slept(refusing(platform, [InvalidValuesError("odd")]), clock, 20)

    assert "was refused: Invalid values: odd" in caplog.text


async def test_any_other_error_ends_the_demo(platform, clock):
    await run_until_slept(platform, clock)
    clock.advance(120)

    with pytest.raises(ExceptionGroup) as caught:
        await run_until_slept(refusing(platform, [RuntimeError("a bug")]), clock, 20)

    assert caught.group_contains(RuntimeError, match="a bug")


async def test_a_clock_that_was_set_back_or_forth_is_followed(platform, clock):
    await run_until_slept(platform, clock)

    for step_s in (8 * 3_600, -16 * 3_600):
        clock.advance(step_s)
        assert max(await run_until_slept(platform, clock, 20)) <= 15
