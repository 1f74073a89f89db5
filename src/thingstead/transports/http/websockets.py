"""How a WebSocket's handler is reached over HTTP: its acceptor, and its address's route.

    acceptor = WebSocketAcceptor(handler_for, limits, edge_sweeper, subprotocols=("mqtt",))
    edge = Edge(upgrades={"/mqtt": acceptor}, sweeper=edge_sweeper)
    routes = [..., upgrade_required_route("/mqtt", "MQTT over WebSocket")]

`handler_for` is called for each upgrade with the request (its query, headers and peer) and
returns the handler of the new connection, or a `Refused` that is answered instead. It must not
know what is spoken. Read on in `protocol/upgrades.py` (the seam) and `transports/websocket`.
"""

from collections.abc import Callable

from thingstead.transports.http.answers import Answer, refusal_document
from thingstead.transports.http.protocol import Accepted, Refused, UpgradeRequest
from thingstead.transports.http.refusals import UpgradeRequiredError
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Parameter, Route
from thingstead.transports.websocket import (
    Watcher,
    WebSocketConnection,
    WebSocketHandler,
    WebSocketLimits,
)

_UPGRADE = (b"Upgrade", b"websocket")

HandlerMaker = Callable[[UpgradeRequest], WebSocketHandler | Refused]


class WebSocketAcceptor:
    """Accepts the WebSockets of one path (`protocol.UpgradeAcceptor`).

    `subprotocols`: those that are spoken; of what a client offers, the first of them is chosen.
    With any, a client that offers none of them is refused.
    """

    def __init__(
        self,
        handler_for: HandlerMaker,
        limits: WebSocketLimits,
        watcher: Watcher,
        *,
        subprotocols: tuple[str, ...] = (),
    ) -> None:
        self._handler_for = handler_for
        self._limits = limits
        self._watcher = watcher
        self._subprotocols = subprotocols

    def accept(self, request: UpgradeRequest) -> Accepted | Refused:
        """Return the connection that takes over, or why there is none."""
        chosen = None
        if self._subprotocols:
            offered = request.subprotocols
            chosen = next((name for name in offered if name in self._subprotocols), None)
            if chosen is None:
                names = ", ".join(self._subprotocols)
                return Refused(400, f"Bad Request: Sec-WebSocket-Protocol must offer {names}")
        handler = self._handler_for(request)
        if isinstance(handler, Refused):
            return handler
        return Accepted(WebSocketConnection(handler, self._limits, self._watcher), chosen)


def upgrade_required_route(
    pattern: str, summary: str, parameters: tuple[Parameter, ...] = ()
) -> Route:
    """Return the route that tells plain requests for a WebSocket's address what it is."""

    async def refuse(_request: Request) -> Answer:
        # RFC 9110, 15.5.22: the answer must say what to upgrade to.
        return Answer(426, refusal_document(UpgradeRequiredError()), (_UPGRADE,))

    return Route(
        "GET",
        pattern,
        summary,
        refuse,
        statuses=(101, 400, 426),
        parameters=parameters,
        access=Access.PUBLIC,
    )
