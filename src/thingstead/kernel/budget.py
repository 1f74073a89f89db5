"""Token buckets: how often something may happen, with room for bursts.

Pure arithmetic on a monotonic clock that the caller reads; no timers, no I/O. `Budgets`
keeps one bucket per key and forgets full ones, so its memory is bounded by who is active.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second on average, and so many at once after a pause."""

    per_second: float
    burst: float


class TokenBucket:
    """One budget; starts full."""

    __slots__ = ("_at", "_tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        self._tokens = rate.burst
        self._at = now

    def take(self, rate: Rate, now: float, cost: float = 1.0) -> float:
        """Take `cost` and return 0.0, or take nothing and return the seconds to wait."""
        tokens = min(rate.burst, self._tokens + (now - self._at) * rate.per_second)
        self._at = now
        if tokens < cost:
            self._tokens = tokens
            return (cost - tokens) / rate.per_second
        self._tokens = tokens - cost
        return 0.0

    def give_back(self, rate: Rate, cost: float) -> None:
        """Put back what was taken."""
        self._tokens = min(rate.burst, self._tokens + cost)

    def wait(self, rate: Rate, now: float) -> float:
        """Return the seconds until one more can be taken, taking nothing."""
        missing = 1.0 - self._tokens - (now - self._at) * rate.per_second
        return missing / rate.per_second if missing > 0 else 0.0

    def is_full(self, rate: Rate, now: float) -> bool:
        """Return whether nothing has been taken that time has not given back."""
        return self._tokens + (now - self._at) * rate.per_second >= rate.burst


class Budgets(Generic[Key]):
    """One bucket per key, at most `max_keys` of them.

    When the table is full, the buckets that are full again are forgotten; if every key is
    active, the oldest half is, which errs towards letting someone through.
    """

    def __init__(self, rate: Rate, *, max_keys: int = 100_000) -> None:
        self.rate = rate
        self._max_keys = max_keys
        self._buckets: dict[Key, TokenBucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Key, now: float, cost: float = 1.0) -> float:
        """Take from the key's budget; return 0.0, or the seconds to wait."""
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._max_keys:
                self._forget(now)
            bucket = self._buckets[key] = TokenBucket(self.rate, now)
        return bucket.take(self.rate, now, cost)

    def give_back(self, key: Key, cost: float = 1.0) -> None:
        """Undo a `take` of the key that need not have been."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.give_back(self.rate, cost)

    def wait(self, key: Key, now: float) -> float:
        """Return the seconds until one more may happen, taking nothing."""
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None else bucket.wait(self.rate, now)

    def _forget(self, now: float) -> None:
        self._buckets = {k: b for k, b in self._buckets.items() if not b.is_full(self.rate, now)}
        if len(self._buckets) >= self._max_keys:
            kept = list(self._buckets.items())[(self._max_keys + 1) // 2 :]
            self._buckets = dict(kept)
