"""What the rules of tags need from storage."""

from collections.abc import Sequence
from typing import Protocol

from thingstead.features.tags.model import TagName
from thingstead.kernel.ids import ThingId


class TagStore(Protocol):
    """Keeps the tags of things."""

    async def tags(self, thing_id: ThingId) -> list[TagName]:
        """Return the thing's tags in alphabetical order."""
        ...

    async def add_tags(
        self, thing_id: ThingId, names: Sequence[TagName], *, max_tags: int, at_ms: int
    ) -> bool:
        """Add the tags in one transaction; those that are there already change nothing.

        Returns False, and adds none, when the thing would have more than `max_tags`.
        """
        ...

    async def delete_tag(self, thing_id: ThingId, name: TagName) -> bool:
        """Delete the tag; return False when the thing does not have it."""
        ...
