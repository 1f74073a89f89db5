"""What users see of values, and do to them: their own things' and those shared with them.

Every method asks the caller's reach (`features/sharing`) and then does what was asked with the
epochs that may be seen. What the caller has no right to at all, and what their app does not
reach, is answered like what does not exist; a right that is missing beside another is named.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from thingstead.features.magic.documents import document_tag
from thingstead.features.magic.service import DESCRIPTION, Magic
from thingstead.features.sharing.descriptions import Described, Page, public_part
from thingstead.features.sharing.errors import RightMissingError, TooManyResourcesError
from thingstead.features.sharing.following import Following, following_of
from thingstead.features.sharing.model import Reach, Rights, right_names
from thingstead.features.sharing.reaches import Reaches
from thingstead.features.sharing.resource_writes import write_of
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.things.model import Thing
from thingstead.features.things.service import Things
from thingstead.features.users.model import Caller
from thingstead.features.values.checks import is_resource_key
from thingstead.features.values.errors import InvalidKeyError, ResourceNotFoundError
from thingstead.features.values.model import (
    Appended,
    Reading,
    Row,
    Source,
    Window,
)
from thingstead.features.values.ports import ValueArchive
from thingstead.features.values.service import Values
from thingstead.kernel.ids import ThingId
from thingstead.kernel.json_values import JSONText

Roles = dict[str, dict[ThingId, Rights]]
"""What a user may do, by resource and thing."""

_THINGS_AT_ONCE = 100
MOST_LISTED = 100_000
DESCRIPTIONS_A_PAGE = 200
DESCRIPTION_BYTES_A_PAGE = 256 * 1024


class UserResources:
    """Lists, reads, writes, follows and deletes what a caller may.

    Where a thing is named by a text, that is its id or its token.
    """

    def __init__(
        self,
        reaches: Reaches,
        things: Things,
        values: Values,
        magic: Magic,
        archive: ValueArchive,
        *,
        role_entries: int,
        listed_entries: int = MOST_LISTED,
        things_at_once: int = _THINGS_AT_ONCE,
    ) -> None:
        self._reaches = reaches
        self._things = things
        self._values = values
        self._magic = magic
        self._archive = archive
        self._role_entries = role_entries
        self._listed_entries = listed_entries
        self._things_at_once = things_at_once

    async def roles(self, caller: Caller) -> Roles:
        """Return the caller's rights on each resource that a thing has written.

        A description counts as written. Beyond `role_entries` pairs of resource and thing the
        rest is left out: first things shared with the caller, then those with greater ids.
        """
        roles: Roles = {}
        left = self._role_entries
        reach = await self._reaches.of(caller)
        async with aclosing(self._written(reach)) as written:
            async for resource, thing_id in written:
                if left == 0:
                    break
                rights = _rights(caller, reach, thing_id, resource)
                if rights:
                    roles.setdefault(resource, {})[thing_id] = rights
                    left -= 1
        return roles

    async def resources(self, caller: Caller) -> list[tuple[str, list[ThingId]]]:
        """Return all resources that the caller may read, names ascending, with their things.

        Timelines only: descriptions have calls of their own.

        Raises:
            TooManyResourcesError: they are more pairs of resource and thing than are listed.
        """
        readable: dict[str, list[ThingId]] = {}
        left = self._listed_entries
        reach = await self._reaches.of(caller)
        async with aclosing(self._written(reach)) as written:
            async for resource, thing_id in written:
                may_read = _rights(caller, reach, thing_id, resource) & Rights.GET
                if resource == DESCRIPTION or not may_read:
                    continue
                if left == 0:
                    raise TooManyResourcesError(f"more than {self._listed_entries} of all things")
                readable.setdefault(resource, []).append(thing_id)
                left -= 1
        return sorted(readable.items())

    async def read_all(
        self, caller: Caller, resource: str, window: Window
    ) -> list[tuple[ThingId, Row]]:
        """Return the resource's values of all things together, newest first.

        Raises:
            ResourceNotFoundError: no thing that the caller may read has written it.
        """
        sources = _sources(await self._readable(caller, resource))
        rows = await self._archive.newest_of(sources, resource, window)
        if not rows and not await self._has_written(sources, resource):
            raise ResourceNotFoundError
        return rows

    async def read(self, caller: Caller, resource: str, thing_text: str, window: Window) -> Reading:
        """Return one thing's values of the resource, newest first; needs `get`.

        Raises:
            ThingNotFoundError, ResourceNotFoundError: there is none that the caller knows of.
            RightMissingError: the caller has other rights only.
        """
        thing = await self._thing_for(caller, thing_text, resource, Rights.GET)
        return await self._values.read(thing, resource, window)

    async def write(
        self,
        caller: Caller,
        resource: str,
        thing_text: str,
        sent: object,
    ) -> Appended:
        """Write values to one resource of one thing, durably; needs `post`.

        `sent` is the body's JSON: `{"values":[{"value":…}]}`, with or without keys.

        Raises:
            InvalidKeyError: no values can be written there, such as to a magic resource.
            ThingNotFoundError, ResourceNotFoundError: there is none that the caller knows of.
            RightMissingError: the caller has other rights only.
            ThingsteadError: as `Values.submit_encoded`.
        """
        if not is_resource_key(resource):
            raise InvalidKeyError("a user writes values to ordinary keys only")
        thing = await self._thing_for(caller, thing_text, resource, Rights.POST)
        return await self._values.submit_encoded(thing, lambda: write_of(sent, resource))

    async def delete_values(
        self,
        caller: Caller,
        resource: str,
        thing_text: str,
        *,
        from_ms: int | None,
        until_ms: int | None,
    ) -> int:
        """Delete values with `from_ms <= time < until_ms` for good; return how many there were.

        Only the thing's owner may; of earlier owners' values nothing is touched.

        Raises:
            ThingNotFoundError, ResourceNotFoundError: there is none that the caller knows of.
            RightMissingError: the caller does not own the thing.
        """
        reach = await self._reaches.of(caller)
        thing = await self._thing_in(reach, thing_text)
        if not _rights(caller, reach, thing.id, resource) or not is_resource_key(resource):
            raise ResourceNotFoundError
        if thing.id not in reach.owned:
            raise RightMissingError(f"{resource}: only the owner deletes values")
        return await self._archive.delete_values(
            Source(thing.id, thing.epochs), resource, from_ms=from_ms, until_ms=until_ms
        )

    async def description(self, caller: Caller, thing_text: str) -> Described:
        """Return the thing's description; needs `get` on it.

        Raises:
            ThingNotFoundError, ResourceNotFoundError: there is none that the caller knows of.
            RightMissingError: the caller has other rights only.
        """
        thing = await self._thing_for(caller, thing_text, DESCRIPTION, Rights.GET)
        return Described(thing.id, await self._magic.description(thing))

    async def public_description(self, caller: Caller, thing_text: str) -> Described:
        """Return what of the thing's description everybody sees who has any right of the thing.

        That is all of it for those who may read it, and the thing's name for the others.

        Raises:
            ThingNotFoundError: there is none that the caller knows of.
        """
        reach = await self._reaches.of(caller)
        thing = await self._thing_in(reach, thing_text)
        description = await self._magic.description(thing)
        return Described(thing.id, _public(reach, thing.id, description))

    async def public_description_pages(self, caller: Caller) -> AsyncGenerator[Page, None]:
        """Yield the same of all things of which the caller has any right, as many at once."""
        reach = await self._reaches.of(caller)
        async with aclosing(self._described(reach.things())) as pages:
            async for page in pages:
                public = [
                    (thing_id, _public_text(reach, thing_id, text)) for thing_id, text in page
                ]
                if seen := [(thing_id, one) for thing_id, one in public if one is not None]:
                    yield seen

    async def description_pages(
        self, caller: Caller
    ) -> AsyncGenerator[list[tuple[ThingId, JSONText]], None]:
        """Yield the descriptions that the caller may read, of those things that have one.

        At most `DESCRIPTIONS_A_PAGE` at once, and fewer when they are large.
        """
        async with aclosing(self._described(await self._readable(caller, DESCRIPTION))) as pages:
            async for page in pages:
                yield page

    async def replace_description(
        self, caller: Caller, thing_text: str, document: object, *, etag: str | None
    ) -> str:
        """Replace the whole description, durably; return its new tag. Needs `put` on it.

        With `etag` (`magic/documents.py`) only if it still has that one.

        Raises:
            ThingNotFoundError, ResourceNotFoundError: there is none that the caller knows of.
            RightMissingError: the caller has other rights only.
            InvalidDescriptionError, DocumentTooLargeError: it is none, or too large.
            DocumentChangedError: it has another tag than `etag`.
        """
        thing = await self._thing_for(caller, thing_text, DESCRIPTION, Rights.PUT)
        change = self._magic.description_change(document, only_if=etag)
        await self._values.submit_change(thing, change)
        return document_tag(document)

    async def follow(self, caller: Caller, resource: str) -> Following:
        """Return what a live stream of the resource listens to, with the rights of now.

        Nothing, when the caller may read it of no thing: that may change while they listen.
        """
        reach = await self._reaches.of(caller)
        if not caller.app.reaches(resource):
            reach = Reach({}, {})
        return following_of(reach, resource)

    async def thing_of(self, caller: Caller, thing_text: str) -> Thing:
        """Return a thing of which the caller has any right, with the epochs they may see.

        Raises:
            ThingNotFoundError: there is none that the caller knows of.
        """
        return await self._thing_in(await self._reaches.of(caller), thing_text)

    async def _thing_in(self, reach: Reach, thing_text: str) -> Thing:
        thing = reach.thing(thing_text)
        if thing is None:
            # A token opens no thing here that the caller does not reach anyhow.
            holder = await self._things.resolve(thing_text, address=None)
            thing = reach.thing(holder.id)
        if thing is None:
            raise ThingNotFoundError
        return thing

    async def _thing_for(
        self, caller: Caller, thing_text: str, resource: str, needed: Rights
    ) -> Thing:
        reach = await self._reaches.of(caller)
        thing = await self._thing_in(reach, thing_text)
        rights = _rights(caller, reach, thing.id, resource)
        if not rights:
            raise ResourceNotFoundError
        if not rights & needed:
            raise RightMissingError(f"{resource}: {right_names(needed)} is missing")
        return thing

    async def _readable(self, caller: Caller, resource: str) -> list[Thing]:
        reach = await self._reaches.of(caller)
        return reach.readable(resource) if caller.app.reaches(resource) else []

    async def _written(self, reach: Reach) -> AsyncGenerator[tuple[str, ThingId], None]:
        """Yield each resource of each thing; own things first, a description before the rest."""
        for some in self._slices(_sources(reach.things())):
            keys = dict(await self._archive.keys_of(some))
            for source in some:
                yield DESCRIPTION, source.thing_id
                for key in keys.get(source.thing_id, ()):
                    yield key, source.thing_id

    async def _described(
        self, things: Sequence[Thing]
    ) -> AsyncGenerator[list[tuple[ThingId, JSONText]], None]:
        page: list[tuple[ThingId, JSONText]] = []
        size = 0
        for some in self._slices(_sources(things)):
            for thing_id, text in await self._archive.documents_of(some, DESCRIPTION):
                page.append((thing_id, text))
                size += len(text.text)
                if len(page) == DESCRIPTIONS_A_PAGE or size >= DESCRIPTION_BYTES_A_PAGE:
                    yield page
                    page, size = [], 0
        if page:
            yield page

    async def _has_written(self, sources: Sequence[Source], resource: str) -> bool:
        for some in self._slices(sources):
            for _, keys in await self._archive.keys_of(some):
                if resource in keys:
                    return True
        return False

    def _slices(self, sources: Sequence[Source]) -> list[Sequence[Source]]:
        """Return the sources in parts, each small enough for one question to the store."""
        size = self._things_at_once
        return [sources[start : start + size] for start in range(0, len(sources), size)]


def _rights(caller: Caller, reach: Reach, thing_id: ThingId, resource: str) -> Rights:
    """Return what the caller may do, both by their reach and by their app's."""
    return reach.rights(thing_id, resource) if caller.app.reaches(resource) else Rights.NONE


def _public(reach: Reach, thing_id: ThingId, description: object | None) -> object | None:
    may_read = reach.rights(thing_id, DESCRIPTION) & Rights.GET
    return description if may_read else public_part(description)


def _public_text(
    reach: Reach, thing_id: ThingId, text: JSONText
) -> JSONText | dict[str, object] | None:
    if reach.rights(thing_id, DESCRIPTION) & Rights.GET:
        return text
    return public_part(text.decoded())


def _sources(things: Sequence[Thing]) -> list[Source]:
    return [Source(thing.id, thing.epochs) for thing in things]
