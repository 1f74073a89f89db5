"""Where the links of mails lead: `/confirm/…`.

Opening one shows what it is about and changes nothing, because mail scanners follow links; the
page's button does it, once (`rulings.md`, Things, links, shares).
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from thingstead.features.sharing.model import RIGHT_NAMES, Grant
from thingstead.features.sharing.service import Sharing
from thingstead.features.users.errors import InvalidPasswordError, MailLinkNotFoundError
from thingstead.features.users.model import User
from thingstead.features.users.recovery import Recovery
from thingstead.kernel.errors import InvalidBodyError, ThingsteadError
from thingstead.transports.http.answers import Answer
from thingstead.transports.http.pages.html import page
from thingstead.transports.http.refusals import status_of
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Route
from thingstead.transports.http.v2.callers import demand_confidence
from thingstead.transports.http.v2.limits import V2Limits
from thingstead.transports.wire.form_bodies import decode_form

_HTML = "text/html"
_STATUSES = (200, 404, 429, 503)
_IGNORE = "If this means nothing to you, close this page: nothing happens then."
_MOST_RIGHTS_SHOWN = 50


def confirm_routes(recovery: Recovery, sharing: Sharing, limits: V2Limits) -> list[Route]:
    """Return the pages that mails link to."""

    async def show_address(request: Request) -> Answer:
        user = await recovery.confirm_user(request.arguments["secret"], address=request.address)
        return page(
            "confirm.html",
            title="Is this your address?",
            texts=[f"An account was registered with {user.email}."],
            rights=[],
            button="Yes, it is mine",
            otherwise=_IGNORE,
        )

    async def confirm_address(request: Request) -> Answer:
        user = await recovery.confirm(request.arguments["secret"], address=request.address)
        return page("done.html", title="Thank you", text=f"{user.email} is confirmed.")

    async def show_grant(request: Request) -> Answer:
        grant = await sharing.grant_of_link(request.arguments["secret"], address=request.address)
        user = await recovery.unconfirmed_account(grant.app_id, grant.email)
        return page(
            "confirm.html",
            title="Accept what is shared with you?",
            texts=[
                f"{grant.giver_email} shares with {grant.email}:",
                *_more(grant),
                "The account of that address will see it. Accept only if that account is yours.",
                *_warning(user),
            ],
            rights=_lines(grant),
            button="Accept",
            otherwise=_IGNORE,
        )

    async def accept_grant(request: Request) -> Answer:
        grant = await sharing.accept_by_link(request.arguments["secret"], address=request.address)
        text = (
            f"What {grant.giver_email} shares is in the account of {grant.email} now, or will be"
            " as soon as there is one with a confirmed address."
        )
        return page("done.html", title="Accepted", text=text)

    async def show_password(request: Request) -> Answer:
        user = await recovery.reset_user(request.arguments["secret"], address=request.address)
        return page("password.html", email=user.email, problem=None)

    async def set_password(request: Request) -> Answer:
        demand_confidence(request)
        secret = request.arguments["secret"]
        user = await recovery.reset_user(secret, address=request.address)
        form = decode_form(await request.body(limits.document_bytes))
        password, again = form.get("password"), form.get("again")
        if not isinstance(password, str) or not isinstance(again, str):
            raise InvalidBodyError("password and again: missing")
        if password != again:
            return page("password.html", 400, email=user.email, problem="The two are not the same.")
        try:
            await recovery.reset(secret, password, address=request.address)
        except InvalidPasswordError as error:
            return page("password.html", 400, email=user.email, problem=f"{error}.")
        return page("done.html", title="The password is set", text="Log in with it from now on.")

    return [
        *_pair("email", "Confirm an address", show_address, confirm_address),
        *_pair("grant", "Accept what is shared", show_grant, accept_grant),
        *_pair("password", "Set a new password", show_password, set_password),
    ]


_Page = Callable[[Request], Awaitable[Answer]]


def _pair(name: str, summary: str, show: _Page, do: _Page) -> list[Route]:
    return [
        Route(
            method,
            f"/confirm/{name}/{{secret}}",
            text,
            _as_page(handler),
            statuses=statuses,
            media_type=_HTML,
            access=Access.MAIL_LINK,
        )
        for method, text, handler, statuses in (
            ("GET", f"{summary}: the page that asks", show, _STATUSES),
            ("POST", summary, do, (*_STATUSES, 400, 403, 413, 507)),
        )
    ]


def _as_page(handler: _Page) -> _Page:
    """Have refusals answered by a page too: people read these, not programs."""

    async def handle(request: Request) -> Answer:
        try:
            return await handler(request)
        except MailLinkNotFoundError as error:
            return page("done.html", 404, title=error.message, text=error.advice)
        except ThingsteadError as error:
            return page("done.html", status_of(error), title=str(error), text=error.advice)

    return handle


def _lines(grant: Grant) -> list[str]:
    return [
        f"{entry.resource} of {entry.thing_id}: "
        + ", ".join(name for name, right in RIGHT_NAMES.items() if entry.rights & right)
        for entry in grant.entries[:_MOST_RIGHTS_SHOWN]
    ]


def _more(grant: Grant) -> list[str]:
    more = len(grant.entries) - _MOST_RIGHTS_SHOWN
    return [f"The first {_MOST_RIGHTS_SHOWN}, and {more} more:"] if more > 0 else []


def _warning(user: User | None) -> list[str]:
    """Return what to know about an account that accepting confirms.

    Anybody could have registered it with a password of their own.
    """
    if user is None:
        return []
    day = datetime.fromtimestamp(user.created_at_ms / 1_000, UTC).date()
    text = (
        f"That account was registered on {day} (UTC) and its address is not confirmed yet."
        " Accepting confirms that account: accept only if you opened it yourself."
    )
    return [text]
