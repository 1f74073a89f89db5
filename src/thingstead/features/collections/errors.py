"""Refusals about collections and objects."""

from thingstead.kernel.errors import Category, ThingsteadError


class InvalidCollectionError(ThingsteadError):
    """A collection's name has other characters, or more, than it may have."""

    category = Category.INVALID
    code = "invalid-collection"
    message = "Invalid collection"
    advice = "A collection's name has 1 to 64 letters, digits, hyphens or underscores."


class InvalidObjectError(ThingsteadError):
    """An object is no JSON object, or its `_id` cannot be one."""

    category = Category.INVALID
    code = "invalid-object"
    message = "Invalid object"
    advice = (
        "Send one JSON object; `_id` has 1 to 128 letters, digits, _ . : @ or hyphens,"
        " and is neither . nor .. ."
    )


class InvalidFilterError(ThingsteadError):
    """`where` is no JSON object of members and values, or `after` is no object's id."""

    category = Category.INVALID
    code = "invalid-filter"
    message = "Invalid filter"
    advice = 'Send where={"color":"red"}, percent-encoded; objects equal in all of it are answered.'


class ObjectNotFoundError(ThingsteadError):
    """There is no such object; one of another user is answered alike."""

    category = Category.NOT_FOUND
    code = "object-not-found"
    message = "Object not found"
    advice = "`GET /v2/classes/me/COLLECTION` lists the collection's objects."


class ObjectExistsError(ThingsteadError):
    """The collection has an object with this `_id` already."""

    category = Category.INVALID
    code = "object-exists"
    message = "Object already exists"
    advice = "Leave `_id` out to have one made up, or change the object with PUT."


class ObjectChangedError(ThingsteadError):
    """The object is not the one that If-Match names; nothing was changed."""

    category = Category.PRECONDITION
    code = "object-changed"
    message = "Object has changed"
    advice = "Read the object again, and send its new ETag in If-Match."


class ObjectTooLargeError(ThingsteadError):
    """The object is, or would become, larger than it may be; nothing was stored."""

    category = Category.TOO_LARGE
    code = "object-too-large"
    message = "Object too large"
    advice = "Shorten it to the limit that the text names."


class TooManyObjectsError(ThingsteadError):
    """The collection has as many objects as it may have."""

    category = Category.FORBIDDEN
    code = "too-many-objects"
    message = "Too many objects"
    advice = "Delete objects first; the text names the limit."


class CollectionFullError(ThingsteadError):
    """The collection has as many bytes as it may have."""

    category = Category.FORBIDDEN
    code = "collection-full"
    message = "Collection is full"
    advice = "Delete or shorten objects first; the text names the limit."


class TooManyCollectionsError(ThingsteadError):
    """The user has as many collections as they may have."""

    category = Category.FORBIDDEN
    code = "too-many-collections"
    message = "Too many collections"
    advice = "Delete all objects of a collection first; the text names the limit."
