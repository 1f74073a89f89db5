"""What guessing a secret costs: a budget of failures for each address that tries.

Successes cost nothing. Who has used the budget up is still looked at now and then, from a
reserve that all of them share: a client that shares its address with a guesser is let in, and
the guesser cannot load the store.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from thingstead.kernel.budget import Budgets, Rate, TokenBucket
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import ThingsteadError, TooManyRequestsError

Result = TypeVar("Result")


class Guesses:
    """Counts failed look-ups; `what` names in refusals what was not found, in the plural."""

    def __init__(self, what: str, clock: Clock, *, bad: Rate, spare: Rate) -> None:
        self._what = what
        self._clock = clock
        self._bad: Budgets[str] = Budgets(bad)
        self._spare_rate = spare
        self._spare = TokenBucket(spare, clock.monotonic())

    async def find(
        self,
        look_up: Callable[[], Awaitable[Result | None]] | None,
        *,
        address: str | None,
        refusal: type[ThingsteadError],
    ) -> Result:
        """Return what the look-up finds.

        `look_up` is None for what cannot be such a secret. `address` pays for failures; None,
        for what was found before, pays nothing.

        Raises:
            ThingsteadError: `refusal`, when nothing is found.
            TooManyRequestsError: too much was not found for this address.
        """
        found = None
        if look_up is not None and self._may_look_up(address):
            found = await look_up()
        if found is None:
            if address is not None:
                self._pay(address)
            raise refusal
        return found

    def _may_look_up(self, address: str | None) -> bool:
        now = self._clock.monotonic()
        if address is None or self._bad.wait(address, now) <= 0:
            return True
        return self._spare.take(self._spare_rate, now) <= 0

    def _pay(self, address: str) -> None:
        wait = self._bad.take(address, self._clock.monotonic())
        if wait > 0:
            per_minute = round(self._bad.rate.per_second * 60)
            raise TooManyRequestsError(
                f"at most {per_minute} {self._what} in a minute from one address",
                retry_after_s=int(wait) + 1,
            )
