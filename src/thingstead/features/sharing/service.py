"""The rules of sharing: who may grant what to whom, and how a grant comes into force.

A grant is to an address. It gives nothing until its receiver accepts it, with a session of a
confirmed account or by the link in the mail, which only who reads the mailbox has. No answer
tells whether an address has an account (`security.md` 2). What a right taken away takes with
it is the store's part, because it must happen in one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from thingstead.features.mail.model import LINK_LIFETIMES, Letter, Occasion
from thingstead.features.mail.sealing import seal_letter
from thingstead.features.sharing.errors import (
    AddressNotConfirmedError,
    GrantForbiddenError,
    GrantNotFoundError,
    InvalidGrantError,
    TooManyGrantsError,
)
from thingstead.features.sharing.letters import named_entries, rights_text
from thingstead.features.sharing.model import (
    Entry,
    Grant,
    GrantOutcome,
    Reach,
    Rights,
    right_names,
)
from thingstead.features.sharing.permissions import Wish, wishes_of
from thingstead.features.sharing.ports import GrantStore
from thingstead.features.sharing.reaches import Reaches
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.things.ports import Seal
from thingstead.features.users.addresses import email_address
from thingstead.features.users.errors import MailLinkNotFoundError
from thingstead.features.users.model import Caller
from thingstead.features.values.model import Source
from thingstead.features.values.ports import ValueArchive
from thingstead.kernel.budget import Budgets, Rate
from thingstead.kernel.changes import Changes
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import TooManyRequestsError
from thingstead.kernel.guesses import Guesses
from thingstead.kernel.ids import (
    GrantId,
    IdSource,
    ThingId,
    UserId,
    digest,
    is_token_shaped,
)
from thingstead.kernel.json_values import JSONText

_DESCRIPTION = "description"
_LINK_PATH = "/confirm/grant/"
_LASTING_MS = LINK_LIFETIMES[Occasion.GRANT] // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class SharingLimits:
    """How much a user may grant, and how many mails that may send."""

    entries: int = 1_000
    grants_per_user: int = 1_000
    entries_per_user: int = 10_000
    mails: Rate = field(default=Rate(per_second=10 / 3_600, burst=10))
    mails_to_address: Rate = field(default=Rate(per_second=3 / 86_400, burst=3))


class Sharing:
    """Grants, accepts, lists and revokes; `archive` knows the names of things."""

    def __init__(
        self,
        store: GrantStore,
        reaches: Reaches,
        changes: Changes,
        *,
        archive: ValueArchive,
        clock: Clock,
        ids: IdSource,
        seal: Seal,
        limits: SharingLimits,
        guesses: Guesses,
    ) -> None:
        self._store = store
        self._reaches = reaches
        self._changes = changes
        self._archive = archive
        self._clock = clock
        self._ids = ids
        self._seal = seal
        self._limits = limits
        self._guesses = guesses
        self._mails: Budgets[UserId] = Budgets(limits.mails)
        self._mails_to: Budgets[tuple[UserId, str]] = Budgets(limits.mails_to_address)

    async def grant(self, caller: Caller, email: str, permissions: object) -> Grant | None:
        """Grant what is true in `permissions` to the address, withdraw what is false.

        Returns the grant that now waits to be accepted; None when the caller has granted all
        of it before: then no mail is sent. When this raises, nothing has changed.

        Raises:
            InvalidEmailError, InvalidGrantError: the address or the permissions are wrong.
            ThingNotFoundError: the caller has no right of a thing that is named.
            GrantForbiddenError: the caller may not pass on a right that is named.
            TooManyRequestsError, TooManyGrantsError: the caller grants too much.
        """
        address = email_address(email)
        if address == caller.user.email:
            raise InvalidGrantError("email: this is your own address")
        wishes = wishes_of(permissions, most=self._limits.entries)
        reach = await self._reaches.of(caller)
        for wish in wishes:
            _check_may_grant(caller, reach, wish)
        before = await self._given_to(caller, address)
        entries = _not_yet_granted(wishes, before)
        grant = await self._add(caller, address, entries, reach) if entries else None
        is_withdrawn = await self._withdraw(caller.user.id, wishes, before)
        if grant is not None or is_withdrawn:
            self._changes.look_now()
        return grant

    async def given(self, caller: Caller) -> list[Grant]:
        """Return what the caller granted and is accepted or may still be, the newest first."""
        return await self._store.given(caller.user.id, at_ms=self._clock.now_ms())

    async def received(self, caller: Caller) -> list[Grant]:
        """Return what was granted to the caller, the newest first.

        Nothing as long as the address is not confirmed: whoever registered it would learn who
        grants what to its owner.
        """
        if caller.user.confirmed_at_ms is None:
            return []
        return await self._store.received(caller.user.id, at_ms=self._clock.now_ms())

    async def accept(self, caller: Caller, grant_id: str) -> None:
        """Accept a grant to the caller's address.

        Raises:
            AddressNotConfirmedError: nobody knows yet that the address is the caller's.
            GrantNotFoundError: no such grant waits for the caller.
        """
        if caller.user.confirmed_at_ms is None:
            raise AddressNotConfirmedError(
                "open the link in the mail, or ask for it again with POST /v2/me/confirmation"
            )
        is_accepted = await self._store.accept(
            caller.user.id, GrantId(grant_id), at_ms=self._clock.now_ms()
        )
        if not is_accepted:
            raise GrantNotFoundError
        self._changes.look_now()

    async def revoke(self, caller: Caller, grant_id: str) -> None:
        """End a grant that the caller gave or received, and what was passed on from it.

        Live streams of who may no longer listen are told before this returns.

        Raises:
            GrantNotFoundError: the caller has no such grant.
        """
        if not await self._store.revoke(caller.user.id, GrantId(grant_id)):
            raise GrantNotFoundError
        self._changes.look_now()

    async def grant_of_link(self, token: str, *, address: str) -> Grant:
        """Return the waiting grant of a mail's link; changes nothing.

        Raises:
            MailLinkNotFoundError: it is unknown, used, or has expired.
            TooManyRequestsError: too many such links were tried from this address.
        """

        async def look_up() -> Grant | None:
            return await self._store.grant_of_link(digest(token), at_ms=self._clock.now_ms())

        return await self._guesses.find(
            look_up if is_token_shaped(token) else None,
            address=address,
            refusal=MailLinkNotFoundError,
        )

    async def accept_by_link(self, token: str, *, address: str) -> Grant:
        """Accept the grant of a mail's link, which works once.

        Raises:
            MailLinkNotFoundError: it is unknown, used, or has expired.
            TooManyRequestsError: too many such links were tried from this address.
        """
        # Only a link that works is worth a turn among those who write.
        await self.grant_of_link(token, address=address)
        grant = await self._store.accept_by_link(digest(token), at_ms=self._clock.now_ms())
        if grant is None:
            raise MailLinkNotFoundError
        self._changes.look_now()
        return grant

    async def _add(
        self, caller: Caller, address: str, entries: Sequence[Entry], reach: Reach
    ) -> Grant:
        self._take_mail(caller.user.id, address)
        now = self._clock.now_ms()
        grant = Grant(
            id=GrantId(self._ids.sortable_id(now)),
            app_id=caller.app.id,
            giver_id=caller.user.id,
            giver_email=caller.user.email,
            email=address,
            created_at_ms=now,
            expires_at_ms=now + _LASTING_MS,
            accepted_at_ms=None,
            entries=tuple(entries),
        )
        token = self._ids.token()
        facts = {
            "app": caller.app.name,
            "giver": caller.user.email,
            "rights": rights_text(entries, await self._descriptions(entries, reach)),
            "link": _LINK_PATH + token,
        }
        letter = seal_letter(Letter(Occasion.GRANT, address, facts), self._seal, self._ids)
        outcome = await self._store.add_grant(
            grant,
            digest(token),
            letter,
            max_grants=self._limits.grants_per_user,
            max_entries=self._limits.entries_per_user,
        )
        if outcome is not GrantOutcome.ADDED:
            self._give_mail_back(caller.user.id, address)
            raise TooManyGrantsError(self._limit_of(outcome))
        return await self._kept(caller, grant)

    def _limit_of(self, outcome: GrantOutcome) -> str:
        if outcome is GrantOutcome.TOO_MANY_ENTRIES:
            return f"a user may give {self._limits.entries_per_user} entries in all their grants"
        return f"a user may give {self._limits.grants_per_user}"

    async def _given_to(self, caller: Caller, address: str) -> list[Grant]:
        at_ms = self._clock.now_ms()
        return await self._store.given(caller.user.id, at_ms=at_ms, email=address)

    async def _kept(self, caller: Caller, grant: Grant) -> Grant:
        """Return the grant as the store has it, which leaves out what may not be passed on.

        The store knows more than a reach: whether a right came together with `grant`, and
        what has changed within the last milliseconds.
        """
        for kept in await self._given_to(caller, grant.email):
            if kept.id == grant.id:
                return kept
        self._give_mail_back(caller.user.id, grant.email)
        raise GrantForbiddenError("you lack grant for what is named")

    async def _descriptions(
        self, entries: Sequence[Entry], reach: Reach
    ) -> dict[ThingId, JSONText]:
        """Return the descriptions that the giver may read, for the things' names."""
        named = {entry.thing_id for entry in named_entries(entries)}
        sources = [
            Source(thing.id, thing.epochs)
            for thing in reach.readable(_DESCRIPTION)
            if thing.id in named
        ]
        return dict(await self._archive.documents_of(sources, _DESCRIPTION))

    async def _withdraw(
        self, user_id: UserId, wishes: Sequence[Wish], before: Sequence[Grant]
    ) -> bool:
        """Take the rights that are false out of the grants before; return whether any was."""
        withdrawn = {(wish.thing_id, wish.resource): wish.withdrawn for wish in wishes}
        has_changed = False
        for grant in before:
            entries = [
                Entry(entry.thing_id, entry.resource, rights)
                for entry in grant.entries
                if (rights := entry.rights & withdrawn.get(_place(entry), Rights.NONE))
            ]
            if entries and await self._store.revoke(user_id, grant.id, entries):
                has_changed = True
        return has_changed

    def _take_mail(self, user_id: UserId, address: str) -> None:
        now = self._clock.monotonic()
        wait = self._mails.take(user_id, now)
        if wait > 0:
            most = round(self._limits.mails.burst)
            raise _too_many(f"at most {most} new grants in an hour", wait)
        wait = self._mails_to.take((user_id, address), now)
        if wait > 0:
            self._mails.give_back(user_id)
            most = round(self._limits.mails_to_address.burst)
            raise _too_many(f"at most {most} new grants to one address in a day", wait)

    def _give_mail_back(self, user_id: UserId, address: str) -> None:
        self._mails.give_back(user_id)
        self._mails_to.give_back((user_id, address))


