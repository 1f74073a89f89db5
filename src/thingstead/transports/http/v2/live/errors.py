"""Refusals that only the live WebSocket knows."""

from thingstead.transports.http.refusals import HTTPRefusalError


class NotAuthenticatedError(HTTPRefusalError):
    """The first message of a live WebSocket does not authenticate, or does not come in time."""

    status = 401
    code = "not-authenticated"
    message = "Not authenticated"
    advice = 'Send {"type":"authenticate","token":"…"} first, within 5 seconds.'


class UnknownTokenError(HTTPRefusalError):
    """The token of a live WebSocket is no valid session token, thing token or ticket."""

    status = 401
    code = "unknown-token"
    message = "Invalid token"
    advice = "Send a valid session token, thing token or unused ticket."


class AlreadyAuthenticatedError(HTTPRefusalError):
    """A live WebSocket authenticates once."""

    status = 409
    code = "already-authenticated"
    message = "Already authenticated"
    advice = "Open another WebSocket for another token."


class SubscriptionExistsError(HTTPRefusalError):
    """The WebSocket has a subscription with this id."""

    status = 409
    code = "subscription-exists"
    message = "Subscription exists"
    advice = "Unsubscribe first, or choose another id."


class SubscriptionNotFoundError(HTTPRefusalError):
    """The WebSocket has no subscription with this id."""

    status = 404
    code = "subscription-not-found"
    message = "Subscription not found"
    advice = "Send the id of a subscription that has not ended."


class TooManySubscriptionsError(HTTPRefusalError):
    """The WebSocket has as many subscriptions as it may."""

    status = 429
    code = "too-many-subscriptions"
    message = "Too many subscriptions"
    advice = "Unsubscribe from one, or open another WebSocket."
