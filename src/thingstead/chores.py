"""What a server does from time to time while it runs; each chore has one task, owned here."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from thingstead.bootstrap import Platform
from thingstead.kernel.ids import ThingId

_log = logging.getLogger(__name__)

_LOOK_FOR_CHANGES_S = 0.25
_RECHECK_S = 60.0
_HOUSEKEEPING_S = 3_600.0
_FORGETTING_S = 600.0
_SEEN_S = 60.0
_EXPIRING_S = 60.0
_CAMPAIGNS_S = 2.0
_TIDYING_S = 21_600.0
_PURGE_LOOK_S = 5.0
_PURGE_PAGE = 100
_EXPIRED_PAGE = 500
# Others wait for each slice: 500 objects of 1 kB take 10 ms.
_OBJECT_SLICE = 500


@asynccontextmanager
async def look_after(platform: Platform) -> AsyncIterator[None]:
    """Do a server's chores while the block runs."""
    flush_sessions = platform.people.sessions.flush_seen
    updates = platform.administration.updates
    await platform.firmware.watching.start()
    chores = (
        _watch_changes(platform),
        _purge_deleted(platform),
        _purge_users(platform),
        _every(_HOUSEKEEPING_S, "retention", lambda: _sweep(platform)),
        _every(_FORGETTING_S, "forgetting what has expired", lambda: _forget_expired(platform)),
        _every(_SEEN_S, "noting the use of sessions", flush_sessions),
        _every(_EXPIRING_S, "ending messaging sessions", platform.kept_sessions.sweep),
        _every(_CAMPAIGNS_S, "looking after campaigns", platform.firmware.engine.tick),
        _every(_SEEN_S, "noting what things run", updates.flush_seen),
        _every(_TIDYING_S, "tidying firmware images", platform.administration.publishing.tidy),
        platform.firmware.watching.run(),
        platform.mail.run(),
        platform.people.errands.run(),
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_at_last, "the last use of sessions", flush_sessions)
        stack.push_async_callback(_at_last, "what things run", updates.flush_seen)
        stack.callback(platform.firmware.watching.close)
        for chore in chores:
            stack.push_async_callback(_ended, asyncio.create_task(chore))
        yield


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _every(seconds: float, what: str, chore: Callable[[], Awaitable[object]]) -> None:
    """Do the chore now and again after each pause; what fails is tried again then."""
    while True:
        try:
            await chore()
        except Exception as error:  # noqa: BLE001  # Supervises the chore: it is tried again.
            _log.warning("%s was interrupted: %s", what, error)
        await asyncio.sleep(seconds)


async def _at_last(what: str, note: Callable[[], Awaitable[object]]) -> None:
    try:
        await note()
    except Exception as error:  # noqa: BLE001  # The rest of the server is to be stopped all the same.
        _log.warning("%s was not noted: %s", what, error)


async def _watch_changes(platform: Platform) -> None:
    """Notice what other processes changed, and that a token or session has expired."""
    rechecked_at = platform.clock.monotonic()
    while True:
        await asyncio.sleep(_LOOK_FOR_CHANGES_S)
        platform.changes.look()
        if platform.clock.monotonic() - rechecked_at >= _RECHECK_S:
            rechecked_at = platform.clock.monotonic()
            platform.live.recheck()


async def _purge_deleted(platform: Platform) -> None:
    """Delete the values of things, and of users' epochs, that were deleted.

    Twice, some seconds apart: a write may have been under way when its thing was deleted.
    """
    purge_list = platform.administration.core.purge_list
    retention = platform.retention
    purged: set[ThingId] = set()
    purged_epochs: set[tuple[ThingId, int]] = set()
    while True:
        await asyncio.sleep(_PURGE_LOOK_S)
        try:
            pending = await purge_list.pending(_PURGE_PAGE)
            for thing_id in pending:
                await retention.purge(thing_id)
                if thing_id in purged:
                    await purge_list.done(thing_id)
            purged = set(pending) - purged
            epochs = await purge_list.pending_epochs(_PURGE_PAGE)
            for thing_id, epoch in epochs:
                await retention.purge_epoch(thing_id, epoch)
                if (thing_id, epoch) in purged_epochs:
                    await purge_list.epoch_done(thing_id, epoch)
            purged_epochs = set(epochs) - purged_epochs
        except Exception as error:  # noqa: BLE001  # Supervises the chore: it is tried again.
            _log.warning("deleted things were not purged: %s", error)


async def _purge_users(platform: Platform) -> None:
    """Delete the objects of users that were deleted, slice by slice.

    Once is enough: nobody stores an object for a user who is not there.
    """
    purge_list = platform.administration.core.purge_list
    while True:
        await asyncio.sleep(_PURGE_LOOK_S)
        try:
            for user_id in await purge_list.pending_users(_PURGE_PAGE):
                while await purge_list.delete_objects(user_id, limit=_OBJECT_SLICE):
                    pass
                await purge_list.user_done(user_id)
        except Exception as error:  # noqa: BLE001  # Supervises the chore: it is tried again.
            _log.warning("deleted users' objects were not purged: %s", error)


async def _sweep(platform: Platform) -> None:
    """Delete what is older than the retention."""
    swept = await platform.retention.sweep()
    if swept.deleted_values:
        _log.info("retention deleted %d values", swept.deleted_values)


async def _forget_expired(platform: Platform) -> None:
    """Forget sessions, mail links, link ids and letters whose time is over."""
    core = platform.administration.core
    at_ms = platform.clock.now_ms()
    while await core.sessions.delete_expired(at_ms=at_ms, limit=_EXPIRED_PAGE) == _EXPIRED_PAGE:
        pass
    await platform.administration.links.forget_expired()
    await platform.mail.forget_old()
