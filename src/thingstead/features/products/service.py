"""The rules of products and activation codes.

Knows no technology; the store and the seal are passed in (`ports.py`, `things/ports.py`).
Activating, which uses a code up, is the business of `features/things`.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

from thingstead.features.devices.decoding import parse_decoder
from thingstead.features.products.errors import (
    InvalidCountError,
    InvalidProductError,
    ProductNotFoundError,
)
from thingstead.features.products.model import Product, ProductChange, SealedCode, UnusedCode
from thingstead.features.products.ports import ProductStore
from thingstead.features.things.ports import Seal
from thingstead.kernel.changes import Changes, Kind
from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import ActivationCode, IdSource, ProductId, digest
from thingstead.kernel.names import name_problem

MAX_CODES_AT_ONCE = 100_000
_CODES_PER_TRANSACTION = 1_000
_PAGE = 500


class Products:
    """Creates, changes and lists products and their activation codes."""

    def __init__(
        self, store: ProductStore, seal: Seal, changes: Changes, *, ids: IdSource, clock: Clock
    ) -> None:
        self._store = store
        self._seal = seal
        self._changes = changes
        self._ids = ids
        self._clock = clock

    async def create(self, name: str) -> Product:
        """Create a product; names need not be unique.

        Raises:
            InvalidProductError: the name is empty, over 100 characters, or has control characters.
        """
        problem = name_problem(name)
        if problem is not None:
            raise InvalidProductError(f"name: {problem}")
        return await self._store.add_product(
            name, self._ids.product_hash(), at_ms=self._clock.now_ms()
        )

    async def get(self, product_id: ProductId) -> Product:
        """Return the product.

        Raises:
            ProductNotFoundError: there is none with that id.
        """
        product = await self._store.product(product_id)
        if product is None:
            raise ProductNotFoundError(f"id {product_id}")
        return product

    async def change(
        self,
        product_id: ProductId,
        change: ProductChange,
        *,
        has_new_hash: bool = False,
        has_new_udp_key: bool = False,
    ) -> Product:
        """Change the product and return it as it is now; running servers know at once.

        A new hash and a new key are made here, and the earlier ones work no more.

        Raises:
            InvalidProductError: the format is over 100 characters, or has control characters.
            InvalidDecoderError: the decoder is none.
            ProductNotFoundError: there is no such product.
        """
        if change.format:
            problem = name_problem(change.format)
            if problem is not None:
                raise InvalidProductError(f"format: {problem}")
        if change.decoder:
            parse_decoder(change.decoder)
        if has_new_hash:
            change = replace(change, hash=self._ids.product_hash())
        if has_new_udp_key:
            change = replace(change, sealed_udp_key=self._seal.close(self._ids.token()))
        product = await self._store.change_product(product_id, change)
        if product is None:
            raise ProductNotFoundError(f"id {product_id}")
        self._changes.tell(Kind.PRODUCT, str(product_id))
        return product

    def udp_key(self, product: Product) -> str | None:
        """Return the 43 characters with which its devices sign datagrams, None for no key."""
        sealed = product.sealed_udp_key
        return None if sealed is None else self._seal.open(sealed)

    async def check(self) -> None:
        """Raise what keeps products from being read, if anything does."""
        await self._store.products(after=None, limit=1)

    async def all(self) -> AsyncIterator[Product]:
        """Yield all products, ascending by id."""
        after: ProductId | None = None
        while page := await self._store.products(after=after, limit=_PAGE):
            for product in page:
                yield product
            after = page[-1].id

    async def create_codes(
        self, product_id: ProductId, count: int
    ) -> AsyncIterator[list[ActivationCode]]:
        """Make codes and yield them as they become durable, up to a thousand at a time.

        Raises:
            InvalidCountError: `count` is not within 1 and 100,000.
            ProductNotFoundError: there is no such product.
        """
        if not 1 <= count <= MAX_CODES_AT_ONCE:
            raise InvalidCountError(f"{count} is not within 1 and {MAX_CODES_AT_ONCE}")
        await self.get(product_id)
        for start in range(0, count, _CODES_PER_TRANSACTION):
            number = min(_CODES_PER_TRANSACTION, count - start)
            codes = [self._ids.activation_code() for _ in range(number)]
            sealed = [SealedCode(digest(code), self._seal.close(code)) for code in codes]
            await self._store.add_codes(product_id, sealed, at_ms=self._clock.now_ms())
            yield codes

    async def unused_codes(self, product_id: ProductId | None = None) -> AsyncIterator[UnusedCode]:
        """Yield the codes that made no thing yet, of one product or of all."""
        after: bytes | None = None
        while page := await self._store.unused_codes(product_id, after=after, limit=_PAGE):
            for owner, code, at_ms in page:
                yield UnusedCode(ActivationCode(self._seal.open(code.sealed)), owner, at_ms)
            after = page[-1][1].digest
