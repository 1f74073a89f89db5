"""The service of kept sessions on stores in memory, which fail or wait when they are told to."""

import asyncio

from doubles.clock import ManualClock
from doubles.ids import SequentialIds
from doubles.kept_sessions import (
    KeptClients,
    MemoryDeliveries,
    MemoryKeptSessionStore,
    MemoryWaitingMessageStore,
)
from doubles.organisation import Organisation
from thingstead.features.kept_sessions.model import (
    Holder,
    HolderKind,
    KeptSessionLimits,
    KeptSubscription,
    WaitingMessage,
)
from thingstead.features.kept_sessions.service import KeptSessions
from thingstead.features.things.model import Thing
from thingstead.kernel.errors import StoreUnavailableError
from thingstead.kernel.ids import ProductId, ThingId

LIMITS = KeptSessionLimits(messages=5, longest_s=3_600)
ONE = Holder(HolderKind.THING, "one")
VALUES = KeptSubscription("v2/things/TOKEN", 1, 7)
COMMANDS = KeptSubscription("v2/things/TOKEN/cmd", 1)
ALERTS = KeptSubscription("v2/things/TOKEN/alert", 1)


class Faults:
    """What the stores do before they work: fail, or wait for a gate."""

    def __init__(self):
        self.failing = 0
        self.fails_at = frozenset()
        self.gate = None
        self.entered = asyncio.Event()
        self.writes = 0

    async def meet(self):
        self.writes += 1
        number = self.writes
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failing:
            self.failing -= 1
            raise StoreUnavailableError("the disk is asleep")
        if number in self.fails_at:
            raise StoreUnavailableError("the disk is asleep")


class SessionStore(MemoryKeptSessionStore):
    def __init__(self, kept, limits, faults):
        super().__init__(kept, limits)
        self._faults = faults

    async def put(self, session):
        await self._faults.meet()
        await super().put(session)

    async def mark(self, sessions):
        await self._faults.meet()
        await super().mark(sessions)

    async def delete(self, session_id):
        await self._faults.meet()
        await super().delete(session_id)


class MessageStore(MemoryWaitingMessageStore):
    def __init__(self, kept, limits, faults):
        super().__init__(kept, limits)
        self._faults = faults
        self.reading = None
        self.is_read = asyncio.Event()

    async def add_messages(self, messages, *, at_ms):
        await self._faults.meet()
        return await super().add_messages(messages, at_ms=at_ms)

    async def messages(self, session_id, *, after, limit):
        found = await super().messages(session_id, after=after, limit=limit)
        self.is_read.set()
        if self.reading is not None:
            await self.reading.wait()
        return found


class Rig:
    """The service on stores in memory that know the thing `one`."""

    def __init__(self):
        self.organisation = Organisation()
        self.organisation.things[ThingId("one")] = Thing(ThingId("one"), ProductId(1), 1)
        self.kept = KeptClients(self.organisation)
        self.clock = ManualClock()
        self.ids = SequentialIds()
        self.faults = Faults()
        self.deliveries = MemoryDeliveries()
        self.store = SessionStore(self.kept, LIMITS, self.faults)
        self.messages = MessageStore(self.kept, LIMITS, self.faults)
        self.service = self.started_again()

    def started_again(self):
        """Another service on the same stores, as after a restart."""
        return KeptSessions(
            self.store,
            self.messages,
            self.deliveries,
            ids=self.ids,
            clock=self.clock,
            limits=LIMITS,
        )

    async def open(self, *, client_id="sensor", is_clean=False, expires_after_s=60):
        return await self.service.open(
            ONE, client_id, is_clean=is_clean, expires_after_s=expires_after_s
        )

    async def connected(self, *subscriptions, client_id="sensor"):
        """A new session with the subscriptions, whose client is connected."""
        session, _ = await self.open(client_id=client_id)
        await self.service.subscribe(session, *subscriptions)
        return session

    async def asleep(self, *subscriptions, client_id="sensor"):
        """A session whose client is away and wants all of them to wait."""
        session = await self.connected(*subscriptions, client_id=client_id)
        await self.leave(session, *subscriptions)
        return session

    async def leave(self, session, *subscriptions, **options):
        await self.service.leave(session.id, (), by_thing={"one": subscriptions}, **options)

    def stored(self, session):
        return self.kept.sessions.get(session.id)

    async def payloads(self, session):
        return [one.payload for one in await self.service.waiting(session.id)]


def relayed(session, *payloads):
    return [(session.id, WaitingMessage("cmd", payload)) for payload in payloads]
