"""The rules of sessions that outlive their connection.

A session belongs to whose credential its client shows and to the client id, so nobody comes
into another's session by taking its client id (`security.md` 7). One that lasts no longer than
its connection is never stored. Everything else is durable before its call returns.

What a session missed is of two kinds. Values are given again from where its subscriptions came
to. What is relayed without being stored waits in the session itself: `relayed.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from weakref import WeakValueDictionary

from thingstead.features.kept_sessions.away import ByThing
from thingstead.features.kept_sessions.batches import Batches
from thingstead.features.kept_sessions.model import (
    Holder,
    KeptSession,
    KeptSessionLimits,
    KeptSubscription,
    WaitingMessage,
)
from thingstead.features.kept_sessions.ports import KeptSessionStore, WaitingMessageStore
from thingstead.features.kept_sessions.relayed import Relayed
from thingstead.features.values.ports import Deliveries
from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import IdSource

ThingOf = Callable[[KeptSubscription], Awaitable[str | None]]
"""Returns the thing whose relayed messages the subscription wants to wait for its client.

Its id, or None for no thing. Raises nothing about a filter: what it names may be gone.
"""
Left = Callable[[], Sequence[WaitingMessage]]
"""Stops listening, and returns relayed messages that the client did not get, in order.

Not called when the session ends.
"""

_PAGE = 500
_GONE_PAGE = 100
_MOST_MARKS = 100_000


class KeptSessions:
    """Opens, keeps and ends sessions, and holds what is relayed for clients that are away."""

    def __init__(
        self,
        store: KeptSessionStore,
        messages: WaitingMessageStore,
        deliveries: Deliveries,
        *,
        ids: IdSource,
        clock: Clock,
        limits: KeptSessionLimits,
    ) -> None:
        self._store = store
        self._deliveries = deliveries
        self._ids = ids
        self._clock = clock
        self._limits = limits
        self._relayed = Relayed(messages, clock)
        self._connected: dict[str, KeptSession] = {}
        # Nobody is connected to these any more, which the store may not know; `sweep` tells it.
        self._unnoted: dict[str, KeptSession] = {}
        self._turns: WeakValueDictionary[object, asyncio.Lock] = WeakValueDictionary()
        self._marks: Batches[KeptSession] = Batches(store.mark, lambda _: 1, most=_MOST_MARKS)

    async def load(self, thing_of: ThingOf) -> None:
        """Learn who is away; before anybody connects. What a former process left is away now."""
        after = ""
        now_ms = self._clock.now_ms()
        while page := await self._store.away(at_ms=now_ms, after=after, limit=_PAGE):
            for session in page:
                by_thing: dict[str, list[KeptSubscription]] = {}
                for subscription in session.subscriptions:
                    thing_id = await thing_of(subscription)
                    if thing_id is not None:
                        by_thing.setdefault(thing_id, []).append(subscription)
                self._relayed.put(session.id, by_thing)
            after = page[-1].id

    async def open(
        self, holder: Holder, client_id: str, *, is_clean: bool, expires_after_s: int
    ) -> tuple[KeptSession, bool]:
        """Return the client's session, and whether it is one that was kept.

        A clean one is new, and what was kept goes. An earlier connection of the client must have
        left before. `expires_after_s` is how long the session is to outlast the connection; the
        session says how long it will. One with 0 is not kept, and may carry no `Delivery`.
        """
        lasts_s = min(expires_after_s, self._limits.longest_s)
        async with self._turn((holder, client_id)):
            kept = await self._found(holder, client_id)
            if kept is not None and not is_clean:
                return await self._resume(kept, lasts_s), True
            session = KeptSession(self._ids.short_id(), holder, client_id, lasts_s)
            await self._begin(session, kept)
            return session, False

    async def subscribe(self, session: KeptSession, *subscriptions: KeptSubscription) -> None:
        """Keep the subscriptions, each in the place of one with the same filter."""
        await self._change(session.id, lambda kept: _with(kept, subscriptions))

    async def unsubscribe(self, session: KeptSession, *filters: str) -> None:
        """Forget the subscriptions with these filters; those that are none change nothing."""
        await self._change(session.id, lambda kept: _without(kept, filters))

    async def note(self, session_id: str, subscriptions: Sequence[KeptSubscription]) -> None:
        """Note how far subscriptions came."""
        await self.note_many({session_id: subscriptions})

    async def note_many(self, progress: Mapping[str, Sequence[KeptSubscription]]) -> None:
        """Note how far subscriptions of several sessions came, by session id.

        Sessions that are not connected, or not kept, and unknown filters are passed over.
        """
        noted = []
        for session_id, subscriptions in progress.items():
            session = self._connected.get(session_id)
            if session is not None:
                self._connected[session_id] = session = _noted(session, subscriptions)
                noted.append(session)
        if noted:
            await self._marks.add(noted)

    async def leave(
        self,
        session_id: str,
        subscriptions: Sequence[KeptSubscription],
        *,
        by_thing: ByThing | None,
        left: Left = tuple,
        expires_after_s: int | None = None,
    ) -> None:
        """Count the client as away, its subscriptions having come so far, or end the session.

        `by_thing` are those of its subscriptions that want relayed messages, by thing. From the
        moment in which `left` is called such messages wait here, behind those that it returns.
        None: the client could not take its subscriptions up, and is away as before.
        `expires_after_s` is how long the session is to last from now on, if that changes; it ends
        when that is 0. Of a session that is not connected, or not kept, nothing happens. When this
        fails, the session is left all the same, and the store learns of it later.
        """
        async with self._turn_of(session_id):
            session = self._connected.pop(session_id, None)
            if session is None:
                return
            lasts_s = session.expires_after_s
            if expires_after_s is not None and lasts_s > 0:
                lasts_s = min(expires_after_s, self._limits.longest_s)
            session = replace(
                _noted(session, subscriptions),
                expires_after_s=lasts_s,
                expires_at_ms=self._clock.now_ms() + lasts_s * 1_000,
            )
            self._unnoted[session_id] = session
            if lasts_s > 0:
                if by_thing is not None:
                    self._relayed.put(session_id, by_thing)
                # Before anything else waits for a turn, so that nothing overtakes these.
                await self._relayed.keep([(session_id, message) for message in left()])
                await self._marks.add([session])
            else:
                self._relayed.drop(session_id)
                await self._store.delete(session_id)
            self._unnoted.pop(session_id, None)

    async def end(self, session_id: str) -> None:
        """End the session with all that waits in it; twice is the same as once."""
        async with self._turn_of(session_id):
            self._forget(session_id)
            await self._store.delete(session_id)

    def away_for(self, thing_id: str) -> list[tuple[str, KeptSubscription]]:
        """Return which sessions want what is relayed about the thing while they are away.

        One entry a subscription; whether its filter fits a topic is the caller's to say. Never
        waits, and costs a look-up.
        """
        return self._relayed.away_for(thing_id)

    async def keep(self, messages: Sequence[tuple[str, WaitingMessage]]) -> None:
        """Let messages wait, by session id, in the order of the calls; durable on return.

        Raises:
            OverloadedError: too much waits to be stored; nothing was.
        """
        await self._relayed.keep(messages)

    async def waiting(
        self, session_id: str, after: int = 0, limit: int = 100
    ) -> list[WaitingMessage]:
        """Return what waits in the session behind a number, ascending, at most `limit`.

        When there is nothing, and only then, the session ceases to be away: from this moment on
        its client must be listening, without any waiting in between.
        """
        return await self._relayed.waiting(session_id, after, limit)

    async def delivered(self, session_id: str, up_to: int) -> None:
        """Forget the messages up to that number, which the client has."""
        await self._relayed.delivered(session_id, up_to)

    async def sweep(self) -> None:
        """Delete expired sessions, and what is remembered of all that were deleted."""
        left = [one for one in self._unnoted.values() if one.id not in self._connected]
        if left:
            await self._marks.add(left)
            for session in left:
                if self._unnoted.get(session.id) is session:
                    del self._unnoted[session.id]
        while True:
            gone = await self._store.gone(at_ms=self._clock.now_ms(), limit=_GONE_PAGE)
            for session_id in gone:
                self._relayed.drop(session_id)
            await asyncio.gather(*map(self._deliveries.forget, gone))
            if gone:
                await self._store.cross_off(gone)
            if len(gone) < _GONE_PAGE:
                return

    async def _found(self, holder: Holder, client_id: str) -> KeptSession | None:
        now_ms = self._clock.now_ms()
        kept = await self._store.find(holder, client_id, at_ms=now_ms)
        if kept is None:
            return None
        # What the store has not noted yet is newer than what it has.
        kept = self._unnoted.get(kept.id, kept)
        is_over = kept.expires_at_ms is not None and kept.expires_at_ms <= now_ms
        return None if is_over else kept

    async def _resume(self, kept: KeptSession, lasts_s: int) -> KeptSession:
        session = replace(kept, expires_after_s=lasts_s, expires_at_ms=None)
        with self._connecting(session, otherwise=kept):
            await self._marks.add([session])
        return session

    async def _begin(self, session: KeptSession, former: KeptSession | None) -> None:
        if session.expires_after_s > 0:
            with self._connecting(session, otherwise=replace(session, expires_after_s=0)):
                await self._store.put(session)
        elif former is not None:
            await self._store.delete(former.id)
        if former is not None:
            self._forget(former.id)

    @contextmanager
    def _connecting(self, session: KeptSession, *, otherwise: KeptSession) -> Iterator[None]:
        """Count the session as connected, unless the block raises: then it expires otherwise."""
        expires_at_ms = otherwise.expires_at_ms
        if expires_at_ms is None:
            expires_at_ms = self._clock.now_ms() + otherwise.expires_after_s * 1_000
        self._connected[session.id] = session
        self._unnoted[session.id] = replace(otherwise, expires_at_ms=expires_at_ms)
        try:
            yield
        except BaseException:
            del self._connected[session.id]
            raise
        self._unnoted.pop(session.id, None)

    async def _change(self, session_id: str, change: Callable[[KeptSession], KeptSession]) -> None:
        async with self._turn_of(session_id):
            session = self._connected.get(session_id)
            if session is None:
                return
            await self._store.put(change(session))
            # How far the others came may have been noted meanwhile.
            self._connected[session_id] = change(self._connected[session_id])

    def _forget(self, session_id: str) -> None:
        self._connected.pop(session_id, None)
        self._unnoted.pop(session_id, None)
        self._relayed.drop(session_id)

    def _turn_of(self, session_id: str) -> AbstractAsyncContextManager[None]:
        session = self._connected.get(session_id)
        return self._turn(session_id if session is None else (session.holder, session.client_id))

    def _turn(self, key: object) -> AbstractAsyncContextManager[None]:
        """Give each client's calls their turn; the lock goes with the last who holds it."""
        return self._turns.setdefault(key, asyncio.Lock())


def _with(session: KeptSession, subscriptions: Iterable[KeptSubscription]) -> KeptSession:
    by_filter = {one.filter: one for one in (*session.subscriptions, *subscriptions)}
    return replace(session, subscriptions=tuple(by_filter.values()))


def _without(session: KeptSession, filters: Iterable[str]) -> KeptSession:
    gone = frozenset(filters)
    left = tuple(one for one in session.subscriptions if one.filter not in gone)
    return replace(session, subscriptions=left)


def _noted(session: KeptSession, subscriptions: Iterable[KeptSubscription]) -> KeptSession:
    came_to = {one.filter: one.after for one in subscriptions}
    return replace(
        session,
        subscriptions=tuple(
            replace(one, after=came_to.get(one.filter, one.after)) for one in session.subscriptions
        ),
    )
