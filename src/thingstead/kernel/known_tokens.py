"""Tokens seen lately, and what guessing one costs.

Stands on every request, of things and of users alike. The memory is bounded and holds
successes only: what somebody creates is in force at once. Failed look-ups cost their sender
budget (`guesses.py`), successes cost nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from thingstead.kernel.budget import Rate
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import ThingsteadError
from thingstead.kernel.guesses import Guesses

Holder = TypeVar("Holder")

_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Found(Generic[Holder]):
    """Whose token it is; `subject` is the id under which it is forgotten again."""

    holder: Holder
    subject: str
    expires_at_ms: int | None


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """How much may be tried and remembered."""

    kept: int = 50_000
    bad: Rate = field(default=Rate(per_second=20 / 60, burst=20))
    # Look-ups for addresses that have used their budget up, all of them together: a client that
    # shares its address with a guesser is still let in, and the guesser cannot load the store.
    spare: Rate = field(default=Rate(per_second=50, burst=50))


class KnownTokens(Generic[Holder]):
    """Remembers whose tokens they are; `what` names them in refusals, in the plural."""

    def __init__(self, what: str, clock: Clock, limits: TokenLimits) -> None:
        self._clock = clock
        self._limits = limits
        self._known: dict[str, tuple[Holder, float]] = {}
        self._tokens_of: dict[str, set[str]] = {}
        self._subjects: dict[str, str] = {}
        self._generation = 0
        self._guesses = Guesses(what, clock, bad=limits.bad, spare=limits.spare)

    def __len__(self) -> int:
        return len(self._known)

    def get(self, token: str) -> Holder | None:
        """Return whose token it is, if that is remembered and still true."""
        entry = self._known.get(token)
        # Hardly any token expires, and this stands on every request.
        if entry is None or (entry[1] != _NEVER and entry[1] < self._clock.monotonic()):
            return None
        return entry[0]

    async def find(
        self,
        token: str,
        look_up: Callable[[], Awaitable[Found[Holder] | None]] | None,
        *,
        address: str | None,
        refusal: type[ThingsteadError],
    ) -> Holder:
        """Look the token up and remember whose it is.

        `look_up` is None for what cannot be a token. `address` pays for unknown ones; None,
        for tokens that were known, pays nothing.

        Raises:
            ThingsteadError: `refusal`, when nobody has this token.
            TooManyRequestsError: too many unknown tokens came from this address.
        """
        generation = self._generation
        found = await self._guesses.find(look_up, address=address, refusal=refusal)
        # What was looked up before a change must not be remembered after it.
        if generation == self._generation:
            self._remember(token, found)
        return found.holder

    def forget(self, subject: str | None) -> None:
        """Forget the tokens of one subject, or with None every one."""
        self._generation += 1
        if subject is None:
            self._known.clear()
            self._tokens_of.clear()
            self._subjects.clear()
            return
        for token in self._tokens_of.pop(subject, ()):
            del self._known[token]
            del self._subjects[token]

    def _remember(self, token: str, found: Found[Holder]) -> None:
        while len(self._known) >= self._limits.kept:
            self._drop(next(iter(self._known)))
        until = _NEVER
        if found.expires_at_ms is not None:
            left_ms = found.expires_at_ms - self._clock.now_ms()
            until = self._clock.monotonic() + left_ms / 1_000
        self._drop(token)
        self._known[token] = (found.holder, until)
        self._subjects[token] = found.subject
        self._tokens_of.setdefault(found.subject, set()).add(token)

    def _drop(self, token: str) -> None:
        if self._known.pop(token, None) is None:
            return
        subject = self._subjects.pop(token)
        tokens = self._tokens_of[subject]
        tokens.discard(token)
        if not tokens:
            del self._tokens_of[subject]
