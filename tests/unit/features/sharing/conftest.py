"""The services of sharing on memory: Ada owns things 1 and 2, Bob holds some rights of thing 1."""

import asyncio
from dataclasses import replace

import pytest

from doubles.callers import Announcements, a_thing, thing_id
from doubles.clock import ManualClock
from doubles.ids import SequentialIds
from doubles.sealing import PlainSeal
from doubles.values import MemoryValueStore
from thingstead.features.links.model import LinkedThing
from thingstead.features.mail.sealing import open_letter
from thingstead.features.sharing.model import Entry, GrantOutcome, Reach, Rights, SharedThing
from thingstead.features.sharing.reaches import Reaches
from thingstead.features.sharing.service import Sharing, SharingLimits
from thingstead.features.values.model import DocumentChange, Write
from thingstead.kernel.budget import Rate
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.guesses import Guesses

LIMITS = SharingLimits(
    entries=3,
    grants_per_user=4,
    entries_per_user=6,
    mails=Rate(per_second=3 / 3_600, burst=3),
    mails_to_address=Rate(per_second=2 / 86_400, burst=2),
)


class MemoryReaches:
    """Knows reaches by user; `before_answer` runs between reading one and returning it."""

    def __init__(self):
        self.of_user = {}
        self.asked = []
        self.before_answer = None

    async def reach(self, user_id):
        self.asked.append(user_id)
        reach = self.of_user.get(user_id, Reach({}, {}))
        # So that look-ups that begin together are on their way together.
        await asyncio.sleep(0)
        if self.before_answer is not None:
            self.before_answer()
        return reach


class MemoryGrants:
    """Keeps grants with the digests of their links; an address is its user's name."""

    def __init__(self, announcements):
        self._announcements = announcements
        self.grants = {}
        self.links = {}
        self.letters = []
        self.accept_attempts = 0
        self.somebody_is_faster = False
        self.leaves_out = Rights.NONE

    async def add_grant(self, grant, link_digest, letter, *, max_grants, max_entries):
        given = [one for one in self.grants.values() if one.giver_id == grant.giver_id]
        if len(given) >= max_grants:
            return GrantOutcome.TOO_MANY_GRANTS
        if sum(len(one.entries) for one in (grant, *given)) > max_entries:
            return GrantOutcome.TOO_MANY_ENTRIES
        entries = tuple(
            replace(one, rights=rights)
            for one in grant.entries
            if (rights := one.rights & ~self.leaves_out)
        )
        if not entries:
            return GrantOutcome.ADDED
        self.grants[grant.id] = replace(grant, entries=entries)
        self.links[link_digest] = grant.id
        self.letters.append(letter)
        return GrantOutcome.ADDED

    async def given(self, user_id, *, at_ms, email=None):
        return [
            one
            for one in self._living(at_ms)
            if one.giver_id == user_id and email in (None, one.email)
        ]

    async def received(self, user_id, *, at_ms):
        return [one for one in self._living(at_ms) if one.email == f"{user_id}@example.org"]

    async def grant_of_link(self, digest, *, at_ms):
        grant = self.grants.get(self.links.get(digest))
        return grant if grant in self._living(at_ms) else None

    async def accept_by_link(self, digest, *, at_ms):
        self.accept_attempts += 1
        grant = await self.grant_of_link(digest, at_ms=at_ms)
        if grant is None:
            return None
        del self.links[digest]
        return self._accepted(grant, at_ms)

    async def accept(self, user_id, grant_id, *, at_ms):
        waiting = {one.id: one for one in await self.received(user_id, at_ms=at_ms)}
        if grant_id not in waiting or waiting[grant_id].accepted_at_ms is not None:
            return False
        self._accepted(waiting[grant_id], at_ms)
        return True

    async def revoke(self, user_id, grant_id, entries=None):
        if self.somebody_is_faster:
            self.grants.pop(grant_id)
        grant = self.grants.get(grant_id)
        if grant is None or user_id not in (grant.giver_id, grant.email.split("@")[0]):
            return False
        self._announce(grant)
        taken = {(one.thing_id, one.resource): one.rights for one in entries or ()}
        left = tuple(
            Entry(one.thing_id, one.resource, rights)
            for one in grant.entries
            if (rights := one.rights & ~taken.get((one.thing_id, one.resource), Rights.NONE))
        )
        if entries is None or not left:
            del self.grants[grant_id]
        else:
            self.grants[grant_id] = replace(grant, entries=left)
        return True

    def _living(self, at_ms):
        return [
            one
            for one in reversed(self.grants.values())
            if one.accepted_at_ms is not None or one.expires_at_ms > at_ms
        ]

    def _accepted(self, grant, at_ms):
        accepted = self.grants[grant.id] = replace(grant, accepted_at_ms=at_ms)
        self._announce(grant)
        return accepted

    def _announce(self, grant):
        self._announcements.announce(Kind.USER, grant.email.split("@")[0])


def owned(*numbers, epochs=(0,)):
    return {thing_id(number): LinkedThing(a_thing(number, epochs), 0) for number in numbers}


def shared(number, **rights):
    return {thing_id(number): SharedThing(a_thing(number), rights)}


class Rig:
    """The services, their stores, and what the process was told."""

    def __init__(self):
        self.clock = ManualClock()
        self.announcements = Announcements()
        self.changes = Changes(self.announcements, self.clock)
        self.reach_store = MemoryReaches()
        self.reach_store.of_user = {
            "ada": Reach(owned(1, 2), {}),
            "bob": Reach(
                {},
                shared(
                    1,
                    temperature=Rights.GET | Rights.GRANT,
                    humidity=Rights.GET,
                    description=Rights.POST,
                ),
            ),
        }
        self.reaches = self.make_reaches()
        self.told = []
        self.changes.listen(Kind.USER, self.told.append)
        self.store = MemoryGrants(self.announcements)
        self.values = MemoryValueStore()
        self.seal = PlainSeal()
        self.sharing = Sharing(
            self.store,
            self.reaches,
            self.changes,
            archive=self.values.archive,
            clock=self.clock,
            ids=SequentialIds(),
            seal=self.seal,
            limits=LIMITS,
            guesses=Guesses("links", self.clock, bad=Rate(1, 2), spare=Rate(1, 1)),
        )

    def make_reaches(self, **options):
        options = {"shows_all_epochs": False, **options}
        return Reaches(self.reach_store, self.changes, **options)

    async def describe(self, number, description):
        change = DocumentChange("description", (), description, 10_000)
        await self.values.append(Write(thing_id(number), (), (change,)))

    def letters(self):
        return [open_letter(letter, self.seal) for letter in self.store.letters]


@pytest.fixture
def rig():
    return Rig()


@pytest.fixture
def sharing(rig):
    return rig.sharing


@pytest.fixture
def reaches(rig):
    return rig.reaches


@pytest.fixture
def make_owned():
    return owned
