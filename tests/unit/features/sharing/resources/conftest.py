"""What users do to resources, on memory.

Ada owns things 1 and 2. Bob was granted `get` on thing 1's temperature, `post` on its humidity,
`grant` on its pressure, and `get` on thing 3's description; thing 4 is nobody's.
"""

import pytest

from doubles.callers import Announcements, FoundByToken, a_caller, a_thing, thing_id
from doubles.clock import ManualClock
from doubles.ids import SequentialIds
from doubles.sealing import PlainSeal
from doubles.values import MemoryValueStore
from thingstead.bus.memory import MemoryBus
from thingstead.features.links.model import LinkedThing
from thingstead.features.magic.service import Magic
from thingstead.features.sharing.model import Reach, Rights, SharedThing
from thingstead.features.sharing.reaches import Reaches
from thingstead.features.sharing.resources import UserResources
from thingstead.features.things.service import ThingLimits, Things
from thingstead.features.values.checks import WriteLimits
from thingstead.features.values.model import DocumentChange, NewValue, Write
from thingstead.features.values.service import Values
from thingstead.kernel.budget import Rate
from thingstead.kernel.changes import Changes


def owner_reach(**epochs):
    things = [a_thing(1, epochs.get("one", (0,))), a_thing(2, epochs.get("two", (0,)))]
    return Reach({thing.id: LinkedThing(thing, 0) for thing in things}, {})


def guest_reach():
    rights = {"temperature": Rights.GET, "humidity": Rights.POST, "pressure": Rights.GRANT}
    return Reach(
        {},
        {
            thing_id(1): SharedThing(a_thing(1), rights),
            thing_id(3): SharedThing(a_thing(3), {"description": Rights.GET}),
        },
    )


class MemoryReaches:
    def __init__(self):
        self.of_user = {"ada": owner_reach(), "bob": guest_reach()}

    async def reach(self, user_id):
        return self.of_user.get(user_id, Reach({}, {}))


class Rig:
    """The service with its stores; `wrote` and `describe` stand for devices."""

    def __init__(self):
        self.clock = ManualClock()
        changes = Changes(Announcements(), self.clock)
        self.reaches = MemoryReaches()
        self.store = MemoryValueStore()
        self.bus = MemoryBus()
        rate = Rate(per_second=1, burst=5)
        self.values = Values(
            self.store, self.bus, self.clock, limits=WriteLimits(values=3), rate=rate
        )
        things = Things(
            FoundByToken(1, 2, 3, 4),
            PlainSeal(),
            changes,
            ids=SequentialIds(),
            clock=self.clock,
            limits=ThingLimits(),
        )
        self.resources = UserResources(
            Reaches(self.reaches, changes, shows_all_epochs=False),
            things,
            self.values,
            Magic(self.store, max_document_bytes=100),
            self.store.archive,
            role_entries=8,
            listed_entries=11,
            things_at_once=1,
        )

    async def wrote(self, number, key, value, at_ms=0, epoch=0):
        values = (NewValue(key, value, at_ms),)
        await self.store.append(Write(thing_id(number), values, epochs=(epoch,)))

    async def describe(self, number, description):
        change = DocumentChange("description", (), description, 10_000)
        await self.store.append(Write(thing_id(number), (), (change,)))


@pytest.fixture
def rig():
    return Rig()


@pytest.fixture
def resources(rig):
    return rig.resources


@pytest.fixture
def make_owner_reach():
    return owner_reach


@pytest.fixture
def ada():
    return a_caller("ada")


@pytest.fixture
def bob():
    return a_caller("bob")
