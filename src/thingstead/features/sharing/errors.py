"""Refusals about sharing."""

from thingstead.kernel.errors import Category, ThingsteadError


class InvalidGrantError(ThingsteadError):
    """The permissions are not of the shape, or name a right that there is not."""

    category = Category.INVALID
    code = "invalid-grant"
    message = "Invalid permissions"
    advice = (
        'Send {"email":"…","permissions":{"temperature":{"THING_ID":{"get":true}}}}; the rights'
        " are get, post, put and grant."
    )


class GrantForbiddenError(ThingsteadError):
    """The user may not pass on what they name: they lack the right, or `grant`."""

    category = Category.FORBIDDEN
    code = "grant-forbidden"
    message = "Forbidden"
    advice = "Only the owner, or who holds `grant`, passes on what they hold themselves."


class RightMissingError(ThingsteadError):
    """The user sees the resource, but may not do this to it."""

    category = Category.FORBIDDEN
    code = "right-missing"
    message = "Forbidden"
    advice = "The owner can grant the right that the text names."


class GrantNotFoundError(ThingsteadError):
    """The user gave or received no such grant."""

    category = Category.NOT_FOUND
    code = "grant-not-found"
    message = "Grant not found"
    advice = "`GET /v2/me/grants` lists those given and received."


class AddressNotConfirmedError(ThingsteadError):
    """Only a confirmed address receives grants."""

    category = Category.FORBIDDEN
    code = "address-not-confirmed"
    message = "Address not confirmed"
    advice = "Open the link in the mail, or ask for it again with POST /v2/me/confirmation."


class TooManyGrantsError(ThingsteadError):
    """The user has given as many grants, or entries in all their grants, as they may."""

    category = Category.FORBIDDEN
    code = "too-many-grants"
    message = "Too many grants"
    advice = "Revoke a grant first; the text names the limit."


class TooManyResourcesError(ThingsteadError):
    """The user may read more resources of things than are listed at once."""

    category = Category.TOO_LARGE
    code = "too-many-resources"
    message = "Too many resources"
    advice = "Read one resource at a time: `GET /v2/me/resources/RESOURCE`."
