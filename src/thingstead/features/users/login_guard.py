"""Slows down those who guess passwords, and lets the owner of the account in all the same.

Three budgets count failures (`security.md`, row 25): of one account from one address, of one
address, and of one account from everywhere. The first two refuse. The third must not, or
anybody could lock anybody out: when it is exhausted, addresses from which the account was
logged in to lately go on as before, and others wait, longer each time.

An attempt is paid for before the password is looked at and given back when it was right, so
that guesses sent together do not all pass before the first has failed. What cannot be paid
while others are being checked waits for their outcome: only failures count. Accounts that do
not exist are treated like those that do. Knows neither passwords nor accounts.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from thingstead.features.users.limits import GuessLimits, refuse
from thingstead.kernel.budget import Budgets, Rate
from thingstead.kernel.clock import Clock
from thingstead.kernel.errors import Category, ThingsteadError
from thingstead.kernel.ids import digest

Sleep = Callable[[float], Awaitable[None]]
"""Waits for that many seconds."""

_OVERDRAWN_KEPT = 10_000
_NO_GUESS = frozenset({Category.UNAVAILABLE, Category.STORAGE_FULL})


def account_key(app_id: str, email: str) -> bytes:
    """Return what stands for an account, whether it exists or not; `email` as it is compared."""
    return digest(f"{app_id}\0{email}")


@dataclass(slots=True)
class _Checked:
    """The attempts of one pair under way; `next_end` is set when one of them ends."""

    number: int = 0
    next_end: asyncio.Event = field(default_factory=asyncio.Event)


class LoginGuard:
    """Counts wrong passwords."""

    def __init__(self, clock: Clock, limits: GuessLimits, sleep: Sleep) -> None:
        self._clock = clock
        self._limits = limits
        self._sleep = sleep
        self._pairs: Budgets[tuple[bytes, str]] = Budgets(limits.of_pair)
        self._addresses: Budgets[str] = Budgets(limits.of_address)
        self._accounts: Budgets[bytes] = Budgets(limits.of_account)
        self._familiar: dict[tuple[bytes, str], float] = {}
        # How many delays an account has caused: the next one is twice as long.
        self._overdrawn: dict[bytes, int] = {}
        self._waiting = 0
        self._checked: dict[tuple[bytes, str], _Checked] = {}

    @asynccontextmanager
    async def attempt(self, account: bytes, address: str) -> AsyncIterator[None]:
        """Let one password be checked inside; what is raised there counts as a failure.

        A server that is too busy or broken to check is nobody's failure.

        Raises:
            TooManyRequestsError: too many failures; the password must not be looked at.
        """
        await self._let_others_finish((account, address))
        delay_s = self._delay_s(account, address)
        paid_by_account = self._pay(account, address)
        with self._checking((account, address)):
            async with self._paid(account, address, delay_s, of_account=paid_by_account):
                yield

    @asynccontextmanager
    async def _paid(
        self, account: bytes, address: str, delay_s: float, *, of_account: bool
    ) -> AsyncIterator[None]:
        """Give back what was paid, unless the block fails."""
        if delay_s > 0:
            await self._wait(delay_s)
        try:
            yield
        except ThingsteadError as error:
            if error.category in _NO_GUESS:
                self._give_back(account, address, of_account=of_account)
            raise
        self._give_back(account, address, of_account=of_account)
        self.make_familiar(account, address)

    async def _let_others_finish(self, pair: tuple[bytes, str]) -> None:
        """Wait as long as the pair has no budget only because others of it are being checked."""
        while (checked := self._checked.get(pair)) is not None:
            if self._pairs.wait(pair, self._clock.monotonic()) <= 0:
                return
            if self._waiting >= self._limits.waiting:
                return
            self._waiting += 1
            try:
                await checked.next_end.wait()
            finally:
                self._waiting -= 1

    @contextmanager
    def _checking(self, pair: tuple[bytes, str]) -> Iterator[None]:
        checked = self._checked.setdefault(pair, _Checked())
        checked.number += 1
        try:
            yield
        finally:
            checked.number -= 1
            if checked.number == 0:
                del self._checked[pair]
            ended, checked.next_end = checked.next_end, asyncio.Event()
            ended.set()

    def make_familiar(self, account: bytes, address: str) -> None:
        """Never slow the account's log-ins from that address down, for 30 days."""
        self._familiar.pop((account, address), None)
        if len(self._familiar) >= self._limits.familiar:
            del self._familiar[next(iter(self._familiar))]
        self._familiar[account, address] = self._clock.monotonic()

    def _delay_s(self, account: bytes, address: str) -> float:
        """Return how long the attempt has to wait, or refuse it before anything is paid."""
        now = self._clock.monotonic()
        wait_s = self._pairs.wait((account, address), now)
        if wait_s > 0:
            per_minute = _count(self._limits.of_pair, 60)
            refuse(
                f"at most {per_minute} wrong passwords of one account in a minute from one address",
                wait_s,
            )
        wait_s = self._addresses.wait(address, now)
        if wait_s > 0:
            per_minute = _count(self._limits.of_address, 60)
            refuse(f"at most {per_minute} wrong passwords in a minute from one address", wait_s)
        if self._accounts.wait(account, now) <= 0 or self.is_familiar(account, address):
            return 0.0
        if self._waiting >= self._limits.waiting:
            per_hour = _count(self._limits.of_account, 3_600)
            refuse(
                f"at most {per_hour} wrong passwords of one account in an hour",
                self._limits.longest_delay_s,
            )
        return self._next_delay_s(account)

    def _next_delay_s(self, account: bytes) -> float:
        times = self._overdrawn.pop(account, 0)
        delay_s: float = self._limits.shortest_delay_s * 2**times
        if delay_s < self._limits.longest_delay_s:
            times += 1
        if len(self._overdrawn) >= _OVERDRAWN_KEPT:
            del self._overdrawn[next(iter(self._overdrawn))]
        self._overdrawn[account] = times
        return min(delay_s, self._limits.longest_delay_s)

    def _pay(self, account: bytes, address: str) -> bool:
        """Take one from each budget; return whether the account had one left."""
        now = self._clock.monotonic()
        self._pairs.take((account, address), now)
        self._addresses.take(address, now)
        if self._accounts.take(account, now) > 0:
            return False
        # Time has given something back; the next delay is as much shorter.
        times = self._overdrawn.pop(account, 0)
        if times > 1:
            self._overdrawn[account] = times - 1
        return True

    def _give_back(self, account: bytes, address: str, *, of_account: bool) -> None:
        self._pairs.give_back((account, address))
        self._addresses.give_back(address)
        if of_account:
            self._accounts.give_back(account)

    async def _wait(self, delay_s: float) -> None:
        self._waiting += 1
        try:
            await self._sleep(delay_s)
        finally:
            self._waiting -= 1

    def is_familiar(self, account: bytes, address: str) -> bool:
        """Return whether the account was logged in to from that address in the last 30 days."""
        at = self._familiar.get((account, address))
        return at is not None and self._clock.monotonic() - at <= self._limits.familiar_s


def _count(rate: Rate, seconds: int) -> int:
    return round(rate.per_second * seconds)
