"""Refusals about things, their tokens, and activation."""

from thingstead.kernel.errors import Category, ThingsteadError


class ThingNotFoundError(ThingsteadError):
    """No thing has this token or id; a foreign one is answered alike."""

    category = Category.NOT_FOUND
    code = "thing-not-found"
    message = "Thing not found"
    advice = "Check the thing token; the owner can look it up or rotate it."


class InvalidActivationCodeError(ThingsteadError):
    """The code is unknown, used, or of another product; all three are answered alike."""

    category = Category.INVALID
    code = "invalid-activation-code"
    message = "Invalid activation code"
    advice = "A code makes one thing only; the owner can make a new one."
