"""Refusals about magic resources and the description."""

from thingstead.kernel.errors import Category, ThingsteadError


class UnknownMagicKeyError(ThingsteadError):
    """A key that begins with `$` is none of the magic resources; nothing was stored."""

    category = Category.INVALID
    code = "unknown-magic-resource"
    message = "Invalid key"
    advice = "The magic resources are $geo, $settings and $settings.PATH."


class MagicResourceNotFoundError(ThingsteadError):
    """There is no magic resource of that name to read."""

    category = Category.NOT_FOUND
    code = "magic-resource-not-found"
    message = "Resource not found"
    advice = "The magic resources are $geo, $settings and $settings.PATH."


class InvalidPositionError(ThingsteadError):
    """A position is not GeoJSON Point, `[long,lat]`, or `geo` with `lat` and `long`."""

    category = Category.INVALID
    code = "invalid-position"
    message = "Invalid values"
    advice = (
        'Send {"type":"Point","coordinates":[LONG,LAT]} as the value; the text names the place.'
    )


class InvalidSettingsError(ThingsteadError):
    """`$settings` is no object, a path cannot be set, or the settings became too large."""

    category = Category.INVALID
    code = "invalid-settings"
    message = "Invalid values"
    advice = "$settings takes an object, $settings.PATH any value; the text names what is wrong."


class InvalidDescriptionError(ThingsteadError):
    """A description is no JSON object."""

    category = Category.INVALID
    code = "invalid-description"
    message = "Invalid description"
    advice = "Send the whole description as one JSON object."


class DocumentTooLargeError(ThingsteadError):
    """A description or settings document is larger than it may be; nothing was stored."""

    category = Category.TOO_LARGE
    code = "document-too-large"
    message = "Document too large"
    advice = "Shorten it to the limit that the text names."


class DocumentChangedError(ThingsteadError):
    """The document is not the one that the change was made for; nothing was stored."""

    category = Category.PRECONDITION
    code = "document-changed"
    message = "Document has changed"
    advice = "Read it again, and send its new ETag in If-Match."
