"""Refusals that only HTTP knows, and the one table from categories to status codes.

Everything else is refused by the features with errors that know no transport. The body of
every refusal is `{"status":"error","code":N,"message":"…"}`, and N is the HTTP status
(`thethings-v2.md` 2.4).
"""

from typing import ClassVar

from thingstead.kernel.errors import Category, ThingsteadError


class HTTPRefusalError(ThingsteadError):
    """A refusal with a status of its own."""

    status: ClassVar[int] = 400


class InvalidPathError(HTTPRefusalError):
    """The path has an encoded slash, a NUL, a dot segment, or is no UTF-8."""

    code = "invalid-path"
    message = "Invalid path"
    advice = "Encode each part of the path once; none may hold a slash, a backslash or NUL."


class InvalidQueryError(HTTPRefusalError):
    """A query parameter has a value that it cannot have."""

    code = "invalid-query"
    message = "Invalid query"
    advice = "The text after the colon names the parameter and what it takes."


class InvalidHeaderError(HTTPRefusalError):
    """A header has a value that it cannot have, or stands twice."""

    code = "invalid-header"
    message = "Invalid header"
    advice = "The text after the colon names the header and what it takes."


class InvalidSessionTokenError(HTTPRefusalError):
    """No route below /v2 has this path, and no valid session came with the call.

    The original checks the session first, so that an unknown path below /v2 answers this too
    (`thethings-v2.md` 1.10).
    """

    status = 401
    code = "invalid-session-token"
    message = "Invalid session token"
    advice = "Check the address; calls below /v2/me need `Authorization: SESSION_TOKEN`."


class AddressNotFoundError(HTTPRefusalError):
    """Nothing is at this address outside /v2."""

    status = 404
    code = "address-not-found"
    message = "Not found"
    advice = "The API is below /v2; docs/device-api.md lists the calls."


class MethodNotAllowedError(HTTPRefusalError):
    """The address exists, but not with this method."""

    status = 405
    code = "method-not-allowed"
    message = "Method not allowed"
    advice = "The answer's Allow header lists the methods of this address."

    def __init__(self, allowed: str) -> None:
        super().__init__(f"use {allowed}")
        self.allowed = allowed


class BodyTooLargeError(HTTPRefusalError):
    """The body is larger than this call takes."""

    status = 413
    code = "body-too-large"
    message = "Content Too Large"
    advice = "Send less at once; the text after the colon names the limit."


class EncodingNotSupportedError(HTTPRefusalError):
    """The body is compressed."""

    status = 415
    code = "encoding-not-supported"
    message = "Unsupported Content-Encoding"
    advice = "Send the body as it is, without Content-Encoding."


class PreconditionFailedError(HTTPRefusalError):
    """A condition that the request names does not hold."""

    status = 412
    code = "precondition-failed"
    message = "Precondition Failed"
    advice = "Fetch it anew, without If-Match and If-Unmodified-Since."


class RangeNotSatisfiableError(HTTPRefusalError):
    """No byte of any range that the request names exists."""

    status = 416
    code = "range-not-satisfiable"
    message = "Range Not Satisfiable"
    advice = "Content-Range has the size; without Range the whole is answered."

    def __init__(self, size: int) -> None:
        super().__init__(f"there are {size} bytes")
        self.size = size


class UpgradeRequiredError(HTTPRefusalError):
    """The address is that of a WebSocket, and the request did not ask for one."""

    status = 426
    code = "upgrade-required"
    message = "Upgrade Required"
    advice = "Open the address as a WebSocket (ws:// or wss://), version 13."


class ResponseTooLargeError(HTTPRefusalError):
    """The answer would be larger than the server sends at once."""

    status = 413
    code = "response-too-large"
    message = "Response too large"
    advice = "Ask for fewer values with limit, or for one resource at a time."


_STATUSES = {
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


def status_of(error: ThingsteadError | type[ThingsteadError]) -> int:
    """Return the HTTP status of a refusal, or of a class of refusals."""
    kind = error if isinstance(error, type) else type(error)
    if issubclass(kind, HTTPRefusalError):
        return kind.status
    return _STATUSES[kind.category]
