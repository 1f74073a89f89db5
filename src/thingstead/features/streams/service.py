"""Streams that every transport opens in the same way: of a thing, a resource, a collection.

A stream is a subscription together with the right to it. The right is looked at when the
stream is opened, whenever it may have changed (`recheck`), and once more for each event just
before it goes out (`accepts`), because an event may have waited while the right ended. How
events are written, and to whom, is the transport's business.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol

from thingstead.features.collections.model import ObjectEvent, topic_of
from thingstead.features.collections.service import Collections
from thingstead.features.live.cursors import CursorKind
from thingstead.features.live.model import End, LiveEvent
from thingstead.features.live.ports import Event, Missed, ValueReplay
from thingstead.features.live.replay import replayed
from thingstead.features.live.service import Live
from thingstead.features.live.subscription import Subscription
from thingstead.features.sharing.resources import UserResources
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.things.model import Thing
from thingstead.features.things.service import Things
from thingstead.features.users.errors import InvalidSessionError
from thingstead.features.users.model import Caller
from thingstead.features.values.model import Source
from thingstead.kernel.errors import ThingsteadError

Again = Callable[[], Awaitable[Caller]]
"""Looks at the session once more; raises InvalidSessionError when it has ended."""


class Stream(Protocol):
    """An open stream; whoever opened it closes it."""

    subscription: Subscription
    kind: CursorKind
    revoked: type[ThingsteadError]
    """What a new request would be answered, once the right has ended."""

    def accepts(self, event: Event) -> bool:
        """Return whether the event may go out now."""
        ...

    async def recheck(self) -> None:
        """End the subscription if the right has ended; otherwise follow what it covers now."""
        ...

    async def head(self) -> int:
        """Return the sequence of the newest event of this kind, of whomever."""
        ...

    def missed(self, after: int) -> AsyncGenerator[Missed, None]:
        """Yield what came after a sequence; exhausted, the stream is live (`live/replay.py`)."""
        ...

    def close(self) -> None:
        """Let go of the subscription; closing twice is closing once."""
        ...


class Streams:
    """Opens streams."""

    def __init__(
        self,
        live: Live,
        things: Things,
        resources: UserResources,
        collections: Collections,
        replay: ValueReplay,
    ) -> None:
        self._live = live
        self._things = things
        self._resources = resources
        self._collections = collections
        self._replay = replay

    async def of_thing(self, token: str, *, address: str | None, key: str | None = None) -> Stream:
        """Open a stream of a thing, or of one of its keys; the token is the right.

        Raises:
            ThingNotFoundError, TooManyRequestsError: as `Things.resolve`.
            TooManyStreamsError, OverloadedError: as `Live.open`.
        """
        thing = await self._things.resolve(token, address=address)
        return _ThingStream(self._live, self._things, self._replay, token, thing, key)

    async def of_resource(self, caller: Caller, again: Again, resource: str) -> Stream:
        """Open a stream of a resource of all of the user's things.

        Raises:
            TooManyStreamsError, OverloadedError: as `Live.open_user`.
        """
        stream = _ResourceStream(self._live, self._resources, self._replay, caller, again, resource)
        try:
            await stream.aim(caller)
        except BaseException:
            stream.close()
            raise
        return stream

    def of_collection(self, caller: Caller, again: Again, collection: str) -> Stream:
        """Open a stream of one of the user's collections.

        Raises:
            InvalidCollectionError: the name can be none.
            TooManyStreamsError, OverloadedError: as `Live.open_user`.
        """
        self._collections.check_name(collection)
        return _CollectionStream(self._live, self._collections, caller, again, collection)


class _Held:
    """What the streams have in common."""

    def __init__(self, live: Live, subscription: Subscription) -> None:
        self._live = live
        self.subscription = subscription

    def close(self) -> None:
        self._live.close(self.subscription)


class _OfValues(_Held, ABC):
    """A stream of values: of all keys, or of one."""

    kind = CursorKind.VALUES

    def __init__(
        self, live: Live, subscription: Subscription, replay: ValueReplay, key: str | None
    ) -> None:
        super().__init__(live, subscription)
        self._replay = replay
        self._key = key

    @abstractmethod
    def sources(self) -> tuple[Source, ...]:
        """Return the things, with the epochs that may be seen of each now."""

    @abstractmethod
    async def recheck(self) -> None:
        """Look at the right once more (`Stream.recheck`)."""

    async def head(self) -> int:
        return await self._replay.head()

    def missed(self, after: int) -> AsyncGenerator[Missed, None]:
        async def look(sequence: int) -> Missed:
            # Know what may be heard before looking for what was missed of it.
            if self.subscription.takes_recheck():
                await self.recheck()
            return await self._replay.missed(self.sources(), key=self._key, after=sequence)

        return replayed(self.subscription, look, after)


class _ThingStream(_OfValues):
    revoked: type[ThingsteadError] = ThingNotFoundError

    def __init__(
        self,
        live: Live,
        things: Things,
        replay: ValueReplay,
        token: str,
        thing: Thing,
        key: str | None,
    ) -> None:
        super().__init__(live, live.open(thing.id), replay, key)
        self._things = things
        self._token = token
        self._thing = thing
        self._epochs = frozenset(thing.epochs)
        self.subscription.accepts = self._may_concern

    def accepts(self, event: Event) -> bool:
        return isinstance(event, LiveEvent) and event.epoch in self._epochs and self._names(event)

    def _may_concern(self, event: Event) -> bool:
        """Return whether to queue the event: of an epoch that is known, or of a later one.

        Whatever began that one has the right looked at again before anything goes out; without
        those events the first writes after an unlinking would be missed.
        """
        if not isinstance(event, LiveEvent):
            return False
        is_known = event.epoch in self._epochs or event.epoch > self._thing.epochs[-1]
        return is_known and self._names(event)

    def _names(self, event: LiveEvent) -> bool:
        key = self._key
        return key is None or any(entry.key == key for entry in event.entries)

    async def recheck(self) -> None:
        end = None
        try:
            thing = await self._things.resolve(self._token, address=None)
        except ThingNotFoundError:
            end = End.REVOKED
        except ThingsteadError:
            # What may be heard cannot be told just now, so nothing is.
            end = End.INTERRUPTED
        else:
            if thing.id != self._thing.id:
                end = End.REVOKED
            self._thing = thing
            self._epochs = frozenset(thing.epochs)
        if end is not None:
            self.subscription.end(end)

    def sources(self) -> tuple[Source, ...]:
        return (Source(self._thing.id, self._thing.epochs),)


class _ResourceStream(_OfValues):
    revoked: type[ThingsteadError] = InvalidSessionError

    def __init__(
        self,
        live: Live,
        resources: UserResources,
        replay: ValueReplay,
        caller: Caller,
        again: Again,
        resource: str,
    ) -> None:
        super().__init__(live, live.open_user(caller.user.id), replay, resource)
        self._resources = resources
        self._again = again
        self._resource = resource
        self._sources: tuple[Source, ...] = ()

    async def aim(self, caller: Caller) -> None:
        following = await self._resources.follow(caller, self._resource)
        self._sources = following.sources
        self.subscription.accepts = following.accepts
        self.subscription.follow(following.topics)

    def accepts(self, event: Event) -> bool:
        accepts = self.subscription.accepts
        return accepts is not None and accepts(event)

    async def recheck(self) -> None:
        await _recheck(self.subscription, self._again, self.aim)

    def sources(self) -> tuple[Source, ...]:
        return self._sources


class _CollectionStream(_Held):
    kind = CursorKind.OBJECTS
    revoked: type[ThingsteadError] = InvalidSessionError

    def __init__(
        self,
        live: Live,
        collections: Collections,
        caller: Caller,
        again: Again,
        collection: str,
    ) -> None:
        super().__init__(live, live.open_user(caller.user.id))
        self._collections = collections
        self._again = again
        self._user_id = caller.user.id
        self._collection = collection
        self._topic = topic_of(caller.user.id, collection)
        self.subscription.follow((self._topic,))

    def accepts(self, event: Event) -> bool:
        return isinstance(event, ObjectEvent) and event.topic == self._topic

    async def recheck(self) -> None:
        async def same_user(caller: Caller) -> None:
            if caller.user.id != self._user_id:
                self.subscription.end(End.REVOKED)

        await _recheck(self.subscription, self._again, same_user)

    async def head(self) -> int:
        return await self._collections.head()

    def missed(self, after: int) -> AsyncGenerator[Missed, None]:
        async def look(sequence: int) -> Missed:
            return await self._collections.missed(self._user_id, self._collection, after=sequence)

        return replayed(self.subscription, look, after)


async def _recheck(
    subscription: Subscription, again: Again, aim: Callable[[Caller], Awaitable[None]]
) -> None:
    try:
        await aim(await again())
    except InvalidSessionError:
        subscription.end(End.REVOKED)
    except ThingsteadError:
        # What may be heard cannot be told just now, so nothing is.
        subscription.end(End.INTERRUPTED)
