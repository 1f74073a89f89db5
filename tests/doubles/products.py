"""Products and activation codes in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from thingstead.features.products.errors import ProductNotFoundError
from thingstead.features.products.model import Product, SealedCode
from thingstead.kernel.ids import ProductId


@dataclass(slots=True)
class KeptCode:
    """An activation code and whether it is used up."""

    product_id: ProductId
    code: SealedCode
    created_at_ms: int
    is_used: bool = False


class MemoryProductStore:
    """Keeps products and codes; `kept_codes` is what the store of things uses up."""

    def __init__(self) -> None:
        self._products: dict[ProductId, Product] = {}
        self.kept_codes: dict[bytes, KeptCode] = {}

    async def add_product(self, name: str, product_hash: str, *, at_ms: int) -> Product:
        product = Product(ProductId(10_001 + len(self._products)), name, product_hash, at_ms)
        self._products[product.id] = product
        return product

    async def product(self, product_id: ProductId) -> Product | None:
        return self._products.get(product_id)

    async def products(self, *, after: ProductId | None, limit: int) -> list[Product]:
        return [p for i, p in sorted(self._products.items()) if i > (after or 0)][:limit]

    async def add_codes(
        self, product_id: ProductId, codes: Sequence[SealedCode], *, at_ms: int
    ) -> None:
        if product_id not in self._products:
            raise ProductNotFoundError(f"id {product_id}")
        self.kept_codes |= {code.digest: KeptCode(product_id, code, at_ms) for code in codes}

    async def unused_codes(
        self, product_id: ProductId | None, *, after: bytes | None, limit: int
    ) -> list[tuple[ProductId, SealedCode, int]]:
        return [
            (kept.product_id, kept.code, kept.created_at_ms)
            for digest, kept in sorted(self.kept_codes.items())
            if not kept.is_used and digest > (after or b"")
            if product_id is None or kept.product_id == product_id
        ][:limit]
