"""Trusted proxies: whose forwarded addresses are believed, for requests and for upgrades.

uvicorn's middleware knows which header means what; here it is asked for both, so that the two
cannot differ. It must not know who asks.
"""

from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from thingstead.transports.http.protocol import Peer
from thingstead.transports.http.request import FROM_TRUSTED_PROXY


class TrustedProxies(ProxyHeadersMiddleware):
    """Believes the headers of trusted proxies, and notes which requests they brought."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401  # As the library has it.
        """Serve a request whose scope names the proxy's client, if a trusted one brought it."""
        client = scope.get("client")
        scope[FROM_TRUSTED_PROXY] = client is not None and client[0] in self.trusted_hosts
        await super().__call__(scope, receive, send)


class TrustedPeers:
    """Finds who sent a request that no ASGI application sees (`protocol.PeerFinder`)."""

    def __init__(self, trusted_proxies: tuple[str, ...]) -> None:
        self._proxies = TrustedProxies(_nothing, trusted_hosts=list(trusted_proxies))

    def peer_of(self, socket_peer: Peer, headers: list[tuple[bytes, bytes]]) -> Peer:
        """Return who sent a request that came over a connection from `socket_peer`."""
        client = None if socket_peer.address is None else (socket_peer.address, 0)
        scope: dict[str, Any] = {
            "type": "http",
            "client": client,
            "scheme": socket_peer.scheme,
            "headers": headers,
        }
        # It never waits, so its first step is its last.
        for _ in self._proxies(scope, None, None).__await__():
            raise RuntimeError("the middleware waited")
        client = scope["client"]
        # WebSocket schemes mean the same transport; what asks for them need not know both.
        scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
        return Peer(None if client is None else client[0], scheme, scope[FROM_TRUSTED_PROXY])


async def _nothing(_scope: object, _receive: object, _send: object) -> None:
    """Stand where the application would; the scope is all that is wanted."""
