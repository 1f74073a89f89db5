"""The keys of products, and whether an image is signed as its product demands.

Knows no technology: keys are rows, and a `Verifier` knows what is in them. What is signed stands
in `manifests.py`.
"""

from thingstead.features.firmware.errors import (
    InvalidKeyError,
    InvalidSignatureError,
    KeyNotFoundError,
    SignatureMissingError,
)
from thingstead.features.firmware.model import Signature, SigningKey
from thingstead.features.firmware.ports import FirmwareStore, Verifier
from thingstead.features.products.errors import ProductNotFoundError
from thingstead.kernel.clock import Clock
from thingstead.kernel.ids import ProductId
from thingstead.kernel.names import name_problem

MAX_KEYS = 100
"""Of one product, revoked ones included."""


class SigningKeys:
    """Keeps the keys of products, and checks signatures against them."""

    def __init__(self, store: FirmwareStore, verifier: Verifier, clock: Clock) -> None:
        self._store = store
        self._verifier = verifier
        self._clock = clock

    async def add(self, product_id: ProductId, pem: bytes, name: str) -> SigningKey:
        """Store the key and return it; one that is there is returned as it is.

        Raises:
            InvalidKeyError: it is no key, or revoked, or one too many, or its name cannot be.
            ProductNotFoundError: there is no such product.
        """
        problem = name_problem(name)
        if problem is not None:
            raise InvalidKeyError(f"name: {problem}")
        key_id, algorithm, public_der = self._verifier.key_of(pem)
        keys = await self._store.keys(product_id)
        for known in keys:
            if known.id == key_id:
                return _still_good(known)
        if len(keys) >= MAX_KEYS:
            raise InvalidKeyError(f"a product may have {MAX_KEYS} keys, revoked ones included")
        key = SigningKey(key_id, product_id, algorithm, public_der, name, self._clock.now_ms())
        await self._store.add_key(key)
        return key

    async def revoke(self, product_id: ProductId, key_id: str) -> None:
        """Revoke the key; idempotent.

        Raises:
            KeyNotFoundError: the product has no such key.
        """
        if not await self._store.revoke_key(product_id, key_id, at_ms=self._clock.now_ms()):
            raise KeyNotFoundError(f"id {key_id[:64]}")

    async def demand(self, product_id: ProductId, *, is_demanded: bool) -> None:
        """Refuse unsigned images of the product from now on, or accept them.

        Raises:
            ProductNotFoundError: there is no such product.
        """
        if not await self._store.set_needs_signature(product_id, is_needed=is_demanded):
            raise ProductNotFoundError(f"id {product_id}")

    async def check_hopeful(
        self, product_id: ProductId, signature: Signature | None, advice: str = ""
    ) -> None:
        """Check what can be known before the image is: there is a signature, and its key is good.

        Raises:
            SignatureMissingError: it is missing where it is demanded; `advice` is its detail.
            InvalidSignatureError: the key is unknown or revoked.
        """
        if signature is not None:
            await self._key_of(product_id, signature)
        elif await self._store.needs_signature(product_id):
            raise SignatureMissingError(advice)

    async def verify(self, product_id: ProductId, signature: Signature, message: bytes) -> None:
        """Check the signature over the message.

        Raises:
            InvalidSignatureError: it was made over another message, or with another key than the
                one it names, or that key is unknown or revoked.
        """
        key = await self._key_of(product_id, signature)
        if not self._verifier.is_valid(key, signature, message):
            raise InvalidSignatureError(
                f"it was not made with the key {key.id} over {message.decode('ascii')}"
            )

    async def _key_of(self, product_id: ProductId, signature: Signature) -> SigningKey:
        for key in await self._store.keys(product_id):
            if key.id == signature.key_id:
                if key.revoked_at_ms is not None:
                    raise InvalidSignatureError(f"the key {key.id} is revoked")
                return key
        raise InvalidSignatureError("the product does not have the key it was made with")


def _still_good(key: SigningKey) -> SigningKey:
    if key.revoked_at_ms is not None:
        raise InvalidKeyError(f"{key.id} is revoked, and stays so; make a new key")
    return key
