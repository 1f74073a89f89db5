"""Things, their tokens, the purge list and the change signal in memory."""

from dataclasses import dataclass, field

from doubles.objects import KeptObjects
from doubles.organisation import Organisation
from doubles.products import MemoryProductStore
from thingstead.features.things.model import SealedToken, Thing
from thingstead.kernel.changes import Change
from thingstead.kernel.ids import ProductId, ThingId, UserId


@dataclass(slots=True)
class _KeptToken:
    thing_id: ThingId
    token: SealedToken
    expires_at_ms: int | None = None


class MemoryPurgeList:
    """Remembers deleted things, and deleted users and their epochs, those noted first first."""

    def __init__(self, organisation: Organisation, objects: KeptObjects) -> None:
        self._organisation = organisation
        self._objects = objects

    async def pending(self, limit: int) -> list[ThingId]:
        noted = self._organisation.purge
        return sorted(noted, key=lambda thing_id: (noted[thing_id], thing_id))[:limit]

    async def done(self, thing_id: ThingId) -> None:
        self._organisation.purge.pop(thing_id, None)

    async def pending_epochs(self, limit: int) -> list[tuple[ThingId, int]]:
        noted = self._organisation.purge_epochs
        return sorted(noted, key=lambda key: (noted[key], key))[:limit]

    async def epoch_done(self, thing_id: ThingId, epoch: int) -> None:
        self._organisation.purge_epochs.pop((thing_id, epoch), None)

    async def pending_users(self, limit: int) -> list[UserId]:
        noted = self._organisation.purge_users
        return sorted(noted, key=lambda user_id: (noted[user_id], user_id))[:limit]

    async def delete_objects(self, user_id: UserId, *, limit: int) -> int:
        deleted = 0
        for place in [place for place in self._objects.texts if place[0] == user_id]:
            texts = self._objects.texts[place]
            while texts and deleted < limit:
                texts.popitem()
                deleted += 1
            if not texts:
                del self._objects.texts[place]
        changes = self._objects.changes
        of_user = [change for change in changes if change.user_id == user_id][:limit]
        for change in of_user:
            changes.remove(change)
        return max(deleted, len(of_user))

    async def user_done(self, user_id: UserId) -> None:
        self._organisation.purge_users.pop(user_id, None)


class MemoryThingStore:
    """Keeps things and tokens; `known` is what the store of tags looks at."""

    def __init__(self, products: MemoryProductStore, organisation: Organisation) -> None:
        self._products = products
        self._organisation = organisation
        self._tokens: dict[bytes, _KeptToken] = {}
        self.known = organisation.things
        self.tags = organisation.tags

    async def activate(
        self,
        code_digest: bytes,
        product_id: ProductId | None,
        *,
        thing_id: ThingId,
        token: SealedToken,
        at_ms: int,
    ) -> Thing | None:
        kept = self._products.kept_codes.get(code_digest)
        if kept is None or kept.is_used or product_id not in (None, kept.product_id):
            return None
        kept.is_used = True
        return self._add(Thing(thing_id, kept.product_id, at_ms), token)

    async def add_thing(
        self, product_id: ProductId, *, thing_id: ThingId, token: SealedToken, at_ms: int
    ) -> Thing | None:
        if await self._products.product(product_id) is None:
            return None
        return self._add(Thing(thing_id, product_id, at_ms), token)

    async def thing_by_token(
        self, token_digest: bytes, *, at_ms: int
    ) -> tuple[Thing, int | None] | None:
        kept = self._tokens.get(token_digest)
        if kept is None or (kept.expires_at_ms is not None and kept.expires_at_ms <= at_ms):
            return None
        thing = self._organisation.thing(kept.thing_id)
        return None if thing is None else (thing, kept.expires_at_ms)

    async def thing(self, thing_id: ThingId) -> Thing | None:
        return self._organisation.thing(thing_id)

    async def things(
        self, product_id: ProductId | None, *, after: ThingId | None, limit: int
    ) -> list[tuple[Thing, SealedToken]]:
        lasting = {
            kept.thing_id: kept.token
            for kept in self._tokens.values()
            if kept.expires_at_ms is None
        }
        return [
            (thing, lasting[thing_id])
            for thing_id in sorted(self.known)
            if (thing := self._organisation.thing(thing_id)) is not None
            and thing_id > (after or "")
            and product_id in (None, thing.product_id)
        ][:limit]

    async def replace_token(
        self, thing_id: ThingId, token: SealedToken, *, at_ms: int, old_expires_at_ms: int
    ) -> bool:
        if thing_id not in self.known:
            return False
        for kept in self._tokens.values():
            if kept.thing_id == thing_id:
                kept.expires_at_ms = min(kept.expires_at_ms or old_expires_at_ms, old_expires_at_ms)
        self._tokens[token.digest] = _KeptToken(thing_id, token)
        self._organisation.announce(things=[thing_id])
        return True

    async def delete_thing(self, thing_id: ThingId, *, at_ms: int) -> bool:
        if thing_id not in self.known:
            return False
        self._organisation.remove_thing(thing_id, at_ms)
        return True

    def _add(self, thing: Thing, token: SealedToken) -> Thing:
        self.known[thing.id] = thing
        self._tokens[token.digest] = _KeptToken(thing.id, token)
        return thing


@dataclass(slots=True)
class MemoryChangeSignal:
    """One process's view of what was announced."""

    organisation: Organisation = field(default_factory=Organisation)
    _seen: int = field(init=False)

    def __post_init__(self) -> None:
        self._seen = len(self.organisation.announced)

    def changes(self) -> list[Change]:
        seen, self._seen = self._seen, len(self.organisation.announced)
        return self.organisation.announced[seen:]
