"""Links and link ids in memory."""

from doubles.organisation import Organisation
from doubles.products import MemoryProductStore
from thingstead.features.links.model import ByLinkId, LinkedThing, LinkIdResult, LinkOutcome
from thingstead.kernel.ids import AppId, ProductId, ThingId, UserId

MAX_OFFERS = 10


class MemoryLinkStore:
    """Keeps who owns which thing."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    async def link(
        self, user_id: UserId, thing_id: ThingId, *, at_ms: int, max_things: int
    ) -> LinkOutcome:
        return self._organisation.own(user_id, thing_id, at_ms=at_ms, max_things=max_things)

    async def last_owner(self, thing_id: ThingId) -> UserId | None:
        org = self._organisation
        epoch = org.epoch.get(thing_id, 0)
        return org.epoch_owner.get((thing_id, epoch)) or org.epoch_owner.get((thing_id, epoch - 1))

    async def unlink(self, user_id: UserId, thing_id: ThingId, *, at_ms: int) -> bool:
        return self._organisation.disown(user_id, thing_id)

    async def linked(self, user_id: UserId) -> list[LinkedThing]:
        return [
            LinkedThing(thing, at_ms)
            for thing_id, (user, at_ms) in sorted(self._organisation.links.items())
            if user == user_id and (thing := self._organisation.thing(thing_id)) is not None
        ]

    async def delete_linked(self, user_id: UserId, thing_id: ThingId, *, at_ms: int) -> bool:
        if self._organisation.owner(thing_id) != user_id:
            return False
        self._organisation.remove_thing(thing_id, at_ms)
        return True


class MemoryLinkIdStore:
    """Keeps link ids that one side presented and the other did not yet."""

    def __init__(self, organisation: Organisation, products: MemoryProductStore) -> None:
        self._organisation = organisation
        self._products = products

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
        org = self._organisation
        if user_id not in org.accounts:
            return LinkIdResult(ByLinkId.WAITING)
        self._forget(at_ms)
        if (app_id, link_id, user_id) not in org.claims:
            if sum(user == user_id for _, _, user in org.claims) >= max_pending:
                return LinkIdResult(ByLinkId.TOO_MANY)
            org.claims[app_id, link_id, user_id] = expires_at_ms
        return self._meet(app_id, link_id, at_ms, max_things)

    async def offer(
        self,
        thing_id: ThingId,
        link_id: str,
        *,
        at_ms: int,
        expires_at_ms: int,
        max_things: int,
    ) -> LinkIdResult:
        org = self._organisation
        thing = org.things.get(thing_id)
        app_id = None if thing is None else org.link_apps.get(thing.product_id)
        if thing is None or app_id is None:
            return LinkIdResult(ByLinkId.NOT_ALLOWED)
        self._forget(at_ms)
        if (thing.product_id, link_id, thing_id) not in org.offers:
            if sum(one == thing_id for _, _, one in org.offers) >= MAX_OFFERS:
                return LinkIdResult(ByLinkId.TOO_MANY)
            org.offers[thing.product_id, link_id, thing_id] = expires_at_ms
        return self._meet(app_id, link_id, at_ms, max_things)

    async def set_link_app(self, product_id: ProductId, app_id: AppId | None) -> bool:
        if await self._products.product(product_id) is None:
            return False
        self._organisation.link_apps.pop(product_id, None)
        if app_id is not None:
            self._organisation.link_apps[product_id] = app_id
        return True

    async def delete_expired_link_ids(self, *, at_ms: int, limit: int) -> int:
        return self._forget(at_ms, limit)

    def _forget(self, at_ms: int, limit: int | None = None) -> int:
        org = self._organisation
        claims = [key for key, expires_at_ms in org.claims.items() if expires_at_ms <= at_ms]
        offers = [key for key, expires_at_ms in org.offers.items() if expires_at_ms <= at_ms]
        claims = claims[:limit]
        offers = offers[: None if limit is None else limit - len(claims)]
        for claim in claims:
            del org.claims[claim]
        for offer in offers:
            del org.offers[offer]
        return len(claims) + len(offers)

    def _meet(self, app_id: AppId, link_id: str, at_ms: int, max_things: int) -> LinkIdResult:
        org = self._organisation
        claims = [key for key in org.claims if key[:2] == (app_id, link_id)]
        offers = [
            key for key in org.offers if key[1] == link_id and org.link_apps.get(key[0]) == app_id
        ]
        if len(claims) != 1 or len(offers) != 1:
            return LinkIdResult(ByLinkId.WAITING)
        (claim,), (offer,) = claims, offers
        outcome = org.own(claim[2], offer[2], at_ms=at_ms, max_things=max_things)
        if outcome is LinkOutcome.TOO_MANY:
            return LinkIdResult(ByLinkId.TOO_MANY_THINGS)
        if outcome is LinkOutcome.NOT_FREE:
            return LinkIdResult(ByLinkId.WAITING)
        del org.claims[claim], org.offers[offer]
        return LinkIdResult(ByLinkId.LINKED, offer[2])
