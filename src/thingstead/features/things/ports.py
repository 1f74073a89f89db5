"""What the rules of things need from the rim."""

from typing import Protocol

from thingstead.features.things.model import SealedToken, Thing
from thingstead.kernel.ids import ProductId, ThingId


class ThingStore(Protocol):
    """Keeps things and their tokens."""

    async def activate(
        self,
        code_digest: bytes,
        product_id: ProductId | None,
        *,
        thing_id: ThingId,
        token: SealedToken,
        at_ms: int,
    ) -> Thing | None:
        """Use the code up and add the thing, in one transaction; durable on return.

        Returns None, and changes nothing, when the code is unknown, used, or of another
        product than the one named. Of any number of concurrent calls one succeeds.
        """
        ...

    async def add_thing(
        self, product_id: ProductId, *, thing_id: ThingId, token: SealedToken, at_ms: int
    ) -> Thing | None:
        """Add a thing without a code; return None when there is no such product."""
        ...

    async def thing_by_token(
        self, token_digest: bytes, *, at_ms: int
    ) -> tuple[Thing, int | None] | None:
        """Return the thing and when its token expires; None when unknown or expired."""
        ...

    async def thing(self, thing_id: ThingId) -> Thing | None:
        """Return the thing with that id."""
        ...

    async def things(
        self, product_id: ProductId | None, *, after: ThingId | None, limit: int
    ) -> list[tuple[Thing, SealedToken]]:
        """Return at most `limit` things ascending by id, each with its newest token."""
        ...

    async def replace_token(
        self, thing_id: ThingId, token: SealedToken, *, at_ms: int, old_expires_at_ms: int
    ) -> bool:
        """Add a token and let the earlier ones expire; return False when there is no such thing.

        The change is announced to other processes in the same transaction.
        """
        ...

    async def delete_thing(self, thing_id: ThingId, *, at_ms: int) -> bool:
        """Delete the thing, its tokens and tags, and note its values for purging.

        The change is announced to other processes in the same transaction.
        """
        ...


class Seal(Protocol):
    """Closes a secret so that only this installation can open it again."""

    def close(self, secret: str) -> bytes:
        """Return the sealed secret; two calls give different bytes."""
        ...

    def open(self, sealed: bytes) -> str:
        """Return the secret; raises `SealBrokenError` when it was closed with another key."""
        ...