def _check_may_grant(caller: Caller, reach: Reach, wish: Wish) -> None:
    if reach.thing(wish.thing_id) is None:
        raise ThingNotFoundError
    if not wish.granted:
        # Withdrawing needs no right: it concerns the caller's own grants only.
        return
    if not caller.app.reaches(wish.resource):
        raise GrantForbiddenError(f"{wish.resource}: the app does not reach it")
    held = reach.rights(wish.thing_id, wish.resource)
    missing = (wish.granted | Rights.GRANT) & ~held
    if missing:
        raise GrantForbiddenError(f"{wish.resource}: you lack {right_names(missing)}")


def _not_yet_granted(wishes: Sequence[Wish], before: Sequence[Grant]) -> list[Entry]:
    """Return what the wishes add to the grants before, accepted or waiting."""
    held: dict[tuple[ThingId, str], Rights] = {}
    for grant in before:
        for entry in grant.entries:
            held[_place(entry)] = held.get(_place(entry), Rights.NONE) | entry.rights
    return [
        Entry(wish.thing_id, wish.resource, rights)
        for wish in wishes
        if (rights := _added(wish, held.get((wish.thing_id, wish.resource), Rights.NONE)))
    ]


def _added(wish: Wish, held: Rights) -> Rights:
    """Return what a new grant holds of the wish; `held` is what grants before it hold."""
    added = wish.granted & ~held
    together = (wish.granted | held) & ~wish.withdrawn
    # Who receives `grant` passes on what stands in the same entry with it (`rights.py`), so
    # then the new entry says all of it again.
    return together if added and together & Rights.GRANT else added


def _place(entry: Entry) -> tuple[ThingId, str]:
    return entry.thing_id, entry.resource


def _too_many(limit: str, wait_s: float) -> TooManyRequestsError:
    return TooManyRequestsError(limit, retry_after_s=int(wait_s) + 1)
