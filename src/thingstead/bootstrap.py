"""The composition root: settings become adapters, adapters become services.

The only place that knows both what a feature needs and which technology provides it. Nothing
is opened by importing; `open_platform` opens, and closes in reverse order.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from thingstead.bus.memory import MemoryBus
from thingstead.features.live.service import Live, LiveLimits
from thingstead.features.magic.service import Magic
from thingstead.features.products.service import Products
from thingstead.features.tags.service import Tags
from thingstead.features.things.service import ThingLimits, Things
from thingstead.features.values.checks import WriteLimits
from thingstead.features.values.retention import Retention
from thingstead.features.values.service import Values
from thingstead.kernel.budget import Rate
from thingstead.kernel.clock import Clock, SystemClock
from thingstead.kernel.ids import SystemIdSource, ThingId
from thingstead.sealing.aesgcm import AESGCMSeal, load_or_create_key
from thingstead.settings import LimitSettings, Settings
from thingstead.storage.sqlite.core import CoreDatabase, open_core
from thingstead.storage.sqlite.value_store import SQLiteValueStore, ValueStoreLimits

_log = logging.getLogger(__name__)

_LOOK_FOR_CHANGES_S = 0.25
_RECHECK_S = 60.0
_HOUSEKEEPING_S = 3_600.0
_PURGE_LOOK_S = 5.0
_PURGE_PAGE = 100


@dataclass(frozen=True, slots=True)
class Administration:
    """What the command line works with: everything but values and live updates."""

    products: Products
    things: Things
    core: CoreDatabase
    clock: Clock


@dataclass(frozen=True, slots=True)
class Platform:
    """Every service of a running server."""

    administration: Administration
    values: Values
    magic: Magic
    tags: Tags
    live: Live
    retention: Retention
    store: SQLiteValueStore

    @property
    def things(self) -> Things:
        """The things service."""
        return self.administration.things

    @property
    def products(self) -> Products:
        """The products service."""
        return self.administration.products

    @property
    def clock(self) -> Clock:
        """The clock that all services share."""
        return self.administration.clock


@asynccontextmanager
async def open_administration(settings: Settings) -> AsyncIterator[Administration]:
    """Open what the command line needs; makes the data folder when it is missing."""
    folder = settings.data_folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seal = AESGCMSeal(load_or_create_key(folder / "secret.key"))
    clock = SystemClock()
    ids = SystemIdSource()
    core = await open_core(folder / "core.db")
    try:
        things = Things(
            core.things,
            seal,
            core.change_signal,
            ids=ids,
            clock=clock,
            limits=_thing_limits(settings.limits),
        )
        yield Administration(Products(core.products, seal, ids, clock), things, core, clock)
    finally:
        await core.close()


@asynccontextmanager
async def open_platform(settings: Settings) -> AsyncIterator[Platform]:
    """Open everything; what needs doing from time to time is `look_after`'s part."""
    limits = settings.limits
    async with AsyncExitStack() as stack:
        administration = await stack.enter_async_context(open_administration(settings))
        store = await SQLiteValueStore.open(
            settings.data_folder / "values.db",
            ValueStoreLimits(
                waiting_values=limits.waiting_values,
                keys_per_thing=limits.keys_per_thing,
                kept_bytes=limits.kept_bytes,
            ),
        )
        stack.push_async_callback(store.close)
        bus = MemoryBus()
        clock = administration.clock
        live = Live(bus, _live_limits(limits))
        administration.things.on_change(live.recheck)
        platform = Platform(
            administration,
            Values(
                store,
                bus,
                clock,
                limits=_write_limits(settings),
                rate=Rate(limits.writes_per_second, limits.write_burst),
            ),
            Magic(store, max_document_bytes=limits.document_bytes),
            Tags(administration.core.tags, clock, max_tags=limits.tags_per_thing),
            live,
            Retention(store, clock, max_age_days=settings.retention_days),
            store,
        )
        yield platform


@asynccontextmanager
async def look_after(platform: Platform) -> AsyncIterator[None]:
    """Do a server's chores while the block runs: retention, purging, noticing changes."""
    async with AsyncExitStack() as stack:
        for chore in (_watch_changes(platform), _purge_deleted(platform), _sweep(platform)):
            stack.push_async_callback(_ended, asyncio.create_task(chore))
        yield


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _watch_changes(platform: Platform) -> None:
    """Notice for open streams what the command line changes, and that a token has expired."""
    rechecked_at = platform.clock.monotonic()
    while True:
        await asyncio.sleep(_LOOK_FOR_CHANGES_S)
        if len(platform.live) > 0:
            platform.things.look_for_changes()
            if platform.clock.monotonic() - rechecked_at >= _RECHECK_S:
                rechecked_at = platform.clock.monotonic()
                platform.live.recheck()


async def _purge_deleted(platform: Platform) -> None:
    """Delete the values of things that were deleted, here or by the command line.

    Twice, some seconds apart: a write may have been under way when its thing was deleted.
    """
    purge_list = platform.administration.core.purge_list
    purged: set[ThingId] = set()
    while True:
        await asyncio.sleep(_PURGE_LOOK_S)
        try:
            pending = await purge_list.pending(_PURGE_PAGE)
            for thing_id in pending:
                await platform.retention.purge(thing_id)
                if thing_id in purged:
                    await purge_list.done(thing_id)
            purged = set(pending) - purged
        except Exception as error:  # noqa: BLE001  # Supervises the chore: it is tried again.
            _log.warning("deleted things were not purged: %s", error)


async def _sweep(platform: Platform) -> None:
    """Delete what is older than the retention, at the start and once an hour."""
    while True:
        try:
            swept = await platform.retention.sweep()
            if swept.deleted_values:
                _log.info("retention deleted %d values", swept.deleted_values)
        except Exception as error:  # noqa: BLE001  # Supervises the chore: it is tried again.
            _log.warning("retention was interrupted: %s", error)
        await asyncio.sleep(_HOUSEKEEPING_S)


def _thing_limits(limits: LimitSettings) -> ThingLimits:
    return ThingLimits(
        bad_tokens=Rate(limits.bad_tokens_per_minute / 60, limits.bad_tokens_per_minute),
        bad_codes=Rate(limits.bad_codes_per_minute / 60, limits.bad_codes_per_minute),
    )


def _live_limits(limits: LimitSettings) -> LiveLimits:
    return LiveLimits(
        streams_per_thing=limits.streams_per_thing,
        streams=limits.streams,
        queued_events=limits.stream_queue_events,
        queued_bytes=limits.stream_queue_bytes,
    )


def _write_limits(settings: Settings) -> WriteLimits:
    limits = settings.limits
    past_days = limits.past_days
    if settings.retention_days > 0:
        # What retention would delete within the hour is not acknowledged first.
        past_days = min(past_days, settings.retention_days)
    return WriteLimits(
        values=limits.values_per_write,
        value_bytes=limits.value_bytes,
        document_bytes=limits.document_bytes,
        past_days=past_days,
        future_hours=limits.future_hours,
    )
