"""Refusals about links."""

from thingstead.kernel.errors import Category, ThingsteadError


class InvalidLinkError(ThingsteadError):
    """The body names no thing token, thing id or link id, or an impossible link id."""

    category = Category.INVALID
    code = "invalid-link"
    message = "Invalid link"
    advice = 'Send {"thingToken":"…"}; a linkId has 8 to 128 characters.'


class LinkIdNotAllowedError(ThingsteadError):
    """The thing's product takes no link ids."""

    category = Category.FORBIDDEN
    code = "link-id-not-allowed"
    message = "Link ids are switched off"
    advice = "The operator allows them with `thingstead product link-ids PRODUCT --app APP`."


class TooManyThingsError(ThingsteadError):
    """The user has as many things as they may have."""

    category = Category.FORBIDDEN
    code = "too-many-things"
    message = "Too many things"
    advice = "Unlink a thing first; the text names the limit."


class TooManyLinkIdsError(ThingsteadError):
    """As many of the user's link ids wait as may wait."""

    category = Category.TOO_MANY
    code = "too-many-link-ids"
    message = "Too many link ids"
    advice = "A link id that no thing presents is forgotten after 24 hours."
