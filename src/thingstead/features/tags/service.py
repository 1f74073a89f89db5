"""The rules of tags: names of 1 to 64 characters in Unicode's composed form, 50 a thing.

Adding a tag twice is the same as adding it once. A tag belongs to its thing only: deleting it
there leaves equal names on other things alone.
"""

import unicodedata
from collections.abc import Sequence

from thingstead.features.tags.errors import InvalidTagError, TagNotFoundError, TooManyTagsError
from thingstead.features.tags.model import MAX_TAG_CHARACTERS, TagName
from thingstead.features.tags.ports import TagStore
from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import ThingId
from thingstead.kernel.names import name_problem


class Tags:
    """Lists, adds and deletes the tags of a thing."""

    def __init__(self, store: TagStore, clock: Clock, *, max_tags: int) -> None:
        self._store = store
        self._clock = clock
        self._max_tags = max_tags

    async def of(self, thing_id: ThingId) -> list[TagName]:
        """Return the thing's tags in alphabetical order."""
        return await self._store.tags(thing_id)

    async def add(self, thing_id: ThingId, names: Sequence[str]) -> list[TagName]:
        """Add the tags, all or none, and return them as they are kept.

        Raises:
            InvalidTagError: there is none, or one is not a possible name.
            TooManyTagsError: the thing would have more than it may.
        """
        if not names:
            raise InvalidTagError("name: missing")
        tags = [tag_name(name) for name in names]
        added = await self._store.add_tags(
            thing_id, tags, max_tags=self._max_tags, at_ms=self._clock.now_ms()
        )
        if not added:
            raise TooManyTagsError(f"a thing may have {self._max_tags}")
        return tags

    async def delete(self, thing_id: ThingId, name: str) -> None:
        """Delete the tag from the thing.

        Raises:
            TagNotFoundError: the thing does not have it.
        """
        known = TagName(unicodedata.normalize("NFC", name))
        if not await self._store.delete_tag(thing_id, known):
            raise TagNotFoundError


def tag_name(text: str) -> TagName:
    """Return the tag as it is kept: without blanks around it, composed (NFC).

    Raises:
        InvalidTagError: it cannot be a tag's name.
    """
    name = unicodedata.normalize("NFC", text.strip()[: 4 * MAX_TAG_CHARACTERS])
    problem = name_problem(name, MAX_TAG_CHARACTERS)
    if problem is not None:
        raise InvalidTagError(f"name: {problem}")
    if any(character in name for character in "/\\%") or name in {".", ".."}:
        raise InvalidTagError("name: must not contain a slash or %, or be . or ..")
    return TagName(name)
