"""Products and activation codes in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from doubles.organisation import Organisation
from thingstead.features.products.errors import ProductNotFoundError
from thingstead.features.products.model import Product, ProductChange, SealedCode
from thingstead.kernel.changes import Change, Kind
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

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation
        self._products = organisation.products
        self.kept_codes: dict[bytes, KeptCode] = {}

    async def add_product(self, name: str, product_hash: str, *, at_ms: int) -> Product:
        product = Product(ProductId(10_001 + len(self._products)), name, product_hash, at_ms)
        self._products[product.id] = product
        return product

    async def product(self, product_id: ProductId) -> Product | None:
        return self._products.get(product_id)

    async def products(self, *, after: ProductId | None, limit: int) -> list[Product]:
        return [p for i, p in sorted(self._products.items()) if i > (after or 0)][:limit]

    async def change_product(self, product_id: ProductId, change: ProductChange) -> Product | None:
        product = self._products.get(product_id)
        if product is None:
            return None
        names = ("is_automatic", "hash", "format", "decoder", "sealed_udp_key")
        wanted = {name: getattr(change, name) for name in names}
        changed = {name: value for name, value in wanted.items() if value is not None}
        for name in {"format", "decoder", "sealed_udp_key"} & changed.keys():
            changed[name] = changed[name] or None
        self._products[product_id] = replace(product, **changed)
        self._organisation.announced.append(Change(Kind.PRODUCT, str(product_id)))
        return self._products[product_id]

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
