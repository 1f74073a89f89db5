"""Refusals about users, sessions, passwords and settings."""

from thingstead.kernel.errors import Category, ThingsteadError


class InvalidSessionError(ThingsteadError):
    """No valid session came with the call."""

    category = Category.UNAUTHENTICATED
    code = "invalid-session"
    message = "Invalid session token"
    advice = "Log in again and send `Authorization: SESSION_TOKEN`."


class InvalidTicketError(ThingsteadError):
    """The ticket is unknown, used or expired, or its session has ended."""

    category = Category.UNAUTHENTICATED
    code = "invalid-ticket"
    message = "Invalid ticket"
    advice = "Ask for a new one with POST /v2/me/tickets; it works once, for 30 seconds."


class WrongPasswordError(ThingsteadError):
    """The address has no account in this app, or the password is another."""

    category = Category.UNAUTHENTICATED
    code = "wrong-password"
    message = "Invalid email or password"
    advice = "Check both; a forgotten password is reset with POST /v2/password-reset."


class CurrentPasswordError(ThingsteadError):
    """The current password is missing where it is asked for, or is another."""

    category = Category.FORBIDDEN
    code = "wrong-current-password"
    message = "Invalid current password"
    advice = "Send the current password as `currentPassword`."


class UserExistsError(ThingsteadError):
    """The app has a user with this address."""

    category = Category.INVALID
    code = "user-exists"
    message = "User already exists"
    advice = "Log in instead; a forgotten password is reset with POST /v2/password-reset."


class InvalidEmailError(ThingsteadError):
    """The text cannot be a mail address."""

    category = Category.INVALID
    code = "invalid-email"
    message = "Invalid email"
    advice = "Send an address such as ada@example.org, at most 254 characters."


class InvalidPasswordError(ThingsteadError):
    """The password is too short, too long, or one of those that are tried first."""

    category = Category.INVALID
    code = "invalid-password"
    message = "Invalid password"
    advice = "Use 8 to 128 characters, and not one of the most common passwords."


class InsecureTransportError(ThingsteadError):
    """A password came from a public address without encryption."""

    category = Category.FORBIDDEN
    code = "insecure-transport"
    message = "HTTPS required"
    advice = "Use https, or have the proxy in front named by --trusted-proxy."


class SessionNotFoundError(ThingsteadError):
    """The user has no session with this id."""

    category = Category.NOT_FOUND
    code = "session-not-found"
    message = "Session not found"
    advice = "`GET /v2/me/sessions` lists the sessions."


class MailLinkNotFoundError(ThingsteadError):
    """The link of a mail is unknown, used, or has expired."""

    category = Category.NOT_FOUND
    code = "mail-link-not-found"
    message = "This link does not work any more"
    advice = "It works once and for a while; ask for a new mail."


class SettingsTooLargeError(ThingsteadError):
    """The settings would become too large, or have too many members; nothing was stored."""

    category = Category.TOO_LARGE
    code = "settings-too-large"
    message = "Settings too large"
    advice = "Shorten them to the limit that the text names."


class InvalidUserSettingsError(ThingsteadError):
    """The settings are no JSON object, or name a member that is not theirs."""

    category = Category.INVALID
    code = "invalid-user-settings"
    message = "Invalid settings"
    advice = 'Send one JSON object, such as {"language":"en"}.'
