"""Hears what things write while an update of theirs is under way.

A write proves health, and a value of the resource `firmware_version` is a report: a text or a
number, or an object of those by MCU. So things need no firmware calls beyond `latest` and
`download`. Writes that are kept from live subscribers (`broadcast=false`) are not heard here.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from thingstead.features.firmware.model import UNDER_WAY, Report, Update, UpdateState
from thingstead.features.firmware.ports import UpdateStore
from thingstead.features.firmware.sightings import MOST_MCUS_OF_A_THING
from thingstead.features.firmware.updates import Updates
from thingstead.features.live.model import LiveEvent
from thingstead.features.live.ports import Bus, Event
from thingstead.features.things.model import Thing
from thingstead.features.values.model import StoredValue
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import ThingsteadError, TooManyRequestsError
from thingstead.kernel.ids import FirmwareId, ProductId, ThingId

VERSION_RESOURCE = "firmware_version"
_PAGE = 1_000
_TAKEN_IN_TOGETHER = 100
_AGAIN_AFTER_S = 5.0
_PUT_OFF_S = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Heard:
    reports: tuple[Report, ...]
    is_proof: bool
    """A write that reports a version does not prove that this one works; the next one does."""


class _Watched:
    __slots__ = ("product_id", "states")

    def __init__(self, product_id: ProductId) -> None:
        self.product_id = product_id
        self.states: dict[FirmwareId, UpdateState] = {}


class Watching:
    """Listens to at most `most` things; the oldest gives way."""

    def __init__(
        self,
        updates: Updates,
        bus: Bus,
        store: UpdateStore,
        clock: Clock,
        *,
        most: int = 50_000,
    ) -> None:
        self._updates = updates
        self._bus = bus
        self._store = store
        self._clock = clock
        self._most = most
        self._watched: dict[ThingId, _Watched] = {}
        # Of each thing what it reported last, and whether it wrote after a report, while nobody
        # had time to take it in.
        self._heard: dict[ThingId, _Heard] = {}
        self._something = asyncio.Event()
        updates.on_change(self._follow)

    def __len__(self) -> int:
        return len(self._watched)

    async def start(self) -> None:
        """Listen to the things whose update is under way by what is stored."""
        after = 0
        while True:
            page = await self._store.under_way(tuple(UNDER_WAY), after=after, limit=_PAGE)
            for update in page:
                self._follow(update)
            if len(page) < _PAGE:
                return
            after = page[-1].action

    async def run(self) -> None:
        """Take in what was heard, until cancelled; the server owns the task."""
        while True:
            if not self._heard:
                await self._something.wait()
            try:
                await self.settle()
                if self._heard:
                    await asyncio.sleep(_PUT_OFF_S)
            except ThingsteadError as error:
                # What was heard is kept.
                _log.warning("what things wrote about their firmware waits: %s", error)
                await asyncio.sleep(_AGAIN_AFTER_S)

    async def settle(self) -> None:
        """Take in all that was heard so far, except of things that report too often just now.

        Raises:
            ThingsteadError: it could not be stored; it will be tried again.
        """
        put_off: dict[ThingId, _Heard] = {}
        while self._heard:
            taken = [
                self._heard.popitem() for _ in range(min(len(self._heard), _TAKEN_IN_TOGETHER))
            ]
            results = await asyncio.gather(
                *(self._take_in(thing_id, heard) for thing_id, heard in taken),
                return_exceptions=True,
            )
            failures: list[BaseException] = []
            for (thing_id, heard), result in zip(taken, results, strict=True):
                if isinstance(result, TooManyRequestsError):
                    # It has to wait, and nobody else.
                    put_off[thing_id] = heard
                    continue
                put_off.pop(thing_id, None)
                if isinstance(result, ThingsteadError):
                    self._heard.setdefault(thing_id, heard)
                if isinstance(result, BaseException):
                    failures.append(result)
            if failures:
                self._heard = put_off | self._heard
                raise failures[0]
        self._something.clear()
        self._heard.update(put_off)

    def close(self) -> None:
        """Listen to nothing any more."""
        for thing_id in self._watched:
            self._bus.unlisten(thing_id, self._hear)
        self._watched.clear()
        self._heard.clear()

    def _follow(self, update: Update) -> None:
        watched = self._watched.get(update.thing_id)
        if update.state in UNDER_WAY:
            if watched is None:
                watched = self._watch(update.thing_id, update.product_id)
            watched.states[update.firmware_id] = update.state
        elif watched is not None:
            watched.states.pop(update.firmware_id, None)
            if not watched.states:
                self._unwatch(update.thing_id)

    def _watch(self, thing_id: ThingId, product_id: ProductId) -> _Watched:
        while len(self._watched) >= self._most:
            self._unwatch(next(iter(self._watched)))
        watched = self._watched[thing_id] = _Watched(product_id)
        self._bus.listen(thing_id, self._hear)
        return watched

    def _unwatch(self, thing_id: ThingId) -> None:
        del self._watched[thing_id]
        self._bus.unlisten(thing_id, self._hear)

    def _hear(self, event: Event) -> None:
        if not isinstance(event, LiveEvent):
            return
        watched = self._watched.get(event.thing_id)
        if watched is None:
            return
        reports: tuple[Report, ...] = ()
        for entry in event.entries:
            if isinstance(entry, StoredValue) and entry.key == VERSION_RESOURCE:
                reports = tuple(_reports(entry.value))
        # Most writes say nothing: a thing that downloads, or restarts, has nothing to prove yet.
        is_proof = UpdateState.REPORTED in watched.states.values()
        if reports or is_proof:
            if not reports and event.thing_id in self._heard:
                reports = self._heard[event.thing_id].reports
            self._heard[event.thing_id] = _Heard(reports, is_proof)
            self._something.set()

    async def _take_in(self, thing_id: ThingId, heard: _Heard) -> None:
        watched = self._watched.get(thing_id)
        if watched is None:
            return
        thing = Thing(thing_id, watched.product_id, 0)
        for report in heard.reports:
            await self._updates.heard(thing, report)
        if heard.is_proof:
            await self._updates.wrote(thing_id)


def _reports(value: object) -> Iterator[Report]:
    if isinstance(value, Mapping):
        for mcu, version in list(value.items())[:MOST_MCUS_OF_A_THING]:
            text = _text(version)
            if text is not None:
                yield Report(str(mcu), text)
        return
    text = _text(value)
    if text is not None:
        yield Report(None, text)


def _text(version: object) -> str | None:
    if isinstance(version, str):
        return version
    is_number = isinstance(version, (int, float)) and not isinstance(version, bool)
    return str(version) if is_number else None
