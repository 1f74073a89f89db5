"""The service of links on memory, in which things 1 to 9 exist and nobody owns one."""

import pytest

from doubles.callers import Announcements, FoundByToken, a_thing, thing_id
from doubles.clock import ManualClock
from doubles.ids import SequentialIds
from doubles.sealing import PlainSeal
from thingstead.features.links.model import ByLinkId, LinkedThing, LinkIdResult, LinkOutcome
from thingstead.features.links.service import LinkLimits, Links
from thingstead.features.things.service import ThingLimits, Things
from thingstead.kernel.budget import Rate
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.errors import StoreUnavailableError
from thingstead.kernel.ids import ProductId

LIMITS = LinkLimits(
    things_per_user=2,
    failed_tries=Rate(per_second=3 / 3_600, burst=3),
    pending_link_ids=2,
    unlinks_of_thing=Rate(per_second=4 / 3_600, burst=4),
)


class MemoryLinks:
    """Owners of things, and link ids of one product that takes those of `link_app`."""

    def __init__(self, announcements):
        self._announcements = announcements
        self.things = {thing_id(number) for number in range(1, 10)}
        self.owners = {}
        self.last_owners = {}
        self.link_app = None
        self.claims = {}
        self.offers = {}
        self.is_out_of_order = False

    async def link(self, user_id, thing_id, *, at_ms, max_things):
        if self.is_out_of_order:
            raise StoreUnavailableError
        if self.owners.get(thing_id) == user_id:
            return LinkOutcome.ALREADY_THEIRS
        if thing_id not in self.things or thing_id in self.owners:
            return LinkOutcome.NOT_FREE
        if list(self.owners.values()).count(user_id) >= max_things:
            return LinkOutcome.TOO_MANY
        self.owners[thing_id] = self.last_owners[thing_id] = user_id
        self._announce(user_id, thing_id)
        return LinkOutcome.LINKED

    async def last_owner(self, thing_id):
        return self.last_owners.get(thing_id)

    async def unlink(self, user_id, thing_id, *, at_ms):
        if self.owners.get(thing_id) != user_id:
            return False
        del self.owners[thing_id]
        self._announce(user_id, thing_id)
        return True

    async def linked(self, user_id):
        return [
            LinkedThing(a_thing(number), 0)
            for number in range(1, 10)
            if self.owners.get(thing_id(number)) == user_id
        ]

    async def delete_linked(self, user_id, thing_id, *, at_ms):
        self.things.discard(thing_id)
        return await self.unlink(user_id, thing_id, at_ms=at_ms)

    async def claim(
        self, user_id, app_id, link_id, *, at_ms, expires_at_ms, max_pending, max_things
    ):
        mine = [one for one, (user, _) in self.claims.items() if user == user_id]
        if link_id not in mine and len(mine) >= max_pending:
            return LinkIdResult(ByLinkId.TOO_MANY)
        self.claims[link_id] = (user_id, expires_at_ms)
        return await self._met(link_id, at_ms, max_things)

    async def offer(self, thing_id, link_id, *, at_ms, expires_at_ms, max_things):
        if self.link_app is None:
            return LinkIdResult(ByLinkId.NOT_ALLOWED)
        self.offers[link_id] = (thing_id, expires_at_ms)
        return await self._met(link_id, at_ms, max_things)

    async def set_link_app(self, product_id, app_id):
        if product_id != ProductId(1):
            return False
        self.link_app = app_id
        return True

    async def delete_expired_link_ids(self, *, at_ms, limit):
        expired = [
            link_id for link_id, (_, expires_at_ms) in self.claims.items() if expires_at_ms <= at_ms
        ]
        for link_id in expired[:limit]:
            del self.claims[link_id]
        return len(expired[:limit])

    async def _met(self, link_id, at_ms, max_things):
        if link_id not in self.claims or link_id not in self.offers:
            return LinkIdResult(ByLinkId.WAITING)
        user_id, thing_id = self.claims[link_id][0], self.offers[link_id][0]
        linked = await self.link(user_id, thing_id, at_ms=at_ms, max_things=max_things)
        if linked is LinkOutcome.TOO_MANY:
            return LinkIdResult(ByLinkId.TOO_MANY_THINGS)
        del self.claims[link_id], self.offers[link_id]
        return LinkIdResult(ByLinkId.LINKED, thing_id)

    def _announce(self, user_id, thing_id):
        self._announcements.announce(Kind.USER, user_id)
        self._announcements.announce(Kind.THING, thing_id)


class Rig:
    """The service, its store, and what the process was told."""

    def __init__(self):
        self.clock = ManualClock()
        announcements = Announcements()
        self.store = MemoryLinks(announcements)
        self.changes = Changes(announcements, self.clock)
        self.told = []
        self.changes.listen(Kind.USER, self.told.append)
        self.changes.listen(Kind.THING, self.told.append)
        things = Things(
            FoundByToken(*range(1, 10)),
            PlainSeal(),
            self.changes,
            ids=SequentialIds(),
            clock=self.clock,
            limits=ThingLimits(),
        )
        self.links = Links(
            self.store, self.store, things, self.changes, clock=self.clock, limits=LIMITS
        )


@pytest.fixture
def rig():
    return Rig()


@pytest.fixture
def links(rig):
    return rig.links
