"""The rules of things: activation, look-up by token, rotation, deletion.

`Things.resolve` stands on every device request, so tokens seen lately are remembered
(`kernel/known_tokens.py`). Failed look-ups and failed activations cost their sender budget,
successes cost nothing.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from thingstead.features.things.errors import InvalidActivationCodeError, ThingNotFoundError
from thingstead.features.things.model import NewThing, SealedToken, Thing
from thingstead.features.things.ports import Seal, ThingStore
from thingstead.kernel.budget import Budgets, Rate, TokenBucket
from thingstead.kernel.changes import Changes, Kind
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
from thingstead.kernel.known_tokens import Found, KnownTokens, TokenLimits

_PAGE = 500
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class ThingLimits:
    """How much may be tried and remembered."""

    tokens: TokenLimits = field(default=TokenLimits())
    bad_codes: Rate = field(default=Rate(per_second=10 / 60, burst=10))
    # Right codes sent together from an address that sent wrong ones: let through slowly.
    spare_codes: Rate = field(default=Rate(per_second=50, burst=50))


class Things:
    """Activates, finds, lists, rotates and deletes things."""

    def __init__(
        self,
        store: ThingStore,
        seal: Seal,
        changes: Changes,
        *,
        ids: IdSource,
        clock: Clock,
        limits: ThingLimits,
        shows_all_epochs: bool = False,
    ) -> None:
        self._store = store
        self._seal = seal
        self._changes = changes
        self._ids = ids
        self._clock = clock
        self._limits = limits
        self._shows_all_epochs = shows_all_epochs
        self._known: KnownTokens[Thing] = KnownTokens("unknown thing tokens", clock, limits.tokens)
        self._bad_codes: Budgets[str] = Budgets(limits.bad_codes)
        self._spare = TokenBucket(limits.spare_codes, clock.monotonic())
        changes.listen(Kind.THING, self._known.forget)

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
            self._take_spare()
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
                raise self._too_many_codes(self._bad_codes.wait(address, self._clock.monotonic()))
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
        self._changes.look()
        return self._known.get(token)

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
        return await self._known.find(
            token,
            (lambda: self._look_up(token)) if is_token_shaped(token) else None,
            address=address,
            refusal=ThingNotFoundError,
        )

    async def _look_up(self, token: str) -> Found[Thing] | None:
        found = await self._store.thing_by_token(digest(token), at_ms=self._clock.now_ms())
        if found is None:
            return None
        thing, expires_at_ms = found
        return Found(self._as_shown(thing), thing.id, expires_at_ms)

    def _as_shown(self, thing: Thing) -> Thing:
        if not self._shows_all_epochs:
            return thing
        return replace(thing, epochs=tuple(range(thing.epochs[-1] + 1)))

    async def get(self, thing_id: ThingId) -> Thing:
        """Return the thing with that id.

        Raises:
            ThingNotFoundError: there is none.
        """
        thing = await self._store.thing(thing_id)
        if thing is None:
            raise ThingNotFoundError
        return self._as_shown(thing)

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
        self._changes.tell(Kind.THING, thing_id)
        return new.token

    async def delete(self, thing_id: ThingId) -> None:
        """Delete the thing; its values are purged soon after.

        Raises:
            ThingNotFoundError: there is no such thing.
        """
        if not await self._store.delete_thing(thing_id, at_ms=self._clock.now_ms()):
            raise ThingNotFoundError
        self._changes.tell(Kind.THING, thing_id)

    def _take_spare(self) -> None:
        wait = self._spare.take(self._limits.spare_codes, self._clock.monotonic())
        if wait > 0:
            raise self._too_many_codes(1.0)

    def _too_many_codes(self, wait_s: float) -> TooManyRequestsError:
        per_minute = round(self._bad_codes.rate.per_second * 60)
        return TooManyRequestsError(
            f"at most {per_minute} wrong activation codes in a minute from one address",
            retry_after_s=int(wait_s) + 1,
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
