"""What the stores in memory share: things, users, links and grants see each other here.

The rules that several stores follow are methods; each store has its port's methods only.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from doubles.firmware_rows import FirmwareRows
from doubles.outbox import MemoryOutbox
from thingstead.features.apps.model import App
from thingstead.features.devices.model import Device
from thingstead.features.firmware.model import Firmware, FirmwareState
from thingstead.features.links.model import LinkOutcome
from thingstead.features.mail.model import SealedLetter
from thingstead.features.products.model import Product
from thingstead.features.sharing.model import Entry, GivenRights, Grant, Rights
from thingstead.features.sharing.rights import supported
from thingstead.features.things.model import Thing
from thingstead.features.users.model import Account, MailLink, Session
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.ids import AppId, GrantId, ProductId, ThingId, UserId


@dataclass(slots=True)
class KeptGrant:
    """A grant and the digest in its mail's link, None once that is used."""

    grant: Grant
    link_digest: bytes | None


@dataclass(slots=True)
class Organisation:
    """Everything that is kept about things, users, links and grants, and what was announced."""

    announced: list[Change] = field(default_factory=list)
    outbox: MemoryOutbox = field(default_factory=MemoryOutbox)
    apps: dict[AppId, App] = field(default_factory=dict)
    products: dict[ProductId, Product] = field(default_factory=dict)
    firmware: FirmwareRows = field(default_factory=FirmwareRows)
    things: dict[ThingId, Thing] = field(default_factory=dict)
    epoch: dict[ThingId, int] = field(default_factory=dict)
    epoch_owner: dict[tuple[ThingId, int], UserId] = field(default_factory=dict)
    links: dict[ThingId, tuple[UserId, int]] = field(default_factory=dict)
    devices: dict[tuple[ProductId, str], Device] = field(default_factory=dict)
    purge: dict[ThingId, int] = field(default_factory=dict)
    purge_epochs: dict[tuple[ThingId, int], int] = field(default_factory=dict)
    purge_users: dict[UserId, int] = field(default_factory=dict)
    tags: dict[ThingId, set[str]] = field(default_factory=dict)
    accounts: dict[UserId, Account] = field(default_factory=dict)
    sessions: dict[bytes, Session] = field(default_factory=dict)
    mail_links: dict[bytes, MailLink] = field(default_factory=dict)
    settings: dict[UserId, dict[str, object]] = field(default_factory=dict)
    link_apps: dict[ProductId, AppId] = field(default_factory=dict)
    claims: dict[tuple[AppId, str, UserId], int] = field(default_factory=dict)
    offers: dict[tuple[ProductId, str, ThingId], int] = field(default_factory=dict)
    grants: dict[GrantId, KeptGrant] = field(default_factory=dict)

    def announce(self, *, things: Iterable[str] = (), users: Iterable[str] = ()) -> None:
        self.announced += [Change(Kind.THING, thing_id) for thing_id in things]
        self.announced += [Change(Kind.USER, user_id) for user_id in sorted(users)]

    def announce_firmware(self, product_id: ProductId) -> None:
        self.announced.append(Change(Kind.FIRMWARE, str(product_id)))

    def set_firmware_state(self, firmware: Firmware, state: FirmwareState, at_ms: int) -> Firmware:
        published_at_ms = firmware.published_at_ms
        if state is FirmwareState.PUBLISHED and published_at_ms is None:
            published_at_ms = at_ms
        changed = replace(firmware, state=state, published_at_ms=published_at_ms)
        self.firmware.firmwares[firmware.id] = changed
        self.announce_firmware(firmware.product_id)
        return changed

    def put_letter(self, letter: SealedLetter, at_ms: int) -> None:
        self.outbox.write(letter, at_ms)
        self.announced.append(Change(Kind.LETTER, letter.id))

    def thing(self, thing_id: ThingId) -> Thing | None:
        """Return the thing with the epochs that may be seen of it."""
        kept = self.things.get(thing_id)
        if kept is None:
            return None
        owner = self.owner(thing_id)
        owned = [
            epoch
            for (of_thing, epoch), user_id in self.epoch_owner.items()
            if of_thing == thing_id and user_id == owner
        ]
        return replace(kept, epochs=tuple(sorted(owned)) or (self.epoch.get(thing_id, 0),))

    def owner(self, thing_id: ThingId) -> UserId | None:
        return self.links[thing_id][0] if thing_id in self.links else None

    def own(
        self, user_id: UserId, thing_id: ThingId, *, at_ms: int, max_things: int
    ) -> LinkOutcome:
        owner = self.owner(thing_id)
        if thing_id not in self.things or user_id not in self.accounts:
            return LinkOutcome.NOT_FREE
        if owner is not None:
            return LinkOutcome.ALREADY_THEIRS if owner == user_id else LinkOutcome.NOT_FREE
        if sum(user == user_id for user, _ in self.links.values()) >= max_things:
            return LinkOutcome.TOO_MANY
        self.links[thing_id] = (user_id, at_ms)
        self.epoch_owner[thing_id, self.epoch.get(thing_id, 0)] = user_id
        self.announce(things=[thing_id], users=[user_id])
        return LinkOutcome.LINKED

    def disown(self, user_id: UserId, thing_id: ThingId) -> bool:
        if self.owner(thing_id) != user_id:
            return False
        del self.links[thing_id]
        self.tags.pop(thing_id, None)
        self._drop_offers(thing_id)
        self.epoch[thing_id] = self.epoch.get(thing_id, 0) + 1
        self.announce(things=[thing_id], users={user_id, *self.drop_grants_on(thing_id)})
        return True

    def remove_thing(self, thing_id: ThingId, at_ms: int) -> None:
        owner = self.owner(thing_id)
        users = self.drop_grants_on(thing_id)
        del self.things[thing_id]
        self.links.pop(thing_id, None)
        for kept in (self.epoch_owner, self.purge_epochs):
            for key in [key for key in kept if key[0] == thing_id]:
                del kept[key]
        for place in [place for place, one in self.devices.items() if one.thing_id == thing_id]:
            del self.devices[place]
        self._drop_offers(thing_id)
        self.firmware.drop_thing(thing_id)
        self.purge[thing_id] = at_ms
        self.announce(things=[thing_id], users=users | ({owner} if owner else set()))

    def _drop_offers(self, thing_id: ThingId) -> None:
        for key in [key for key in self.offers if key[2] == thing_id]:
            del self.offers[key]

    def account(self, app_id: AppId, email: str) -> Account | None:
        return next(
            (
                account
                for account in self.accounts.values()
                if (account.user.app_id, account.user.email) == (app_id, email)
            ),
            None,
        )

    def confirm(self, account: Account, at_ms: int) -> Account:
        confirmed_at_ms = account.user.confirmed_at_ms
        user = replace(
            account.user, confirmed_at_ms=at_ms if confirmed_at_ms is None else confirmed_at_ms
        )
        self.accounts[user.id] = replace(account, user=user)
        return self.accounts[user.id]

    def drop_grants_on(self, thing_id: ThingId) -> set[UserId]:
        """Take every right on the thing away; return whom that concerns."""
        users: set[UserId] = set()
        for kept in list(self.grants.values()):
            left = tuple(entry for entry in kept.grant.entries if entry.thing_id != thing_id)
            if left != kept.grant.entries:
                users |= self.users_of(kept.grant)
                self.put_entries(kept.grant.id, left)
        return users

    def users_of(self, grant: Grant) -> set[UserId]:
        account = self.account(grant.app_id, grant.email)
        return {grant.giver_id} | ({account.user.id} if account else set())

    def put_entries(self, grant_id: GrantId, entries: Iterable[Entry]) -> None:
        """Leave these entries of the grant; without any it is gone."""
        kept = self.grants[grant_id]
        kept.grant = replace(kept.grant, entries=tuple(entries))
        if not kept.grant.entries:
            del self.grants[grant_id]

    def settle(self) -> set[UserId]:
        """Take away what no longer stands; return whom that concerns."""
        left: dict[GrantId, list[Entry]] = {grant_id: [] for grant_id in self.grants}
        for row, rights in self.standing(self.given_rights()):
            left[GrantId(str(row.key))].append(replace(row.entry, rights=rights))
        users: set[UserId] = set()
        for grant_id, entries in left.items():
            grant = self.grants[grant_id].grant
            if tuple(entries) != grant.entries:
                users |= self.users_of(grant)
                self.put_entries(grant_id, entries)
        return users

    def standing(self, given: list[GivenRights]) -> list[tuple[GivenRights, Rights]]:
        return supported({thing: user for thing, (user, _) in self.links.items()}, given)

    def given_rights(self) -> list[GivenRights]:
        return [
            GivenRights(kept.grant.id, kept.grant.giver_id, self.receiver(kept.grant), entry)
            for kept in self.grants.values()
            for entry in kept.grant.entries
        ]

    def receiver(self, grant: Grant) -> UserId | None:
        """Return to whom the grant gives something now."""
        account = self.account(grant.app_id, grant.email)
        if account is None or account.user.confirmed_at_ms is None or grant.accepted_at_ms is None:
            return None
        return account.user.id
