"""What a product and an activation code are."""

from dataclasses import dataclass

from thingstead.kernel.ids import ActivationCode, ProductId


@dataclass(frozen=True, slots=True)
class Product:
    """A kind of thing; `hash` (14 base62 characters) is the secret in callback addresses.

    With `is_automatic`, a device id that is not known yet becomes a thing and uses an activation
    code up. `format` is a label for people. `decoder` says how the bytes of a message become
    values (`features/devices/decoding.py`).
    """

    id: ProductId
    name: str
    hash: str
    created_at_ms: int
    is_automatic: bool = False
    format: str | None = None
    decoder: str | None = None
    sealed_udp_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class ProductChange:
    """What of a product becomes different: None leaves it, an empty text or key takes it away."""

    is_automatic: bool | None = None
    format: str | None = None
    decoder: str | None = None
    hash: str | None = None
    sealed_udp_key: bytes | None = None


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
