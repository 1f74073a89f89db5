"""Grants and what they let users do, in memory."""

from collections.abc import Sequence
from dataclasses import replace

from doubles.organisation import KeptGrant, Organisation
from thingstead.features.links.model import LinkedThing
from thingstead.features.mail.model import SealedLetter
from thingstead.features.sharing.model import (
    MOST_ENTRIES_RECEIVED,
    Entry,
    GivenRights,
    Grant,
    GrantOutcome,
    Reach,
    Rights,
    SharedThing,
)
from thingstead.kernel.ids import GrantId, ThingId, UserId


class MemoryGrantStore:
    """Keeps grants."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    async def add_grant(
        self,
        grant: Grant,
        link_digest: bytes,
        letter: SealedLetter,
        *,
        max_grants: int,
        max_entries: int,
    ) -> GrantOutcome:
        org = self._organisation
        if grant.giver_id not in org.accounts:
            return GrantOutcome.ADDED
        for kept in list(org.grants.values()):
            if kept.grant.giver_id == grant.giver_id and _is_over(kept.grant, grant.created_at_ms):
                del org.grants[kept.grant.id]
        given = [
            kept.grant for kept in org.grants.values() if kept.grant.giver_id == grant.giver_id
        ]
        if len(given) >= max_grants:
            return GrantOutcome.TOO_MANY_GRANTS
        if sum(len(one.entries) for one in (grant, *given)) > max_entries:
            return GrantOutcome.TOO_MANY_ENTRIES
        rows = [GivenRights(grant.id, grant.giver_id, None, entry) for entry in grant.entries]
        entries = [
            replace(row.entry, rights=rights)
            for row, rights in org.standing([*org.given_rights(), *rows])
            if row.key == grant.id
        ]
        if entries:
            entries.sort(key=lambda entry: (entry.thing_id, entry.resource))
            kept_grant = replace(grant, entries=tuple(entries), accepted_at_ms=None)
            org.grants[grant.id] = KeptGrant(kept_grant, link_digest)
            org.put_letter(letter, grant.created_at_ms)
            org.announce(users=org.users_of(grant))
        return GrantOutcome.ADDED

    async def given(self, user_id: UserId, *, at_ms: int, email: str | None = None) -> list[Grant]:
        return self._newest_first(
            at_ms,
            lambda grant: grant.giver_id == user_id and email in (None, grant.email),
        )

    async def received(self, user_id: UserId, *, at_ms: int) -> list[Grant]:
        received = self._newest_first(at_ms, lambda grant: self._is_to(grant, user_id))
        room = MOST_ENTRIES_RECEIVED - sum(
            len(grant.entries) for grant in received if grant.accepted_at_ms is not None
        )
        listed = []
        for grant in received:
            if grant.accepted_at_ms is None:
                room -= len(grant.entries)
            if grant.accepted_at_ms is not None or room >= 0:
                listed.append(grant)
        return listed

    async def grant_of_link(self, digest: bytes, *, at_ms: int) -> Grant | None:
        for kept in self._organisation.grants.values():
            if kept.link_digest == digest and kept.grant.expires_at_ms > at_ms:
                return kept.grant
        return None

    async def accept_by_link(self, digest: bytes, *, at_ms: int) -> Grant | None:
        grant = await self.grant_of_link(digest, at_ms=at_ms)
        if grant is None:
            return None
        account = self._organisation.account(grant.app_id, grant.email)
        if account is not None:
            self._organisation.confirm(account, at_ms)
        return self._accept(grant, at_ms)

    async def accept(self, user_id: UserId, grant_id: GrantId, *, at_ms: int) -> bool:
        kept = self._organisation.grants.get(grant_id)
        if kept is None or not self._is_to(kept.grant, user_id):
            return False
        if kept.grant.accepted_at_ms is not None or kept.grant.expires_at_ms <= at_ms:
            return False
        self._accept(kept.grant, at_ms)
        return True

    async def revoke(
        self, user_id: UserId, grant_id: GrantId, entries: Sequence[Entry] | None = None
    ) -> bool:
        org = self._organisation
        kept = org.grants.get(grant_id)
        if kept is None or not (kept.grant.giver_id == user_id or self._is_to(kept.grant, user_id)):
            return False
        users = org.users_of(kept.grant)
        taken: dict[tuple[ThingId, str], Rights] = {}
        for entry in kept.grant.entries if entries is None else entries:
            place = (entry.thing_id, entry.resource)
            taken[place] = taken.get(place, Rights.NONE) | entry.rights
        left = [
            replace(entry, rights=rights)
            for entry in kept.grant.entries
            if (rights := entry.rights & ~taken.get((entry.thing_id, entry.resource), Rights.NONE))
        ]
        org.put_entries(grant_id, left)
        org.announce(users=users | org.settle())
        return True

    def _accept(self, grant: Grant, at_ms: int) -> Grant:
        org = self._organisation
        org.grants[grant.id] = KeptGrant(replace(grant, accepted_at_ms=at_ms), None)
        org.announce(users=org.users_of(grant))
        return org.grants[grant.id].grant

    def _is_to(self, grant: Grant, user_id: UserId) -> bool:
        account = self._organisation.account(grant.app_id, grant.email)
        return (
            account is not None
            and account.user.id == user_id
            and account.user.confirmed_at_ms is not None
        )

    def _newest_first(self, at_ms, is_wanted) -> list[Grant]:
        grants = [
            kept.grant
            for kept in self._organisation.grants.values()
            if is_wanted(kept.grant) and not _is_over(kept.grant, at_ms)
        ]
        return sorted(grants, key=lambda grant: (grant.created_at_ms, grant.id), reverse=True)


class MemoryReachStore:
    """Knows what users may do."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    async def reach(self, user_id: UserId) -> Reach:
        org = self._organisation
        owned: dict[ThingId, LinkedThing] = {}
        for thing_id, (owner, at_ms) in sorted(org.links.items()):
            thing = org.thing(thing_id)
            if owner == user_id and thing is not None:
                owned[thing_id] = LinkedThing(thing, at_ms)
        rights: dict[ThingId, dict[str, Rights]] = {}
        for row in org.given_rights():
            if row.receiver_id == user_id and row.entry.thing_id not in owned:
                of_thing = rights.setdefault(row.entry.thing_id, {})
                before = of_thing.get(row.entry.resource, Rights.NONE)
                of_thing[row.entry.resource] = before | row.entry.rights
        shared = {
            thing_id: SharedThing(thing, of_thing)
            for thing_id, of_thing in sorted(rights.items())
            if (thing := org.thing(thing_id)) is not None
        }
        return Reach(owned, shared)


def _is_over(grant: Grant, at_ms: int) -> bool:
    return grant.accepted_at_ms is None and grant.expires_at_ms <= at_ms
