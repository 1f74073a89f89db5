"""The one error root and the closed set of categories.

Every refusal in the program is a `ThingsteadError`. Its class says what went wrong, its
category says what kind of answer that is; each transport maps categories to its own codes
(HTTP status, MQTT reason, CoAP code) in one table of its own. Nothing here knows a transport.
Feature errors stand in `features/*/errors.py`; `docs/errors.md` is generated from them.
"""

from enum import StrEnum
from typing import ClassVar


class Category(StrEnum):
    """What kind of refusal it is; transports map these to their codes."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    PRECONDITION = "precondition"
    TOO_LARGE = "too-large"
    TOO_MANY = "too-many"
    UNAVAILABLE = "unavailable"
    STORAGE_FULL = "storage-full"
    INTERNAL = "internal"


class ThingsteadError(Exception):
    """A refusal with a stable code, a message for people and a piece of advice.

    `detail` says what and where (`values[3].datetime: …`); it may quote a place in the
    request, never a token and never a payload. `retry_after_s` is set when waiting helps.
    """

    category: ClassVar[Category] = Category.INTERNAL
    code: ClassVar[str] = "internal"
    message: ClassVar[str] = "Internal server error"
    advice: ClassVar[str] = "The server's log has the reason; report it with the request's time."

    def __init__(self, detail: str = "", *, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.message}: {self.detail}" if self.detail else self.message


class InvalidJSONError(ThingsteadError):
    """The body is not the JSON that the call takes."""

    category = Category.INVALID
    code = "invalid-json"
    message = "Invalid JSON"
    advice = "Send one well-formed JSON document; the text after the colon names the place."


class InvalidBodyError(ThingsteadError):
    """The body is well formed, but not of the shape that the call takes."""

    category = Category.INVALID
    code = "invalid-body"
    message = "Invalid body"
    advice = "The text after the colon names the member and what was expected there."


class InvalidLimitError(ThingsteadError):
    """`limit` is not a whole number of at least 1."""

    category = Category.INVALID
    code = "invalid-limit"
    message = "Invalid limit"
    advice = "Send a whole number from 1 to 100; larger ones are treated as 100."


class InvalidDateError(ThingsteadError):
    """A date cannot be read, or lies outside the accepted window."""

    category = Category.INVALID
    code = "invalid-date"
    message = "Invalid date"
    advice = "Send UTC as YYYYMMDDHHmmss or ISO 8601, for example 2026-01-31T12:00:00.000Z."


class OverloadedError(ThingsteadError):
    """A bounded queue is full; nothing was stored."""

    category = Category.UNAVAILABLE
    code = "overloaded"
    message = "Server is busy"
    advice = "Send the same request again after the seconds named in Retry-After."


class StoreUnavailableError(ThingsteadError):
    """The database did not take the request; nothing was stored."""

    category = Category.UNAVAILABLE
    code = "store-unavailable"
    message = "Storage is not available"
    advice = "Send the same request again later; the operator finds the reason in the server's log."


class StorageFullError(ThingsteadError):
    """The disk is full; nothing was stored, reads go on."""

    category = Category.STORAGE_FULL
    code = "storage-full"
    message = "Storage is full"
    advice = "The operator has to free disk space; the same request may be sent again later."


class TooManyRequestsError(ThingsteadError):
    """A rate limit is exhausted."""

    category = Category.TOO_MANY
    code = "too-many-requests"
    message = "Too Many Requests"
    advice = "Wait for the seconds named in Retry-After; the text after the colon names the limit."


class TooManyStreamsError(ThingsteadError):
    """No further live stream can be opened."""

    category = Category.TOO_MANY
    code = "too-many-streams"
    message = "Too many streams"
    advice = "Close a stream that is no longer read; the text after the colon names the limit."
