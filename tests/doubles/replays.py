"""A history of events in memory: what was committed, and what of it has been announced."""

import asyncio
from collections.abc import Callable

from thingstead.bus.memory import MemoryBus
from thingstead.features.live.ports import Event, Missed


class History:
    """Commits events, and announces them as late as wanted; pages hold `page` of them."""

    def __init__(self, bus: MemoryBus, page: int = 3) -> None:
        self.bus = bus
        self.page = page
        self.committed: list[Event] = []
        self.forgotten: set[int] = set()
        self.first_known = 0
        self.newest = 0
        self.looks: list[int] = []
        self.during: list[Callable[[], None]] = []
        """What happens while looks are under way, one after the other."""

    def commit(self, event: Event) -> None:
        """Store an event that is announced later."""
        self.committed.append(event)
        self.newest = max(self.newest, event.sequence)

    def happen(self, event: Event) -> None:
        """Store and announce."""
        self.commit(event)
        self.bus.publish(event)

    async def missed(self, after: int) -> Missed:
        self.looks.append(after)
        await asyncio.sleep(0)
        has_gap = after < self.first_known or after > self.newest
        if after > self.newest:
            return Missed([], self.newest, is_complete=True, has_gap=True)
        found = [event for event in self.committed if event.sequence > after]
        part = found[: self.page]
        is_complete = len(part) == len(found)
        scanned_to = self.newest if is_complete else part[-1].sequence
        events = [event for event in part if event.sequence not in self.forgotten]
        if self.during:
            self.during.pop(0)()
        return Missed(events, scanned_to, is_complete, has_gap)
