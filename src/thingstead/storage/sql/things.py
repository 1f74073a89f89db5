"""Things and their tokens in SQL: the port of `features/things/ports.py`.

Every statement that decides something (a code is unused, a token has not expired) decides in
its own WHERE clause, so that concurrent calls cannot both win. Knows no engine
(`database.py`), opens no sealed secret, and leaves a deleted thing's values to `purge.py`. Whose
a thing is stands in `ownership.py`.
"""

from collections.abc import Sequence

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.things.model import SealedToken, Thing
from thingstead.kernel.ids import ProductId, ThingId
from thingstead.storage.sql.changes import announce_about
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.ownership import (
    OWNED_EPOCH,
    TO_LINK,
    TO_OWNED_EPOCHS,
    remove_thing,
    thing_of,
)
from thingstead.storage.sql.products import has_product
from thingstead.storage.sql.sharing_tables import LINK, THING_EPOCH
from thingstead.storage.sql.tables import ACTIVATION_CODE, THING, THING_TOKEN


class SQLThingStore:
    """Keeps things and their tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
        statement = (
            update(ACTIVATION_CODE)
            .where(ACTIVATION_CODE.c.digest == code_digest, ACTIVATION_CODE.c.used_at_ms.is_(None))
            .values(used_at_ms=at_ms, thing_id=thing_id, sealed=None)
            .returning(ACTIVATION_CODE.c.product_id)
        )
        if product_id is not None:
            statement = statement.where(ACTIVATION_CODE.c.product_id == product_id)
        async with self._database.writing() as connection:
            owner = (await connection.execute(statement)).scalar_one_or_none()
            if owner is None:
                return None
            thing = Thing(thing_id, ProductId(owner), at_ms)
            await add_thing_row(connection, thing, token)
        return thing

    async def add_thing(
        self, product_id: ProductId, *, thing_id: ThingId, token: SealedToken, at_ms: int
    ) -> Thing | None:
        """Add a thing without a code; return None when there is no such product."""
        thing = Thing(thing_id, product_id, at_ms)
        async with self._database.writing() as connection:
            if not await has_product(connection, product_id):
                return None
            await add_thing_row(connection, thing, token)
        return thing

    async def thing_by_token(
        self, token_digest: bytes, *, at_ms: int
    ) -> tuple[Thing, int | None] | None:
        """Return the thing and when its token expires; None when unknown or expired by `at_ms`."""
        expires_at_ms = THING_TOKEN.c.expires_at_ms
        statement = (
            select(THING, expires_at_ms, OWNED_EPOCH)
            .join_from(THING_TOKEN, THING, THING_TOKEN.c.thing_id == THING.c.id)
            .outerjoin(LINK, TO_LINK)
            .outerjoin(THING_EPOCH, TO_OWNED_EPOCHS)
            .where(
                THING_TOKEN.c.digest == token_digest,
                or_(expires_at_ms.is_(None), expires_at_ms > at_ms),
            )
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        thing = thing_of(rows)
        return None if thing is None else (thing, rows[0].expires_at_ms)

    async def thing(self, thing_id: ThingId) -> Thing | None:
        """Return the thing with that id."""
        statement = (
            select(THING, OWNED_EPOCH)
            .outerjoin(LINK, TO_LINK)
            .outerjoin(THING_EPOCH, TO_OWNED_EPOCHS)
            .where(THING.c.id == thing_id)
        )
        async with self._database.reading() as connection:
            return thing_of((await connection.execute(statement)).all())

    async def things(
        self, product_id: ProductId | None, *, after: ThingId | None, limit: int
    ) -> list[tuple[Thing, SealedToken]]:
        """Return at most `limit` things ascending by id, each with its newest token."""
        statement = (
            select(THING, THING_TOKEN.c.digest, THING_TOKEN.c.sealed)
            # The newest token is the one that lasts: replacing it lets the earlier ones expire.
            .join(
                THING_TOKEN,
                (THING_TOKEN.c.thing_id == THING.c.id) & THING_TOKEN.c.expires_at_ms.is_(None),
            )
            .where(THING.c.id > (after or ""))
            .order_by(THING.c.id)
            .limit(limit)
        )
        if product_id is not None:
            statement = statement.where(THING.c.product_id == product_id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
            epochs = await _owned_epochs(connection, [row.id for row in rows])
        return [
            (
                Thing(
                    ThingId(row.id),
                    ProductId(row.product_id),
                    row.created_at_ms,
                    epochs.get(row.id, (row.epoch,)),
                ),
                SealedToken(row.digest, row.sealed),
            )
            for row in rows
        ]

    async def replace_token(
        self, thing_id: ThingId, token: SealedToken, *, at_ms: int, old_expires_at_ms: int
    ) -> bool:
        """Add a token and let the earlier ones expire; return False when there is no such thing.

        An earlier token that expires sooner still does; those that have expired are forgotten.
        """
        of_thing = THING_TOKEN.c.thing_id == thing_id
        expires_at_ms = THING_TOKEN.c.expires_at_ms
        async with self._database.writing() as connection:
            if not await has_thing(connection, thing_id):
                return False
            await connection.execute(
                update(THING_TOKEN)
                .where(of_thing, or_(expires_at_ms.is_(None), expires_at_ms > old_expires_at_ms))
                .values(expires_at_ms=old_expires_at_ms)
            )
            await connection.execute(delete(THING_TOKEN).where(of_thing, expires_at_ms <= at_ms))
            await _add_token(connection, thing_id, token, at_ms)
            await announce_about(connection, things=[thing_id])
        return True

    async def delete_thing(self, thing_id: ThingId, *, at_ms: int) -> bool:
        """Delete the thing with all that is about it, and note its values for purging."""
        async with self._database.writing() as connection:
            if not await has_thing(connection, thing_id):
                return False
            await remove_thing(connection, thing_id, at_ms)
        return True


async def has_thing(connection: AsyncConnection, thing_id: ThingId) -> bool:
    """Return whether there is such a thing; nobody else changes it until the transaction ends."""
    statement = select(THING.c.id).where(THING.c.id == thing_id).with_for_update()
    return (await connection.execute(statement)).one_or_none() is not None


async def add_thing_row(connection: AsyncConnection, thing: Thing, token: SealedToken) -> None:
    """Add the thing and its token, as part of the transaction."""
    await connection.execute(
        insert(THING).values(
            id=thing.id, product_id=thing.product_id, created_at_ms=thing.created_at_ms
        )
    )
    await _add_token(connection, thing.id, token, thing.created_at_ms)


async def _add_token(
    connection: AsyncConnection, thing_id: ThingId, token: SealedToken, at_ms: int
) -> None:
    await connection.execute(
        insert(THING_TOKEN).values(
            digest=token.digest, thing_id=thing_id, sealed=token.sealed, created_at_ms=at_ms
        )
    )


async def _owned_epochs(
    connection: AsyncConnection, things: Sequence[ThingId]
) -> dict[ThingId, tuple[int, ...]]:
    """Return the epochs of those of the things that somebody owns."""
    statement = (
        select(LINK.c.thing_id, OWNED_EPOCH)
        .join(THING_EPOCH, TO_OWNED_EPOCHS)
        .where(LINK.c.thing_id.in_(things))
    )
    epochs: dict[ThingId, list[int]] = {}
    for row in (await connection.execute(statement)).all():
        epochs.setdefault(ThingId(row.thing_id), []).append(row.owned_epoch)
    return {thing_id: tuple(sorted(owned)) for thing_id, owned in epochs.items()}
