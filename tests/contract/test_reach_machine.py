"""Links, grants and users in any order: who may read what is always what a plain model says.

The model knows no epochs, addresses or rows: only who owns a thing, and grants with the rights
that they were given. What a user holds is looked for anew from the owner each time.
"""

import asyncio
import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from contract.conftest import Maker
from doubles.core import MemoryCore
from thingstead.features.links.model import LinkOutcome
from thingstead.features.sharing.model import Entry, Grant, Rights
from thingstead.features.users.model import LinkPurpose, MailLink
from thingstead.kernel.ids import AppId, GrantId, ThingId, UserId, digest
from thingstead.storage.sqlite.core import open_core

NAMES = ("ada", "bob", "eve")
THINGS = ("one", "two")
USERS = st.sampled_from(NAMES)
THING = st.sampled_from(THINGS)
RIGHTS = st.sampled_from(
    [Rights.GET, Rights.GET | Rights.GRANT, Rights.POST | Rights.GRANT, Rights.GRANT, Rights.ALL]
)
EACH = (Rights.GET, Rights.POST, Rights.PUT, Rights.GRANT)


class Given:
    """A grant of the model: on one thing, one resource."""

    def __init__(self, giver, receiver, thing, rights):
        self.giver, self.receiver, self.thing, self.rights = giver, receiver, thing, rights
        self.is_accepted = False


