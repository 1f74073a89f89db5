"""The live demo: a simulated fleet inside the server process, used by `serve --demo`.

Its writes pass the same service as every device's. It is a guest on the server's event
loop: a dozen things send a few writes a second, and it waits whenever the server is busy.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from thingstead.bootstrap import Platform
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.things.model import Thing
from thingstead.features.values.model import IncomingWrite, Window
from thingstead.kernel.errors import Category, ThingsteadError
from thingstead.simulation.enrolment import new_thing, product_named
from thingstead.simulation.fleet import Fleet, SimulatedThing
from thingstead.simulation.writes import introduction, write_of

_log = logging.getLogger(__name__)

PRODUCT_NAME: Final = "Demo fleet"
# The thing's number in the fleet is kept among its own settings: it outlives a new name.
_NUMBER_KEY = "$settings.fleet_number"
_HISTORY_MS = 6 * 3_600_000
_HISTORY_EVERY_MS = 60_000
_SLICE_S = 15.0
_FURTHEST_BEHIND_MS = 60_000
_FURTHEST_AHEAD_MS = 3_600_000
_BUSY_S = 2.0
_WAITED_OUT = frozenset({Category.UNAVAILABLE, Category.TOO_MANY, Category.STORAGE_FULL})

Sleep = Callable[[float], Awaitable[None]]
Result = TypeVar("Result")


async def run_demo(
    platform: Platform, *, seed: int, things: int = 12, sleep: Sleep = asyncio.sleep
) -> None:
    """Write as a fleet until cancelled; on a folder used before, as the same things.

    Each thing first writes what it measured since its newest stored value, at most six hours
    back. A thing that is deleted while the demo runs falls silent, and is made anew at the
    next start. Refusals that pass are waited out, others are logged; any other error ends
    the demo and comes out in an exception group.
    """
    demo = _Demo(platform, sleep)
    members = await demo.patiently(lambda: demo.enrol(Fleet(seed, things).things))
    _log.info("the demo writes as %d things of the product %r", len(members), PRODUCT_NAME)
    async with asyncio.TaskGroup() as group:
        for member in members:
            group.create_task(demo.run(member))


@dataclass(frozen=True, slots=True)
class _Member:
    simulated: SimulatedThing
    thing: Thing


class _Demo:
    """Carries a fleet's transmissions to the services."""

    def __init__(self, platform: Platform, sleep: Sleep) -> None:
        self._platform = platform
        self._sleep = sleep

    async def enrol(self, fleet: Iterable[SimulatedThing]) -> list[_Member]:
        """Return the fleet's things, those of an earlier run where there are any."""
        product = await product_named(self._platform.products, PRODUCT_NAME)
        known: dict[object, Thing] = {}
        async for present in self._platform.things.all(product.id):
            number = await self._platform.magic.read(present.thing, _NUMBER_KEY)
            known.setdefault(number, present.thing)
        members = []
        for simulated in fleet:
            thing = known.get(simulated.number)
            if thing is None:
                thing = (await new_thing(self._platform.things, product.id)).thing
                await self._introduce(simulated, thing)
            members.append(_Member(simulated, thing))
        return members

    async def _introduce(self, simulated: SimulatedThing, thing: Thing) -> None:
        # Waited out by itself: were it left undone, the thing would not be known again.
        async def submit() -> None:
            await self._platform.values.submit(thing, introduction(simulated))

        await self.patiently(submit)

    async def run(self, member: _Member) -> None:
        """Write what the thing measured lately, then what it measures, for ever."""
        try:
            await self._write_history(member)
            await self._write_live(member)
        except ThingsteadError as error:
            # Most often it was deleted; the others go on.
            _log.warning("%s falls silent: %s", member.simulated.name, error)

    async def patiently(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Return the work's result; repeat it while the refusal is one that passes."""
        while True:
            try:
                return await work()
            except ThingsteadError as error:
                if error.category not in _WAITED_OUT:
                    raise
                await self._sleep(error.retry_after_s or _BUSY_S)

    async def _write_history(self, member: _Member) -> None:
        now_ms = self._platform.clock.now_ms()
        newest_ms = await self.patiently(lambda: self._newest_ms(member.thing))
        after_ms = max(newest_ms, now_ms - _HISTORY_MS)
        for batch in member.simulated.history(after_ms, now_ms, _HISTORY_EVERY_MS):
            await self._write(member, write_of(batch), is_broadcast=False)

    async def _newest_ms(self, thing: Thing) -> int:
        """Return the time of the newest value of any key, or 0."""
        newest_ms = 0
        for key in await self._platform.values.keys(thing):
            reading = await self._platform.values.read(thing, key, Window(limit=1))
            newest_ms = max([newest_ms, *(at_ms for _, at_ms, _, _ in reading.rows)])
        return newest_ms

    async def _write_live(self, member: _Member) -> None:
        clock = self._platform.clock
        reached_ms = clock.now_ms()
        while True:
            transmission = member.simulated.next(reached_ms)
            wait_ms = transmission.at_ms - clock.now_ms()
            if not -_FURTHEST_BEHIND_MS <= wait_ms <= _FURTHEST_AHEAD_MS:
                # The machine slept or its clock was set: what was missed stays missed.
                reached_ms = clock.now_ms()
                continue
            if wait_ms > 0:
                await self._sleep(min(wait_ms / 1_000, _SLICE_S))
            if wait_ms > _SLICE_S * 1_000:
                # Looked at again, because the clock may have been set meanwhile.
                continue
            reached_ms = transmission.at_ms
            for batch in transmission.batches:
                await self._write(member, write_of(batch))

    async def _write(
        self, member: _Member, write: IncomingWrite, *, is_broadcast: bool = True
    ) -> None:
        async def submit() -> None:
            # Values of a thing that is gone, or of an epoch that is over, would be kept for nobody.
            thing = await self._platform.things.get(member.thing.id)
            await self._platform.values.submit(thing, write, is_broadcast=is_broadcast)

        try:
            await self.patiently(submit)
        except ThingNotFoundError:
            raise
        except ThingsteadError as error:
            _log.warning("%s was refused: %s", member.simulated.name, error)
