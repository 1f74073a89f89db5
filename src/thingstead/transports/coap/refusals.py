"""Refusals that only CoAP knows, and the one table from categories to response codes.

The payload of every refusal is the same document as over HTTP,
`{"status":"error","code":N,"message":"…"}`; N is the response code without its dot, which is the
HTTP status wherever both know the refusal.
"""

from typing import ClassVar

from aiocoap.numbers.codes import Code

from thingstead.kernel.errors import Category, ThingsteadError
from thingstead.transports.wire.values_out import encode


class CoAPRefusalError(ThingsteadError):
    """A refusal with a response code of its own."""

    category = Category.INVALID
    response: ClassVar[Code] = Code.BAD_REQUEST


class InvalidTargetError(CoAPRefusalError):
    """A CoAP request's path, or a parameter of its query, cannot be read."""

    code = "coap-invalid-target"
    message = "Invalid path or query"
    advice = "The text after the colon names what is wrong; each part is an option of its own."


class NotFoundError(CoAPRefusalError):
    """A CoAP request names a path that does not exist."""

    category = Category.NOT_FOUND
    response = Code.NOT_FOUND
    code = "coap-not-found"
    message = "Not found"
    advice = "docs/coap.md lists the paths; the app API is served over HTTP only."


class MethodNotAllowedError(CoAPRefusalError):
    """A CoAP request's path exists, but not with this method (4.05)."""

    response = Code.METHOD_NOT_ALLOWED
    code = "coap-method-not-allowed"
    message = "Method not allowed"
    advice = "The text after the colon lists the methods of this path."


class NotAcceptableError(CoAPRefusalError):
    """A CoAP request accepts no JSON (4.06)."""

    response = Code.NOT_ACCEPTABLE
    code = "coap-not-acceptable"
    message = "Not acceptable"
    advice = "Leave Accept out, or send 50 (application/json)."


class BadOptionError(CoAPRefusalError):
    """A CoAP request has a critical option that the server does not know (4.02)."""

    response = Code.BAD_OPTION
    code = "coap-bad-option"
    message = "Bad option"
    advice = "The text after the colon has the option's number; send the request without it."


class ProxyingNotSupportedError(CoAPRefusalError):
    """A CoAP request asks the server to act as a proxy (5.05)."""

    response = Code.PROXYING_NOT_SUPPORTED
    code = "coap-no-proxy"
    message = "Proxying not supported"
    advice = "Send the request without Proxy-Uri and Proxy-Scheme."


class IncompleteUploadError(CoAPRefusalError):
    """A block of a body came whose earlier blocks the server does not have (4.08)."""

    response = Code.REQUEST_ENTITY_INCOMPLETE
    code = "coap-incomplete"
    message = "Blocks are missing"
    advice = "Send the body again from its first block."


class UploadTooLargeError(CoAPRefusalError):
    """A CoAP request's body is larger than the path takes (4.13 with Size1)."""

    category = Category.TOO_LARGE
    response = Code.REQUEST_ENTITY_TOO_LARGE
    code = "coap-too-large"
    message = "Content Too Large"
    advice = "Send less at once; the text after the colon names the limit."

    def __init__(self, detail: str, *, most: int) -> None:
        super().__init__(detail)
        self.most = most


class AnswerTooLargeError(CoAPRefusalError):
    """The answer would be larger than the server sends over CoAP."""

    category = Category.TOO_LARGE
    response = Code.REQUEST_ENTITY_TOO_LARGE
    code = "coap-answer-too-large"
    message = "Response too large"
    advice = "Ask for fewer values with limit, for one resource at a time, or over HTTP."


_CODES = {
    Category.INVALID: Code.BAD_REQUEST,
    Category.UNAUTHENTICATED: Code.UNAUTHORIZED,
    Category.FORBIDDEN: Code.FORBIDDEN,
    Category.NOT_FOUND: Code.NOT_FOUND,
    Category.CONFLICT: Code.CONFLICT,
    Category.PRECONDITION: Code.PRECONDITION_FAILED,
    Category.TOO_LARGE: Code.REQUEST_ENTITY_TOO_LARGE,
    Category.TOO_MANY: Code.TOO_MANY_REQUESTS,
    Category.UNAVAILABLE: Code.SERVICE_UNAVAILABLE,
    # CoAP has no 5.07; that the same request may be sent again later is what 5.03 says.
    Category.STORAGE_FULL: Code.SERVICE_UNAVAILABLE,
    Category.INTERNAL: Code.INTERNAL_SERVER_ERROR,
}


def code_of(error: ThingsteadError) -> Code:
    """Return the response code of a refusal."""
    if isinstance(error, CoAPRefusalError):
        return error.response
    return _CODES[error.category]


def refusal_document(error: ThingsteadError) -> bytes:
    """Return `{"status":"error","code":N,"message":"…"}`."""
    code = code_of(error)
    number = code.class_ * 100 + (code & 0x1F)
    return encode({"status": "error", "code": int(number), "message": str(error)})
