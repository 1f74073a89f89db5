"""How a live WebSocket begins: its address, and what its request may already bring."""

from thingstead.kernel.addresses import counted_as
from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.http.protocol import Refused, UpgradeRequest
from thingstead.transports.http.refusals import status_of
from thingstead.transports.http.request import parse_query
from thingstead.transports.http.router import Route
from thingstead.transports.http.v2.callers import TICKET_PARAMETER, authorization_token
from thingstead.transports.http.v2.live.holders import Holders
from thingstead.transports.http.v2.live.socket import Credential, LiveSocket, LiveSocketLimits
from thingstead.transports.http.websockets import (
    WebSocketAcceptor,
    upgrade_required_route,
)
from thingstead.transports.websocket import Watcher, WebSocketLimits

LIVE_PATH = "/v2/live"


def live_acceptor(
    holders: Holders,
    watcher: Watcher,
    *,
    limits: LiveSocketLimits,
    socket_limits: WebSocketLimits,
) -> WebSocketAcceptor:
    """Return who accepts live WebSockets at `LIVE_PATH`."""

    def handler_for(request: UpgradeRequest) -> LiveSocket | Refused:
        try:
            credential = _credential_of(request)
        except ThingsteadError as error:
            return Refused(status_of(error), str(error))
        address = counted_as(request.peer.address or "unknown")
        return LiveSocket(holders, limits, address=address, credential=credential)

    return WebSocketAcceptor(handler_for, socket_limits, watcher)


def live_routes() -> list[Route]:
    """Return the route that tells plain requests that this is a WebSocket."""
    return [upgrade_required_route(LIVE_PATH, "The live WebSocket", (TICKET_PARAMETER,))]


def _credential_of(request: UpgradeRequest) -> Credential | None:
    """Return what the request brings; the header rules over the query.

    Raises:
        InvalidHeaderError, InvalidQueryError: it can be read in more than one way, or in none.
    """
    token = authorization_token(request.values(b"authorization"))
    if token is not None:
        return Credential(token)
    ticket = parse_query(request.query_string).get("ticket")
    return None if ticket is None else Credential(ticket, is_ticket=True)
