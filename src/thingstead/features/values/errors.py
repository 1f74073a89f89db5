"""Refusals about values."""

from thingstead.kernel.errors import Category, ThingsteadError


class InvalidValuesError(ThingsteadError):
    """`values` is missing, empty, too long, or one of its members is wrong."""

    category = Category.INVALID
    code = "invalid-values"
    message = "Invalid values"
    advice = 'Send {"values":[{"key":"temperature","value":21.5}]}; the text names the place.'


class InvalidKeyError(ThingsteadError):
    """A resource key holds other characters than letters, digits, `.`, `-` and `_`."""

    category = Category.INVALID
    code = "invalid-key"
    message = "Invalid key"
    advice = "A key has 1 to 64 letters, digits, dots, hyphens or underscores."


class TooManyKeysError(ThingsteadError):
    """A thing would get more resources than it may have; nothing was stored."""

    category = Category.INVALID
    code = "too-many-keys"
    message = "Too many keys"
    advice = "Use fewer resource names; put what varies (a sensor's number, a date) into the value."


class ResourceNotFoundError(ThingsteadError):
    """The thing has never written this resource."""

    category = Category.NOT_FOUND
    code = "resource-not-found"
    message = "Resource not found"
    advice = "`GET /v2/things/THING_TOKEN/resources` lists what the thing has written."
