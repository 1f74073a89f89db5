"""Refusals about devices, their products' addresses, and decoders."""

from thingstead.kernel.errors import Category, ThingsteadError


class InvalidProductHashError(ThingsteadError):
    """No product has this id and this hash; which of the two is wrong is not told."""

    category = Category.NOT_FOUND
    code = "invalid-product-hash"
    message = "Invalid product or hash"
    advice = "`thingstead product show ID` shows the product's present hash."


class InvalidDeviceIdError(ThingsteadError):
    """A device id is missing, empty, too long, or has control characters."""

    category = Category.INVALID
    code = "invalid-device-id"
    message = "Invalid device id"
    advice = "A device id has 1 to 128 characters; `idname` names the member that holds it."


class InsufficientActivationCodesError(ThingsteadError):
    """A new device's product has no unused activation code."""

    category = Category.FORBIDDEN
    code = "insufficient-activation-codes"
    message = "Insufficient Activation Codes"
    advice = "The operator makes more with `thingstead codes create --product ID --count N`."


class InvalidDecoderError(ThingsteadError):
    """The text does not say how bytes become values."""

    category = Category.INVALID
    code = "invalid-decoder"
    message = "Invalid decoder"
    advice = "The text after the colon names the field; docs/callbacks.md has the grammar."
