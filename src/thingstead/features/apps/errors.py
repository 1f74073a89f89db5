"""Refusals about apps."""

from thingstead.kernel.errors import Category, ThingsteadError


class AppNotFoundError(ThingsteadError):
    """There is no app with that id."""

    category = Category.NOT_FOUND
    code = "app-not-found"
    message = "App not found"
    advice = "Check the app id; `thingstead app list` shows all."


class InvalidAppError(ThingsteadError):
    """An app's name or one of its resources is not possible."""

    category = Category.INVALID
    code = "invalid-app"
    message = "Invalid app"
    advice = "A name has 1 to 100 characters, a resource is a key that things write."
