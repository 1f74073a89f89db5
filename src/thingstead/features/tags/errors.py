"""Refusals about tags."""

from thingstead.kernel.errors import Category, ThingsteadError


class InvalidTagError(ThingsteadError):
    """A tag is empty, too long, or has a slash, a percent sign or control characters."""

    category = Category.INVALID
    code = "invalid-tag"
    message = "Invalid tag"
    advice = 'Send {"name":"roof"}; a tag has 1 to 64 characters, no slash, no %.'


class TooManyTagsError(ThingsteadError):
    """The thing has as many tags as it may have."""

    category = Category.INVALID
    code = "too-many-tags"
    message = "Too many tags"
    advice = "Delete a tag first; a thing may have 50."


class TagNotFoundError(ThingsteadError):
    """The thing does not have this tag."""

    category = Category.NOT_FOUND
    code = "tag-not-found"
    message = "Tag not found"
    advice = "`GET /v2/things/THING_TOKEN/tags` lists the thing's tags."
