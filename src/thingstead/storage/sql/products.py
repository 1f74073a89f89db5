"""Products and activation codes in SQL: the port of `features/products/ports.py`.

Using a code up belongs to `things.py`, because it happens in the transaction that makes the
thing. Knows no engine (`database.py`) and opens no sealed secret.
"""

from collections.abc import Sequence

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from thingstead.features.products.errors import ProductNotFoundError
from thingstead.features.products.model import Product, ProductChange, SealedCode
from thingstead.kernel.changes import Change, Kind
from thingstead.kernel.ids import ProductId
from thingstead.storage.sql.changes import announce
from thingstead.storage.sql.database import Database
from thingstead.storage.sql.tables import ACTIVATION_CODE, PRODUCT


class SQLProductStore:
    """Keeps products and unused activation codes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_product(self, name: str, product_hash: str, *, at_ms: int) -> Product:
        """Store a product durably and return it with its new id."""
        statement = (
            insert(PRODUCT)
            .values(name=name, hash=product_hash, created_at_ms=at_ms)
            .returning(PRODUCT.c.id)
        )
        async with self._database.writing() as connection:
            product_id = (await connection.execute(statement)).scalar_one()
        return Product(ProductId(product_id), name, product_hash, at_ms)

    async def product(self, product_id: ProductId) -> Product | None:
        """Return the product with that id, if there is one."""
        async with self._database.reading() as connection:
            found = await connection.execute(select(PRODUCT).where(PRODUCT.c.id == product_id))
            row = found.one_or_none()
        return None if row is None else _product(row)

    async def products(self, *, after: ProductId | None, limit: int) -> list[Product]:
        """Return at most `limit` products, ascending by id, those after `after` only."""
        statement = (
            select(PRODUCT).where(PRODUCT.c.id > (after or 0)).order_by(PRODUCT.c.id).limit(limit)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [_product(row) for row in rows]

    async def change_product(self, product_id: ProductId, change: ProductChange) -> Product | None:
        """Change the product durably and return it as it is now; None when there is none.

        The change is announced to other processes in the same transaction.
        """
        statement = (
            update(PRODUCT)
            .where(PRODUCT.c.id == product_id)
            .values(**({"name": PRODUCT.c.name} | _changed(change)))
            .returning(*PRODUCT.columns)
        )
        async with self._database.writing() as connection:
            row = (await connection.execute(statement)).one_or_none()
            if row is None:
                return None
            await announce(connection, Change(Kind.PRODUCT, str(product_id)))
        return _product(row)

    async def add_codes(
        self, product_id: ProductId, codes: Sequence[SealedCode], *, at_ms: int
    ) -> None:
        """Store the codes durably, all or none.

        Raises:
            ProductNotFoundError: there is no such product.
        """
        rows = [
            {
                "digest": code.digest,
                "product_id": product_id,
                "sealed": code.sealed,
                "created_at_ms": at_ms,
            }
            for code in codes
        ]
        async with self._database.writing() as connection:
            if not await has_product(connection, product_id):
                raise ProductNotFoundError(f"id {product_id}")
            if rows:
                await connection.execute(insert(ACTIVATION_CODE), rows)

    async def unused_codes(
        self, product_id: ProductId | None, *, after: bytes | None, limit: int
    ) -> list[tuple[ProductId, SealedCode, int]]:
        """Return at most `limit` unused codes ascending by digest, with their making time in ms."""
        statement = (
            select(
                ACTIVATION_CODE.c.product_id,
                ACTIVATION_CODE.c.digest,
                ACTIVATION_CODE.c.sealed,
                ACTIVATION_CODE.c.created_at_ms,
            )
            .where(
                ACTIVATION_CODE.c.used_at_ms.is_(None), ACTIVATION_CODE.c.digest > (after or b"")
            )
            .order_by(ACTIVATION_CODE.c.digest)
            .limit(limit)
        )
        if product_id is not None:
            statement = statement.where(ACTIVATION_CODE.c.product_id == product_id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [
            (ProductId(row.product_id), SealedCode(row.digest, row.sealed), row.created_at_ms)
            for row in rows
        ]


async def has_product(connection: AsyncConnection, product_id: ProductId) -> bool:
    """Return whether there is such a product; it then stays until the transaction ends."""
    statement = select(PRODUCT.c.id).where(PRODUCT.c.id == product_id).with_for_update(read=True)
    return (await connection.execute(statement)).one_or_none() is not None


def _product(row: Row[*tuple[object, ...]]) -> Product:
    return Product(
        ProductId(row.id),
        row.name,
        row.hash,
        row.created_at_ms,
        is_automatic=bool(row.is_automatic),
        format=row.format,
        decoder=row.decoder,
        sealed_udp_key=row.sealed_udp_key,
    )


def _changed(change: ProductChange) -> dict[str, object]:
    """Return the columns that become different, and what they become."""
    columns: dict[str, object] = {}
    if change.is_automatic is not None:
        columns["is_automatic"] = int(change.is_automatic)
    if change.hash is not None:
        columns["hash"] = change.hash
    for name in ("format", "decoder", "sealed_udp_key"):
        wanted = getattr(change, name)
        if wanted is not None:
            columns[name] = wanted or None
    return columns
