"""The rules of links: who may become a thing's owner, and how ownership ends.

A thing's token proves that somebody holds the thing; its id proves that only for who owned it
last. Somebody else's thing is answered like an unknown one, and failed tries cost their user
budget, so that neither tokens nor owners can be found by trying (`security.md` 24).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from thingstead.features.links.errors import (
    InvalidLinkError,
    LinkIdNotAllowedError,
    TooManyLinkIdsError,
    TooManyThingsError,
)
from thingstead.features.links.model import ByLinkId, LinkedThing, LinkIdResult, LinkOutcome
from thingstead.features.links.ports import LinkIdStore, LinkStore
from thingstead.features.products.errors import ProductNotFoundError
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.things.model import Thing
from thingstead.features.things.service import Things
from thingstead.features.users.model import Caller
from thingstead.kernel.budget import Budgets, Rate
from thingstead.kernel.changes import Changes
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import Category, ThingsteadError, TooManyRequestsError
from thingstead.kernel.ids import AppId, ProductId, ThingId, UserId, is_token_shaped

SHORTEST_LINK_ID = 8
LONGEST_LINK_ID = 128
_HOUR_MS = 3_600_000
_SLICE = 500
# A wrong guess, or one that was not even looked up because its address guesses too much.
_COUNTS_AS_FAILED = frozenset({Category.NOT_FOUND, Category.TOO_MANY})


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """How much a user may own, and try."""

    things_per_user: int = 1_000
    failed_tries: Rate = field(default=Rate(per_second=10 / 3_600, burst=10))
    # Each unlink begins an epoch, and what is read over many epochs is read slowly.
    unlinks_of_thing: Rate = field(default=Rate(per_second=20 / 3_600, burst=20))
    pending_link_ids: int = 10
    link_id_hours: int = 24


class Links:
    """Links things to users, ends links, and deletes things for their owners."""

    def __init__(
        self,
        store: LinkStore,
        link_ids: LinkIdStore,
        things: Things,
        changes: Changes,
        *,
        clock: Clock,
        limits: LinkLimits,
    ) -> None:
        self._store = store
        self._link_ids = link_ids
        self._things = things
        self._changes = changes
        self._clock = clock
        self._limits = limits
        self._tries: Budgets[UserId] = Budgets(limits.failed_tries)
        self._unlinks: Budgets[ThingId] = Budgets(limits.unlinks_of_thing)

    async def linked(self, caller: Caller) -> list[LinkedThing]:
        """Return the caller's own things ascending by id."""
        return await self._store.linked(caller.user.id)

    async def link_by_token(self, caller: Caller, token: str, *, address: str) -> ThingId:
        """Make the caller the owner of the thing with that token; once is like twice.

        Raises:
            ThingNotFoundError: no thing has this token, or somebody owns it.
            TooManyThingsError: the caller owns as many things as they may.
            TooManyRequestsError: the caller failed too often, or `address` did.
        """
        with self._trying(caller.user.id):
            thing = await self._things.resolve(token, address=address)
            return await self._link(caller.user.id, thing.id)

    async def link_by_id(self, caller: Caller, thing_id: str) -> ThingId:
        """Make the caller the owner again of a thing that nobody owned since.

        Raises:
            ThingNotFoundError: there is no such thing, or the caller was not its last owner.
            TooManyThingsError: the caller owns as many things as they may.
            TooManyRequestsError: the caller failed too often.
        """
        with self._trying(caller.user.id):
            return await self._link(caller.user.id, await self._once_owned(caller, thing_id))

    async def link_by_text(self, caller: Caller, text: str, *, address: str) -> ThingId:
        """Link by a text that is a thing's token or, failing that, its id.

        Raises:
            ThingsteadError: as `link_by_token` and `link_by_id`.
        """
        with self._trying(caller.user.id):
            try:
                thing_id = (await self._things.resolve(text, address=address)).id
            except ThingNotFoundError:
                thing_id = await self._once_owned(caller, text)
            return await self._link(caller.user.id, thing_id)

    async def claim(self, caller: Caller, link_id: str) -> LinkIdResult:
        """Note that the caller presents a link id; links when its thing did already.

        Blanks around it do not count. The result is `LINKED`, or `WAITING` for 24 hours.

        Raises:
            InvalidLinkError: it is shorter or longer than a link id, or not printable.
            TooManyLinkIdsError: as many of the caller's link ids wait as may.
            TooManyThingsError: it met its thing, but the caller owns as many as they may.
        """
        now = self._clock.now_ms()
        result = await self._link_ids.claim(
            caller.user.id,
            caller.app.id,
            _checked(link_id),
            at_ms=now,
            expires_at_ms=now + self._limits.link_id_hours * _HOUR_MS,
            max_pending=self._limits.pending_link_ids,
            max_things=self._limits.things_per_user,
        )
        return self._settled(result)

    async def offer(self, thing: Thing, link_id: str) -> LinkIdResult:
        """Note that a thing presents a link id; links when a user did already.

        Raises:
            InvalidLinkError: it is shorter or longer than a link id, or not printable.
            LinkIdNotAllowedError: the thing's product takes no link ids.
            TooManyLinkIdsError: as many of the thing's link ids wait as may.
            TooManyThingsError: it met its user, who owns as many things as they may.
        """
        now = self._clock.now_ms()
        result = await self._link_ids.offer(
            thing.id,
            _checked(link_id),
            at_ms=now,
            expires_at_ms=now + self._limits.link_id_hours * _HOUR_MS,
            max_things=self._limits.things_per_user,
        )
        return self._settled(result)

    async def unlink(self, caller: Caller, text: str) -> ThingId:
        """End the caller's ownership of a thing named by its id or token, and all its grants.

        Live streams of who may no longer listen are told before this returns.

        Raises:
            ThingNotFoundError: the caller owns no such thing.
            TooManyRequestsError: the thing was unlinked too often lately.
        """
        thing_id = ThingId(text)
        if not await self._unlinked(caller, thing_id):
            thing_id = (await self._things.resolve(text, address=None)).id
            if not await self._unlinked(caller, thing_id):
                raise ThingNotFoundError
        self._changes.look_now()
        return thing_id

    async def delete_thing(self, caller: Caller, thing_id: str) -> None:
        """Delete one of the caller's own things; its values are purged soon after.

        Raises:
            ThingNotFoundError: the caller owns no such thing.
        """
        is_deleted = is_token_shaped(thing_id) and await self._store.delete_linked(
            caller.user.id, ThingId(thing_id), at_ms=self._clock.now_ms()
        )
        if not is_deleted:
            raise ThingNotFoundError
        self._changes.look_now()

    async def set_link_app(self, product_id: ProductId, app_id: AppId | None) -> None:
        """Let a product's things take link ids of one app's users, or with None of nobody.

        Raises:
            ProductNotFoundError: there is no such product.
        """
        if not await self._link_ids.set_link_app(product_id, app_id):
            raise ProductNotFoundError

    async def forget_expired(self) -> int:
        """Delete the link ids whose time is over; return how many there were."""
        now = self._clock.now_ms()
        deleted = 0
        slice_of = _SLICE
        while slice_of == _SLICE:
            slice_of = await self._link_ids.delete_expired_link_ids(at_ms=now, limit=_SLICE)
            deleted += slice_of
        return deleted

    async def _once_owned(self, caller: Caller, thing_id: str) -> ThingId:
        is_theirs = (
            is_token_shaped(thing_id)
            and await self._store.last_owner(ThingId(thing_id)) == caller.user.id
        )
        if not is_theirs:
            raise ThingNotFoundError
        return ThingId(thing_id)

    async def _link(self, user_id: UserId, thing_id: ThingId) -> ThingId:
        most = self._limits.things_per_user
        outcome = await self._store.link(
            user_id, thing_id, at_ms=self._clock.now_ms(), max_things=most
        )
        if outcome is LinkOutcome.NOT_FREE:
            raise ThingNotFoundError
        if outcome is LinkOutcome.TOO_MANY:
            raise TooManyThingsError(f"a user may have {most}")
        self._changes.look_now()
        return thing_id

    async def _is_theirs(self, user_id: UserId, thing_id: ThingId) -> bool:
        return any(own.thing.id == thing_id for own in await self._store.linked(user_id))

    async def _unlinked(self, caller: Caller, thing_id: ThingId) -> bool:
        if not is_token_shaped(thing_id):
            return False
        wait = self._unlinks.wait(thing_id, self._clock.monotonic())
        # Only its owner is told of the limit: for everybody else the thing is unknown.
        if wait > 0 and await self._is_theirs(caller.user.id, thing_id):
            per_hour = round(self._unlinks.rate.per_second * 3_600)
            raise TooManyRequestsError(
                f"a thing may be unlinked {per_hour} times in an hour", retry_after_s=int(wait) + 1
            )
        is_unlinked = await self._store.unlink(caller.user.id, thing_id, at_ms=self._clock.now_ms())
        if is_unlinked:
            self._unlinks.take(thing_id, self._clock.monotonic())
        return is_unlinked

    @contextmanager
    def _trying(self, user_id: UserId) -> Iterator[None]:
        """Take a try from the user's budget, and give it back unless the try failed.

        Taken before, so that tries sent together do not all pass before the first has failed;
        a call that is broken off has cost its try.
        """
        wait = self._tries.take(user_id, self._clock.monotonic())
        if wait > 0:
            per_hour = round(self._tries.rate.per_second * 3_600)
            raise TooManyRequestsError(
                f"at most {per_hour} failed links in an hour", retry_after_s=int(wait) + 1
            )
        try:
            yield
        except ThingsteadError as refusal:
            if refusal.category not in _COUNTS_AS_FAILED:
                self._tries.give_back(user_id)
            raise
        self._tries.give_back(user_id)

    def _settled(self, result: LinkIdResult) -> LinkIdResult:
        if result.outcome is ByLinkId.NOT_ALLOWED:
            raise LinkIdNotAllowedError
        if result.outcome is ByLinkId.TOO_MANY:
            raise TooManyLinkIdsError(f"{self._limits.pending_link_ids} may wait at a time")
        if result.outcome is ByLinkId.TOO_MANY_THINGS:
            raise TooManyThingsError(f"a user may have {self._limits.things_per_user}")
        if result.thing_id is not None:
            self._changes.look_now()
        return result


def _checked(link_id: str) -> str:
    """Return the link id without blanks around it, which typing and pasting leave behind."""
    bare = link_id.strip()
    if not SHORTEST_LINK_ID <= len(bare) <= LONGEST_LINK_ID:
        raise InvalidLinkError(
            f"linkId: expected {SHORTEST_LINK_ID} to {LONGEST_LINK_ID} characters"
        )
    if not bare.isprintable():
        raise InvalidLinkError("linkId: must be printable")
    return bare
