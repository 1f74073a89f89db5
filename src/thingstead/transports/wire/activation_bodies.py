"""The body that activates a thing (`thethings-v2.md` 3.1)."""

from dataclasses import dataclass

from thingstead.features.things.errors import InvalidActivationCodeError
from thingstead.kernel.ids import ProductId


@dataclass(frozen=True, slots=True)
class Activation:
    """The body; `productId` comes as a text from the Arduino library, as a number from others."""

    activationCode: str  # noqa: N815  # The name on the wire.
    productId: str | int | None = None  # noqa: N815

    def product_id(self) -> ProductId | None:
        """Return the product that is named, if one is.

        Raises:
            InvalidActivationCodeError: it cannot be a product's id.
        """
        if self.productId is None or self.productId == "":
            return None
        text = str(self.productId)
        if not text.isascii() or not text.isdecimal() or len(text) > 15:
            # The same answer as for a wrong code: what is wrong is not told to who guesses.
            raise InvalidActivationCodeError
        return ProductId(int(text))
