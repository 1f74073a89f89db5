"""What the product rules need from storage."""

from collections.abc import Sequence
from typing import Protocol

from thingstead.features.products.model import Product, ProductChange, SealedCode
from thingstead.kernel.ids import ProductId


class ProductStore(Protocol):
    """Keeps products and unused activation codes."""

    async def add_product(self, name: str, product_hash: str, *, at_ms: int) -> Product:
        """Store a product durably and return it with its new id."""
        ...

    async def product(self, product_id: ProductId) -> Product | None:
        """Return the product with that id, if there is one."""
        ...

    async def products(self, *, after: ProductId | None, limit: int) -> list[Product]:
        """Return at most `limit` products, ascending by id, those after `after` only."""
        ...

    async def change_product(self, product_id: ProductId, change: ProductChange) -> Product | None:
        """Change the product durably and return it as it is now; None when there is none.

        The change is announced to other processes in the same transaction.
        """
        ...

    async def add_codes(
        self, product_id: ProductId, codes: Sequence[SealedCode], *, at_ms: int
    ) -> None:
        """Store the codes durably, all or none."""
        ...

    async def unused_codes(
        self, product_id: ProductId | None, *, after: bytes | None, limit: int
    ) -> list[tuple[ProductId, SealedCode, int]]:
        """Return at most `limit` unused codes ascending by digest, with their making time in ms."""
        ...
