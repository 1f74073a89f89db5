"""Everything that `core.db` keeps, in memory."""

from doubles.products import MemoryProductStore
from doubles.tags import MemoryTagStore
from doubles.things import ChangeCount, MemoryChangeSignal, MemoryPurgeList, MemoryThingStore


class MemoryCore:
    """The stores on one memory; `twin` is another process that sees the same."""

    def __init__(self) -> None:
        self.products = MemoryProductStore()
        self.purge_list = MemoryPurgeList()
        self._changes = ChangeCount()
        self.things = MemoryThingStore(self.products, self.purge_list, self._changes)
        self.tags = MemoryTagStore(self.things)
        self.change_signal = MemoryChangeSignal(self._changes)

    def twin(self) -> "MemoryCore":
        twin = MemoryCore()
        twin.products, twin.things, twin.tags = self.products, self.things, self.tags
        twin.purge_list, twin._changes = self.purge_list, self._changes
        twin.change_signal = MemoryChangeSignal(self._changes)
        return twin

    async def close(self) -> None:
        """Nothing is open."""