class ReachMachine(RuleBasedStateMachine):
    """Does the same to a store and to the model."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.core = self.run(self.open())
        self.make = Maker(self.core)
        self.count = itertools.count(1)
        self.owner = {}
        self.grants = {}
        self.confirmed = {}

    def run(self, call):
        return self.loop.run_until_complete(call)

    async def open(self):
        return MemoryCore()

    def teardown(self):
        self.run(self.core.close())
        self.loop.close()

    @initialize()
    def begin(self):
        for name in NAMES:
            self.run(self.make.user(name, is_confirmed=name != "eve"))
            self.confirmed[name] = name != "eve"
        for thing in THINGS:
            self.run(self.make.thing(thing))

    # What the model knows.

    def held(self, thing):
        """Return each user's rights on the thing, from the owner outwards."""
        held = dict.fromkeys(NAMES, Rights.NONE)
        if thing in self.owner:
            held[self.owner[thing]] = Rights.ALL
        for _ in range(len(NAMES) * len(EACH)):
            for grant in self.grants.values():
                if grant.thing == thing and self.gives(grant) and held[grant.giver] & Rights.GRANT:
                    held[grant.receiver] |= grant.rights & held[grant.giver]
        return held

    def gives(self, grant):
        return grant.is_accepted and self.confirmed.get(grant.receiver, False)

    def settle(self):
        """Forget what nobody supports any more, which does not come back by itself."""
        for grant_id, grant in list(self.grants.items()):
            held = self.held(grant.thing)[grant.giver]
            grant.rights &= held if held & Rights.GRANT else Rights.NONE
            if not grant.rights:
                del self.grants[grant_id]

    # What happens.

    @rule(user=USERS, thing=THING)
    def link(self, user, thing):
        outcome = self.run(self.core.links.link(user, thing, at_ms=1, max_things=9))

        is_free = thing not in self.owner and user in self.confirmed
        assert (outcome is LinkOutcome.LINKED) == is_free
        if is_free:
            self.owner[thing] = user

    @rule(user=USERS, thing=THING)
    def unlink(self, user, thing):
        is_theirs = self.owner.get(thing) == user

        assert self.run(self.core.links.unlink(user, thing, at_ms=1)) == is_theirs
        if is_theirs:
            self.disown(thing)

    def disown(self, thing):
        del self.owner[thing]
        self.grants = {g: grant for g, grant in self.grants.items() if grant.thing != thing}

    @rule(giver=USERS, receiver=USERS, thing=THING, rights=RIGHTS)
    def grant(self, giver, receiver, thing, rights):
        grant_id = GrantId(f"grant {next(self.count):05d}")
        grant = Grant(
            id=grant_id,
            app_id=AppId("home"),
            giver_id=UserId(giver),
            giver_email=f"{giver}@example.org",
            email=f"{receiver}@example.org",
            created_at_ms=1,
            expires_at_ms=10**9,
            accepted_at_ms=None,
            entries=(Entry(ThingId(thing), "door", rights),),
        )
        self.run(
            self.core.grants.add_grant(
                grant, digest(grant_id), self.make.letter(), max_grants=1_000, max_entries=1_000
            )
        )
        held = self.held(thing)[giver]
        if giver in self.confirmed and held & Rights.GRANT and rights & held:
            self.grants[grant_id] = Given(giver, receiver, thing, rights & held)

    @precondition(lambda self: self.grants)
    @rule(data=st.data(), by_link=st.booleans())
    def accept(self, data, by_link):
        grant_id = data.draw(st.sampled_from(sorted(self.grants)))
        grant = self.grants[grant_id]
        waits = not grant.is_accepted
        if by_link:
            accepted = self.run(self.core.grants.accept_by_link(digest(grant_id), at_ms=2))
            assert (accepted is not None) == waits
            if waits and grant.receiver in self.confirmed:
                self.confirmed[grant.receiver] = True
        else:
            waits = waits and self.confirmed.get(grant.receiver, False)
            accepted = self.run(self.core.grants.accept(grant.receiver, grant_id, at_ms=2))
            assert accepted == waits
        grant.is_accepted = grant.is_accepted or waits

    @precondition(lambda self: self.grants)
    @rule(data=st.data(), by_giver=st.booleans(), only=st.none() | RIGHTS)
    def revoke(self, data, by_giver, only):
        grant_id = data.draw(st.sampled_from(sorted(self.grants)))
        grant = self.grants[grant_id]
        user = grant.giver if by_giver else grant.receiver
        entries = None if only is None else [Entry(ThingId(grant.thing), "door", only)]
        is_theirs = user == grant.giver or self.confirmed.get(user, False)

        assert self.run(self.core.grants.revoke(user, grant_id, entries)) == is_theirs
        if is_theirs:
            grant.rights &= ~(Rights.ALL if only is None else only)
            self.settle_all()

    @rule(user=USERS)
    def confirm(self, user):
        link = MailLink(digest(f"confirm {next(self.count)}"), LinkPurpose.CONFIRM, user, 10**9)
        self.run(self.core.mail_links.add_mail_link(link, self.make.letter(), at_ms=1))
        self.run(self.core.mail_links.confirm_address(link.digest, at_ms=1))
        if user in self.confirmed:
            self.confirmed[user] = True

    @rule(user=USERS)
    def delete(self, user):
        is_there = user in self.confirmed

        assert self.run(self.core.accounts.delete_user(user, at_ms=3)) == is_there
        if not is_there:
            return
        for thing in [thing for thing, owner in self.owner.items() if owner == user]:
            self.disown(thing)
        for grant in self.grants.values():
            if user == grant.giver or (user == grant.receiver and self.confirmed[user]):
                grant.rights = Rights.NONE
        del self.confirmed[user]
        self.settle_all()

    @precondition(lambda self: len(self.confirmed) < len(NAMES))
    @rule(data=st.data())
    def register_again(self, data):
        name = data.draw(st.sampled_from([one for one in NAMES if one not in self.confirmed]))
        self.run(self.make.user(name, is_confirmed=False))
        self.confirmed[name] = False

    def settle_all(self):
        before = None
        while before != (before := {g: grant.rights for g, grant in self.grants.items()}):
            self.settle()

    @invariant()
    def everybody_may_do_what_the_model_says(self):
        for name in self.confirmed:
            reach = self.run(self.core.reach.reach(name))
            for thing in THINGS:
                assert reach.rights(thing, "door") == self.held(thing)[name], (name, thing)
                assert (reach.thing(thing) is not None) == bool(self.held(thing)[name])

    @invariant()
    def a_thing_shows_its_owners_epochs_to_all_who_reach_it(self):
        for thing in THINGS:
            epochs = {
                seen.epochs
                for name in self.confirmed
                if (seen := self.run(self.core.reach.reach(name)).thing(thing)) is not None
            }
            if epochs:
                assert epochs == {self.run(self.core.things.thing(thing)).epochs}


class SQLiteReachMachine(ReachMachine):
    async def open(self):
        self.folder = tempfile.TemporaryDirectory()
        return await open_core(Path(self.folder.name) / "core.db")

    def teardown(self):
        super().teardown()
        self.folder.cleanup()


@pytest.mark.parametrize(
    ("machine", "examples"),
    [(ReachMachine, 100), (SQLiteReachMachine, 5)],
    ids=["memory", "sqlite"],
)
def test_who_may_do_what_is_always_what_the_model_says(machine, examples):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
