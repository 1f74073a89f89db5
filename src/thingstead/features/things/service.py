"""The rules of things: activation, look-up by token, rotation, deletion.

`Things.resolve` stands on every device request, so it keeps a bounded memory of tokens seen
lately. That memory holds successes only: what the command line creates is in force at once.
Failed look-ups and failed activations cost their sender budget, successes cost nothing.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from thingstead.features.things.errors import InvalidActivationCodeError, ThingNotFoundError
from thingstead.features.things.model import NewThing, SealedToken, Thing
from thingstead.features.things.ports import ChangeSignal, Seal, ThingStore
from thingstead.kernel.budget import Budgets, Rate, TokenBucket
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import TooManyRequestsError
from thingstead.kernel.ids import (
    IdSource,
    ProductId,
    ThingId,
    ThingToken,
    digest,
    is_token_shaped,
    normalised_code,
)

_PAGE = 500
_DAY_MS = 86_400_000
_CHECK_EVERY_S = 0.05  # rulings.md: the files are looked at once every 50 ms at most


@dataclass(frozen=True, slots=True)
class ThingLimits:
    """How much may be tried and remembered."""

    tokens_kept: int = 50_000
    bad_tokens: Rate = field(default=Rate(per_second=20 / 60, burst=20))
    bad_codes: Rate = field(default=Rate(per_second=10 / 60, burst=10))
    # Look-ups for addresses that have used their budget up, all of them together: a device that
    # shares its address with a guesser is still let in, and the guesser cannot load the store.
    spare_look_ups: Rate = field(default=Rate(per_second=50, burst=50))


class Things:
    """Activates, finds, lists, rotates and deletes things."""

    def __init__(
        self,
        store: ThingStore,
        seal: Seal,
        signal: ChangeSignal,
        *,
        ids: IdSource,
        clock: Clock,
        limits: ThingLimits,
    ) -> None:
        self._store = store
        self._seal = seal
        self._signal = signal
        self._ids = ids
        self._clock = clock
        self._limits = limits
        self._known: dict[str, tuple[Thing, float]] = {}
        self._generation = 0
        self._looked_at = float("-inf")
        self._bad_tokens: Budgets[str] = Budgets(limits.bad_tokens)
        self._bad_codes: Budgets[str] = Budgets(limits.bad_codes)
        self._spare = TokenBucket(limits.spare_look_ups, clock.monotonic())
        self._on_change: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call the listener whenever known tokens may have ceased to be valid."""
        self._on_change.append(listener)

    async def activate(self, code: str, product_id: ProductId | None, *, address: str) -> NewThing:
        """Make a thing of an activation code; the code is used up when this returns.

        Raises:
            InvalidActivationCodeError: the code is unknown, used, or of another product.
            TooManyRequestsError: too many wrong codes came from this address.
        """
        # Taken before the look-up and given back on success, so that guesses sent together
        # do not all pass before the first has failed.
        is_paid = self._bad_codes.take(address, self._clock.monotonic()) <= 0
        if not is_paid:
            # Right codes sent together from one address are let through a few at a time.
            self._take_spare("wrong activation codes", self._bad_codes)
        known = normalised_code(code)
        new = self._new_secrets()
        thing = None
        if known is not None:
            thing = await self._store.activate(
                digest(known),
                product_id,
                thing_id=new.thing_id,
                token=new.sealed,
                at_ms=self._clock.now_ms(),
            )
        if thing is None:
            if not is_paid:
                raise self._too_many("wrong activation codes", self._bad_codes, address)
            raise InvalidActivationCodeError
        if is_paid:
            self._bad_codes.give_back(address)
        return NewThing(thing, new.token)

    async def create(self, product_id: ProductId) -> NewThing | None:
        """Make a thing without a code; return None when there is no such product."""
        new = self._new_secrets()
        thing = await self._store.add_thing(
            product_id, thing_id=new.thing_id, token=new.sealed, at_ms=self._clock.now_ms()
        )
        return None if thing is None else NewThing(thing, new.token)

    def known(self, token: str) -> Thing | None:
        """Return the thing of a token seen lately, without waiting, or None to call `resolve`."""
        now = self._clock.monotonic()
        if now - self._looked_at >= _CHECK_EVERY_S:
            self.look_for_changes()
        entry = self._known.get(token)
        if entry is None or entry[1] < now:
            return None
        return entry[0]

    async def resolve(self, token: str, *, address: str | None) -> Thing:
        """Return the thing that the token belongs to.

        `address` pays for unknown tokens; None, for tokens that were known, pays nothing.

        Raises:
            ThingNotFoundError: no thing has this token.
            TooManyRequestsError: too many unknown tokens came from this address.
        """
        thing = self.known(token)
        if thing is not None:
            return thing
        found = None
        generation = self._generation
        if is_token_shaped(token) and self._may_look_up(address):
            found = await self._store.thing_by_token(digest(token), at_ms=self._clock.now_ms())
        if found is None:
            if address is not None:
                self._take(self._bad_tokens, address, "unknown thing tokens")
            raise ThingNotFoundError
        # What was looked up before a change must not be remembered after it.
        if generation == self._generation:
            self._remember(token, *found)
        return found[0]

    def look_for_changes(self) -> None:
        """Forget every known token when another process announced a change."""
        self._looked_at = self._clock.monotonic()
        if self._signal.has_changed():
            self.forget()

    def forget(self) -> None:
        """Forget every known token and tell the listeners."""
        self._generation += 1
        self._known.clear()
        for listener in self._on_change:
            listener()

    async def get(self, thing_id: ThingId) -> Thing:
        """Return the thing with that id.

        Raises:
            ThingNotFoundError: there is none.
        """
        thing = await self._store.thing(thing_id)
        if thing is None:
            raise ThingNotFoundError
        return thing

    async def all(self, product_id: ProductId | None = None) -> AsyncIterator[NewThing]:
        """Yield the things with their newest tokens, ascending by id."""
        after: ThingId | None = None
        while page := await self._store.things(product_id, after=after, limit=_PAGE):
            for thing, token in page:
                yield NewThing(thing, ThingToken(self._seal.open(token.sealed)))
            after = page[-1][0].id

    async def rotate_token(self, thing_id: ThingId, *, overlap_ms: int = _DAY_MS) -> ThingToken:
        """Give the thing a new token; earlier ones work for `overlap_ms` more.

        Raises:
            ThingNotFoundError: there is no such thing.
        """
        new = self._new_secrets()
        now = self._clock.now_ms()
        replaced = await self._store.replace_token(
            thing_id, new.sealed, at_ms=now, old_expires_at_ms=now + overlap_ms
        )
        if not replaced:
            raise ThingNotFoundError
        self.forget()
        return new.token

    async def delete(self, thing_id: ThingId) -> None:
        """Delete the thing; its values are purged soon after.

        Raises:
            ThingNotFoundError: there is no such thing.
        """
        if not await self._store.delete_thing(thing_id, at_ms=self._clock.now_ms()):
            raise ThingNotFoundError
        self.forget()

    def _remember(self, token: str, thing: Thing, expires_at_ms: int | None) -> None:
        if len(self._known) >= self._limits.tokens_kept:
            del self._known[next(iter(self._known))]
        until = float("inf")
        if expires_at_ms is not None:
            until = self._clock.monotonic() + (expires_at_ms - self._clock.now_ms()) / 1_000
        self._known[token] = (thing, until)

    def _may_look_up(self, address: str | None) -> bool:
        now = self._clock.monotonic()
        if address is None or self._bad_tokens.wait(address, now) <= 0:
            return True
        return self._spare.take(self._limits.spare_look_ups, now) <= 0

    def _take(self, budgets: Budgets[str], address: str, what: str) -> None:
        if budgets.take(address, self._clock.monotonic()) > 0:
            raise self._too_many(what, budgets, address)

    def _take_spare(self, what: str, budgets: Budgets[str]) -> None:
        rate = self._limits.spare_look_ups
        if self._spare.take(rate, self._clock.monotonic()) > 0:
            raise self._too_many(what, budgets, None)

    def _too_many(
        self, what: str, budgets: Budgets[str], address: str | None
    ) -> TooManyRequestsError:
        wait = 1.0 if address is None else budgets.wait(address, self._clock.monotonic())
        per_minute = round(budgets.rate.per_second * 60)
        return TooManyRequestsError(
            f"at most {per_minute} {what} in a minute from one address",
            retry_after_s=int(wait) + 1,
        )

    def _new_secrets(self) -> "_Secrets":
        token = ThingToken(self._ids.token())
        sealed = SealedToken(digest(token), self._seal.close(token))
        return _Secrets(ThingId(self._ids.token()), token, sealed)


@dataclass(frozen=True, slots=True)
class _Secrets:
    thing_id: ThingId
    token: ThingToken
    sealed: SealedToken
