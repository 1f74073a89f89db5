"""Tags in memory."""

from collections.abc import Sequence

from doubles.things import MemoryThingStore
from thingstead.features.tags.model import TagName
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.kernel.ids import ThingId


class MemoryTagStore:
    """Keeps the tags of the things in a store of things."""

    def __init__(self, things: MemoryThingStore) -> None:
        self._things = things
        self._tags = things.tags

    async def tags(self, thing_id: ThingId) -> list[TagName]:
        return sorted(self._of(thing_id))

    async def add_tags(
        self, thing_id: ThingId, names: Sequence[TagName], *, max_tags: int, at_ms: int
    ) -> bool:
        if thing_id not in self._things.known:
            raise ThingNotFoundError
        missing = set(names) - self._of(thing_id)
        if missing and len(self._of(thing_id)) + len(missing) > max_tags:
            return False
        self._tags[thing_id] = self._of(thing_id) | missing
        return True

    async def delete_tag(self, thing_id: ThingId, name: TagName) -> bool:
        if name not in self._of(thing_id):
            return False
        self._tags[thing_id].remove(name)
        return True

    def _of(self, thing_id: ThingId) -> set[TagName]:
        """Return the tags; a deleted thing's are gone with it."""
        return set(self._tags.get(thing_id, ())) if thing_id in self._things.known else set()
