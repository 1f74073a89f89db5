"""Small work that is done after the answer, so that its time tells nothing about accounts.

Only an account that exists has a letter to be stored, and storing waits for other writers.
Nobody who measures answers may see that wait. What waits is bounded, and is lost when the
server stops: the letters that come out of it can be asked for again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)

MOST_WAITING = 100

Errand = Callable[[], Awaitable[None]]


class Errands:
    """Keeps work for later and does it in order, one at a time."""

    def __init__(self, *, most_waiting: int = MOST_WAITING) -> None:
        self._most_waiting = most_waiting
        self._waiting: deque[Errand] = deque()
        self._has_work = asyncio.Event()
        self._is_dropping = False

    def later(self, errand: Errand) -> None:
        """Have it done soon; when too many wait it is dropped, which is logged once."""
        if len(self._waiting) < self._most_waiting:
            self._waiting.append(errand)
            self._has_work.set()
        elif not self._is_dropping:
            self._is_dropping = True
            _log.warning("letters are dropped: %d wait to be written already", self._most_waiting)

    async def do_waiting(self) -> None:
        """Do all that waits; what fails is logged and not tried again."""
        while self._waiting:
            errand = self._waiting.popleft()
            try:
                await errand()
            except Exception as error:  # noqa: BLE001  # Supervises: the others are done all the same.
                _log.warning("a letter was not written: %s", error)
        self._is_dropping = False

    async def run(self) -> None:
        """Do what comes until cancelled."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            await self.do_waiting()
