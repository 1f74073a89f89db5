"""The edge of the HTTP server: what lies between the TCP socket and the ASGI app.

It adds to uvicorn's protocol class what that lacks: limits with JSON errors,
deadlines, tolerance for bare-LF requests, and the direct lane for the hottest call.
It knows no route, no thing and no session, and it never looks into a body.
Read on in `connection.py` (one connection), `head.py` (what a request head may look
like), `cycle.py` (how an answer is written), `upgrades.py` (the way to a WebSocket) and
`limits.py` (every number).

    edge = Edge(limits=EdgeLimits(), lane=lane)
    uvicorn.Config(app, http=protocol_class(edge), lifespan=..., ws="none")

uvicorn's own `timeout_keep_alive`, `limit_concurrency`, `headers`, `date_header`,
`server_header` and access log have no effect here: the edge has its own limits, writes
its own `Date`, sends no `Server`, and request targets hold tokens that no log may hold.
Pass `proxy_headers=False`: uvicorn's default believes forwarded addresses from loopback.
"""

from thingstead.transports.http.protocol.answers import error_answer, status_line
from thingstead.transports.http.protocol.connection import ThingsteadProtocol, protocol_class
from thingstead.transports.http.protocol.edge import ConnectionCounts, DateLine, Edge
from thingstead.transports.http.protocol.lane import DirectLane, LaneConnection
from thingstead.transports.http.protocol.limits import EdgeLimits
from thingstead.transports.http.protocol.sweeper import Sweeper
from thingstead.transports.http.protocol.upgrades import (
    Accepted,
    Peer,
    PeerFinder,
    Refused,
    Successor,
    UpgradeAcceptor,
    UpgradeRequest,
)

__all__ = [
    "Accepted",
    "ConnectionCounts",
    "DateLine",
    "DirectLane",
    "Edge",
    "EdgeLimits",
    "LaneConnection",
    "Peer",
    "PeerFinder",
    "Refused",
    "Successor",
    "Sweeper",
    "ThingsteadProtocol",
    "UpgradeAcceptor",
    "UpgradeRequest",
    "error_answer",
    "protocol_class",
    "status_line",
]
