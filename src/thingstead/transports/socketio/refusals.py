"""What a refusal is called here: the one table from categories to the codes of documents.

The codes are those of HTTP, as the original's documents have them (`thethings-v2.md` 2.4, 5.3).
"""

import msgspec

from thingstead.kernel.errors import Category, ThingsteadError

_CODES = {
    Category.INVALID: 400,
    Category.UNAUTHENTICATED: 401,
    Category.FORBIDDEN: 403,
    Category.NOT_FOUND: 404,
    Category.CONFLICT: 409,
    Category.PRECONDITION: 412,
    Category.TOO_LARGE: 413,
    Category.TOO_MANY: 429,
    Category.UNAVAILABLE: 503,
    Category.STORAGE_FULL: 507,
    Category.INTERNAL: 500,
}

encode = msgspec.json.Encoder().encode


def code_of(error: ThingsteadError) -> int:
    """Return the code of a refusal."""
    return _CODES[error.category]


def refusal(error: ThingsteadError, resource: str | None = None) -> bytes:
    """Return `{"status":"error","code":N,"message":"…"}`, with the topic that it is about."""
    document = {"status": "error", "code": code_of(error), "message": str(error)}
    if resource is not None:
        document["resource"] = resource
    return encode(document)


def success(message: str, resource: str | None = None) -> bytes:
    """Return `{"status":"success","message":"…"}`, with the topic that it is about."""
    if resource is None:
        return encode({"status": "success", "message": message})
    return encode({"status": "success", "resource": resource, "message": message})
