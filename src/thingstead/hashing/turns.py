"""Who is next: a bounded queue for few places, fair between those who pay for the waiting.

First come, first served would let one client with many calls keep everybody else out. So the
places go round between the payers, and when the queue is full, who has most calls in it makes
room. One payer alone may use all of it. Knows nothing of what is done in a place; used on one
event loop.
"""

import asyncio
from collections import deque

from thingstead.kernel.errors import OverloadedError

_Turn = asyncio.Future[None]


class FairTurns:
    """Gives out `places`; at most `waiting` calls wait for one."""

    def __init__(self, places: int, waiting: int) -> None:
        self._free = places
        self._most_waiting = waiting
        self._waiting = 0
        self.is_closed = False
        # The payer whose turn is next stands first; nobody stands here without a call.
        self._queues: dict[str, deque[_Turn]] = {}

    async def take(self, payer: str) -> None:
        """Wait for a place, which is to be given back.

        Raises:
            OverloadedError: the queue is full, or this call had to make room, or it is closed.
        """
        if self.is_closed:
            raise _stopping()
        if self._free > 0:
            self._free -= 1
            return
        if self._waiting >= self._most_waiting and not self._make_room(payer):
            raise _full()
        turn: _Turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(payer, deque()).append(turn)
        self._waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(payer, turn)
            elif turn.exception() is None:
                # The place came in the same moment.
                self.give_back()
            raise

    def give_back(self) -> None:
        """Give a place to the next payer's oldest call."""
        while self._queues:
            payer = next(iter(self._queues))
            queue = self._queues.pop(payer)
            turn = queue.popleft()
            if queue:
                self._queues[payer] = queue
            self._waiting -= 1
            # One that was cancelled has not been woken yet, and is gone when it is.
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def close(self) -> None:
        """Refuse who waits, and who comes from now on."""
        self.is_closed = True
        for queue in self._queues.values():
            for turn in queue:
                if not turn.done():
                    turn.set_exception(_stopping())
        self._queues.clear()
        self._waiting = 0

    def _make_room(self, payer: str) -> bool:
        """Refuse the newest call of who has most; False if the payer would then have more."""
        if not self._queues:
            return False
        greediest = max(self._queues, key=lambda one: len(self._queues[one]))
        if len(self._queues.get(payer, ())) + 1 >= len(self._queues[greediest]):
            return False
        turn = self._queues[greediest].pop()
        self._waiting -= 1
        if not turn.done():
            turn.set_exception(_full())
        return True

    def _leave(self, payer: str, turn: _Turn) -> None:
        queue = self._queues.get(payer)
        if queue is None or turn not in queue:
            return
        queue.remove(turn)
        self._waiting -= 1
        if not queue:
            del self._queues[payer]


def _full() -> OverloadedError:
    return OverloadedError("too many passwords wait to be checked", retry_after_s=1)


def _stopping() -> OverloadedError:
    return OverloadedError("the server is stopping", retry_after_s=1)
