"""Link ids in SQL: the port `LinkIdStore`. Knows no engine (`database.py`).

Each side notes what it presents and then looks whether exactly one of each side has presented
the id. What has expired counts as absent everywhere, whether or not it was deleted yet.
"""

from sqlalchemy import and_, delete, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.links.model import ByLinkId, LinkIdResult, LinkOutcome
from thingstead.kernel.ids import AppId, ProductId, ThingId, UserId
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.ownership import own
from thingstead.storage.sql.sharing_tables import LINK_CLAIM, LINK_OFFER
from thingstead.storage.sql.tables import PRODUCT, THING
from thingstead.storage.sql.user_rows import has_user

# A thing has one name to go by, two at most; the bound keeps a broken one from filling the table.
MAX_OFFERS = 10

_WAITING = LinkIdResult(ByLinkId.WAITING)
_TOO_MANY = LinkIdResult(ByLinkId.TOO_MANY)


class SQLLinkIdStore:
    """Keeps link ids that one side presented and the other did not yet."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
        """Note that the user presents the id, and link if the thing did; once is like twice."""
        async with self._database.writing() as connection:
            if not await has_user(connection, user_id):
                return _WAITING
            await connection.execute(
                delete(LINK_CLAIM).where(
                    LINK_CLAIM.c.user_id == user_id, LINK_CLAIM.c.expires_at_ms <= at_ms
                )
            )
            mine = select(LINK_CLAIM.c.app_id, LINK_CLAIM.c.link_id).where(
                LINK_CLAIM.c.user_id == user_id
            )
            pending = {(row.app_id, row.link_id) for row in await connection.execute(mine)}
            if (app_id, link_id) not in pending:
                if len(pending) >= max_pending:
                    return _TOO_MANY
                await connection.execute(
                    insert(LINK_CLAIM).values(
                        app_id=app_id, link_id=link_id, user_id=user_id, expires_at_ms=expires_at_ms
                    )
                )
            return await _meet(connection, app_id, link_id, at_ms, max_things)

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

        A thing waits with `MAX_OFFERS` ids at most.
        """
        async with self._database.writing() as connection:
            product = await _product_of(connection, thing_id)
            if product is None:
                return LinkIdResult(ByLinkId.NOT_ALLOWED)
            product_id, app_id = product
            of_thing = LINK_OFFER.c.thing_id == thing_id
            await connection.execute(
                delete(LINK_OFFER).where(of_thing, LINK_OFFER.c.expires_at_ms <= at_ms)
            )
            found = await connection.execute(select(LINK_OFFER.c.link_id).where(of_thing))
            pending = set(found.scalars())
            if link_id not in pending:
                if len(pending) >= MAX_OFFERS:
                    return _TOO_MANY
                await connection.execute(
                    insert(LINK_OFFER).values(
                        product_id=product_id,
                        link_id=link_id,
                        thing_id=thing_id,
                        expires_at_ms=expires_at_ms,
                    )
                )
            return await _meet(connection, app_id, link_id, at_ms, max_things)

    async def set_link_app(self, product_id: ProductId, app_id: AppId | None) -> bool:
        """Let the product take link ids from that app only, or none; False: no such product."""
        statement = update(PRODUCT).where(PRODUCT.c.id == product_id).values(link_app_id=app_id)
        async with self._database.writing() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def delete_expired_link_ids(self, *, at_ms: int, limit: int) -> int:
        """Delete at most `limit` expired link ids; return how many."""
        deleted = 0
        async with self._database.writing() as connection:
            for table in (LINK_CLAIM, LINK_OFFER):
                key = tuple_(*table.primary_key.columns)
                expired = (
                    select(*table.primary_key.columns)
                    .where(table.c.expires_at_ms <= at_ms)
                    .limit(limit - deleted)
                )
                found = await connection.execute(delete(table).where(key.in_(expired)))
                deleted += found.rowcount
        return deleted


async def _product_of(
    connection: AsyncConnection, thing_id: ThingId
) -> tuple[ProductId, AppId] | None:
    """Return the thing's product and the app it takes link ids from, if it takes any."""
    statement = (
        select(PRODUCT.c.id, PRODUCT.c.link_app_id)
        .join_from(THING, PRODUCT, THING.c.product_id == PRODUCT.c.id)
        .where(THING.c.id == thing_id, PRODUCT.c.link_app_id.is_not(None))
        .with_for_update(of=THING)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else (ProductId(row.id), AppId(row.link_app_id))


async def _meet(
    connection: AsyncConnection, app_id: AppId, link_id: str, at_ms: int, max_things: int
) -> LinkIdResult:
    """Link if exactly one user and one thing present the id, and forget both rows then."""
    claims = and_(LINK_CLAIM.c.app_id == app_id, LINK_CLAIM.c.link_id == link_id)
    takes_ids = select(PRODUCT.c.id).where(PRODUCT.c.link_app_id == app_id)
    offers = and_(LINK_OFFER.c.product_id.in_(takes_ids), LINK_OFFER.c.link_id == link_id)
    user = await connection.execute(
        select(LINK_CLAIM.c.user_id).where(claims, LINK_CLAIM.c.expires_at_ms > at_ms).limit(2)
    )
    thing = await connection.execute(
        select(LINK_OFFER.c.thing_id).where(offers, LINK_OFFER.c.expires_at_ms > at_ms).limit(2)
    )
    users, things = user.scalars().all(), thing.scalars().all()
    if len(users) != 1 or len(things) != 1:
        return _WAITING
    thing_id = ThingId(things[0])
    outcome = await own(connection, UserId(users[0]), thing_id, at_ms, max_things)
    if outcome is LinkOutcome.TOO_MANY:
        return LinkIdResult(ByLinkId.TOO_MANY_THINGS)
    if outcome is LinkOutcome.NOT_FREE:
        return _WAITING
    await connection.execute(delete(LINK_CLAIM).where(claims, LINK_CLAIM.c.user_id == users[0]))
    await connection.execute(delete(LINK_OFFER).where(offers, LINK_OFFER.c.thing_id == thing_id))
    return LinkIdResult(ByLinkId.LINKED, thing_id)
