"""What the rules of links need from storage."""

from typing import Protocol

from thingstead.features.links.model import LinkedThing, LinkIdResult, LinkOutcome
from thingstead.kernel.ids import AppId, ProductId, ThingId, UserId


class LinkStore(Protocol):
    """Keeps who owns which thing. Every change is announced to other processes."""

    async def link(
        self, user_id: UserId, thing_id: ThingId, *, at_ms: int, max_things: int
    ) -> LinkOutcome:
        """Make the user the thing's owner, if it has none; the current epoch is theirs.

        Of any number of concurrent calls for one thing one succeeds.
        """
        ...

    async def last_owner(self, thing_id: ThingId) -> UserId | None:
        """Return who owns the thing or, when nobody does, who did last."""
        ...

    async def unlink(self, user_id: UserId, thing_id: ThingId, *, at_ms: int) -> bool:
        """End the ownership and the epoch, and every grant on the thing.

        Returns False, and changes nothing, when the thing is not the user's.
        """
        ...

    async def linked(self, user_id: UserId) -> list[LinkedThing]:
        """Return the user's things ascending by id."""
        ...

    async def delete_linked(self, user_id: UserId, thing_id: ThingId, *, at_ms: int) -> bool:
        """Delete the thing as `ThingStore.delete_thing` does, if it is the user's."""
        ...


class LinkIdStore(Protocol):
    """Keeps link ids that one side presented and the other did not yet.

    A product takes link ids from one app, or from none. Two sides meet when a user of that app
    and a thing of the product present the same id. When more than one user, or more than one
    thing, presents it before both have met, nobody is linked until they have expired.
    """

    async def claim(
        self,
        user_id: UserId,
        app_id: AppId,
        link_id: str,
        *,
        at_ms: int,
        expires_at_ms: int,
        max_pending: int,
        max_things: int,
    ) -> LinkIdResult:
        """Note that the user presents the id, and link if the thing did; once is like twice.

        `TOO_MANY`: `max_pending` of the user's ids wait already, and this one is not noted.
        """
        ...

    async def offer(
        self,
        thing_id: ThingId,
        link_id: str,
        *,
        at_ms: int,
        expires_at_ms: int,
        max_things: int,
    ) -> LinkIdResult:
        """Note that the thing presents the id, and link if a user did; once is like twice.

        `TOO_MANY`: ten of the thing's ids wait already, and this one is not noted.
        """
        ...

    async def set_link_app(self, product_id: ProductId, app_id: AppId | None) -> bool:
        """Let the product take link ids from that app only, or none; False: no such product."""
        ...

    async def delete_expired_link_ids(self, *, at_ms: int, limit: int) -> int:
        """Delete at most `limit` expired link ids; return how many."""
        ...
