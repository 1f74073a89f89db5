"""What a product and an activation code are."""

from dataclasses import dataclass

from thingstead.kernel.ids import ActivationCode, ProductId


@dataclass(frozen=True, slots=True)
class Product:
    """A kind of thing; `hash` (14 base62 characters) is the secret in callback addresses."""

    id: ProductId
    name: str
    hash: str
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class SealedCode:
    """An activation code as it is kept: a digest to find it, a sealed form to show it again."""

    digest: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class UnusedCode:
    """A code that has made no thing yet, readable for its owner."""

    code: ActivationCode
    product_id: ProductId
    created_at_ms: int
