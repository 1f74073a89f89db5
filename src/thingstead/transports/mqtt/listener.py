"""The MQTT server's sockets: plain TCP and TLS; WebSockets come through the HTTP port."""

import asyncio
import socket
import ssl

from thingstead.transports.mqtt.broker import Broker, MQTTServices
from thingstead.transports.mqtt.connection import MQTTConnection
from thingstead.transports.mqtt.limits import MQTTLimits

_DRAIN_S = 4.0
_TLS_HANDSHAKE_S = 10.0


class MQTTServer:
    """Serves MQTT; made and used on one event loop."""

    def __init__(self, services: MQTTServices, limits: MQTTLimits) -> None:
        self.broker = Broker(services, limits)
        self._servers: list[asyncio.Server] = []

    async def listen(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections on a bound socket, which is closed by `drain`."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            self.connection,
            sock=listener,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else _TLS_HANDSHAKE_S,
        )
        self._servers.append(server)

    def connection(self) -> MQTTConnection:
        """Return a new connection, to be begun on any wire."""
        return MQTTConnection(self.broker)

    def stop(self) -> None:
        """Accept no more connections, and tell the clients that the server stops."""
        for server in self._servers:
            server.close()
        self.broker.stop()

    async def drain(self) -> None:
        """Stop: clients are told, sessions are kept, nothing acknowledged is lost."""
        self.stop()
        await self.broker.drain(_DRAIN_S)
