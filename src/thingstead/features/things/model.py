"""What a thing is, and what its secrets are kept as."""

from dataclasses import dataclass

from thingstead.kernel.ids import ProductId, ThingId, ThingToken


@dataclass(frozen=True, slots=True)
class Thing:
    """A device; its name, position and settings are its own documents (`features/magic`)."""

    id: ThingId
    product_id: ProductId
    created_at_ms: int
    epochs: tuple[int, ...] = (0,)
    """The epochs whose values and documents may be seen, ascending; the last one is written to.

    An epoch lasts until the thing is unlinked from its owner. A thing without an owner shows
    only the epoch that its next owner will get.
    """


@dataclass(frozen=True, slots=True)
class SealedToken:
    """A thing token as it is kept: a digest to find it, a sealed form to show it again."""

    digest: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class NewThing:
    """A thing just made, with the token that nobody has seen yet."""

    thing: Thing
    token: ThingToken
