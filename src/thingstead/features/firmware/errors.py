"""Refusals about images, keys and updates."""

from thingstead.kernel.errors import Category, ThingsteadError


class FirmwareNotFoundError(ThingsteadError):
    """No image with this id is there for the thing; one that it may not have looks the same."""

    category = Category.NOT_FOUND
    code = "firmware-not-found"
    message = "Firmware not found"
    advice = "Ask `…/firmwares/latest` for what is offered; `thingstead firmware list` shows all."


class FirmwareExistsError(ThingsteadError):
    """Product and MCU have an image of this version, or a newer sequence, already."""

    category = Category.CONFLICT
    code = "firmware-exists"
    message = "Firmware exists"
    advice = (
        "Publish other bytes under a new version, with a larger sequence or none; what was given"
        " out never changes."
    )


class InvalidFirmwareError(ThingsteadError):
    """Version, MCU, dates or another thing said about the image cannot be."""

    category = Category.INVALID
    code = "invalid-firmware"
    message = "Invalid firmware"
    advice = "The text after the colon names what is wrong and what is expected."


class ImageMismatchError(ThingsteadError):
    """The image says something else of itself than its publisher does."""

    category = Category.INVALID
    code = "image-mismatch"
    message = "The image does not match"
    advice = "Check version and MCU, or publish with `--allow-mismatch` when the image is wrong."


class UnusableImageError(ThingsteadError):
    """The file is no raw image that a micro-controller could run, or it is cut."""

    category = Category.INVALID
    code = "unusable-image"
    message = "Unusable image"
    advice = "Publish the raw binary that the bootloader takes (`.bin`), whole."


class ImageTooLargeError(ThingsteadError):
    """The image is larger than `limits.firmware_bytes`."""

    category = Category.TOO_LARGE
    code = "image-too-large"
    message = "Image too large"
    advice = "Raise `limits.firmware_bytes` (up to 1 GiB) if the things can take such an image."


class TooManyFirmwaresError(ThingsteadError):
    """The product has as many images as it may."""

    category = Category.FORBIDDEN
    code = "too-many-firmwares"
    message = "Too many firmwares"
    advice = "Raise `limits.firmwares_per_product`, or use another product."


class SignatureMissingError(ThingsteadError):
    """Images of this product have to be signed."""

    category = Category.FORBIDDEN
    code = "signature-missing"
    message = "The image is not signed"
    advice = "Sign it with `thingstead firmware sign` and publish it with `--signature FILE`."


class InvalidSignatureError(ThingsteadError):
    """The signature was not made over this image by a key that is registered and not revoked."""

    category = Category.FORBIDDEN
    code = "invalid-signature"
    message = "Invalid signature"
    advice = "`thingstead firmware key list` shows the keys; the text after the colon, what failed."


class InvalidKeyError(ThingsteadError):
    """The file holds no public key for Ed25519 or ECDSA on P-256."""

    category = Category.INVALID
    code = "invalid-signing-key"
    message = "Invalid key"
    advice = "Pass a key in PEM; `thingstead firmware key create` makes a pair."


class KeyNotFoundError(ThingsteadError):
    """The product has no such key."""

    category = Category.NOT_FOUND
    code = "key-not-found"
    message = "Key not found"
    advice = "`thingstead firmware key list` shows the product's keys."


class WrongFirmwareStateError(ThingsteadError):
    """The image cannot go from its state to the wanted one."""

    category = Category.CONFLICT
    code = "wrong-firmware-state"
    message = "Wrong state of the firmware"
    advice = "Images go from draft to published, deprecated and revoked, and never back."


class UpdateNotFoundError(ThingsteadError):
    """The thing has no such update."""

    category = Category.NOT_FOUND
    code = "update-not-found"
    message = "Update not found"
    advice = "`thingstead firmware timeline` shows what was offered to the thing."


class InvalidStatusError(ThingsteadError):
    """What the thing says about its update cannot be understood."""

    category = Category.INVALID
    code = "invalid-status"
    message = "Invalid status"
    advice = "The text after the colon names the member and what is expected there."


class TooManyDownloadsError(ThingsteadError):
    """The thing, or the server, has as many downloads under way as it may."""

    category = Category.TOO_MANY
    code = "too-many-downloads"
    message = "Too many downloads"
    advice = "End one first, or try again after the seconds in Retry-After."
