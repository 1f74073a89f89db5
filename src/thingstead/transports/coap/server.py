"""The CoAP server: opens the socket, joins it with the handlers, and stops in order."""

import logging
import secrets

from thingstead.transports.coap.device import CoAPServices, device_routes
from thingstead.transports.coap.endpoint import Endpoint, open_endpoint
from thingstead.transports.coap.limits import CoAPLimits
from thingstead.transports.coap.observers import Observers
from thingstead.transports.coap.routes import Route, Routes
from thingstead.transports.coap.site import Site

_log = logging.getLogger(__name__)
_SECRET_BYTES = 32


class CoAPServer:
    """Serves the device API on one UDP port; `start` it once, `drain` it at the end."""

    def __init__(
        self,
        services: CoAPServices,
        limits: CoAPLimits | None = None,
        *,
        more_routes: tuple[Route, ...] = (),
    ) -> None:
        limits = limits or CoAPLimits()
        self._limits = limits
        self._clock = services.clock
        observers = Observers(services.streams, most_per_peer=limits.observations_per_peer)
        self._site = Site(
            Routes([*device_routes(services, limits), *more_routes]),
            observers,
            services.things,
            clock=services.clock,
            limits=limits,
            secret=secrets.token_bytes(_SECRET_BYTES),
        )
        self._endpoint: Endpoint | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; 0 when none is."""
        return 0 if self._endpoint is None else self._endpoint.port

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 is any free one. All of IPv4 (0.0.0.0) means all of IPv6 as well.

        Raises:
            OSError: the address cannot be listened on.
        """
        self._endpoint = await open_endpoint(
            host, port, self._site.take, clock=self._clock, limits=self._limits
        )
        self._site.connect(self._endpoint.exchanges)
        _log.info("CoAP listens on %s port %d", host, self._endpoint.port)

    async def drain(self) -> None:
        """Answer what has begun, tell observers, refuse what comes, and close; twice is once."""
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is None:
            return
        try:
            await self._site.drain(self._limits.drain_seconds)
        finally:
            await endpoint.close()
