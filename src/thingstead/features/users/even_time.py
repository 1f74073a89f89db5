"""Answers that take as long whether an account exists or not.

Somebody who measures how long an answer takes must not learn from it whom the store knows.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from thingstead.kernel.clock import Clock


@asynccontextmanager
async def even_time(
    seconds: float, clock: Clock, sleep: Callable[[float], Awaitable[None]]
) -> AsyncIterator[None]:
    """Leave the block after that many seconds, or later when the work inside took longer."""
    until = clock.monotonic() + seconds
    yield
    left = until - clock.monotonic()
    if left > 0:
        await sleep(left)
