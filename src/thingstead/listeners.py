"""The roads beside HTTP: MQTT, CoAP and plain datagrams, opened and closed together.

All sockets are bound before anything is made (`bind`), so that a port that is taken does not
use a first start up; they are served once the platform is open (`serve_roads`).
"""

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field

from thingstead import limits as from_settings
from thingstead.bootstrap import Platform
from thingstead.features.kept_sessions.model import KeptSubscription
from thingstead.kernel.errors import ThingsteadError
from thingstead.settings import Settings
from thingstead.transports.coap.device import CoAPServices
from thingstead.transports.coap.firmware import firmware_routes
from thingstead.transports.coap.limits import CoAPLimits
from thingstead.transports.coap.server import CoAPServer
from thingstead.transports.http.protocol import UpgradeRequest
from thingstead.transports.http.router import Route
from thingstead.transports.http.serving import open_listener
from thingstead.transports.http.websockets import WebSocketAcceptor, upgrade_required_route
from thingstead.transports.mqtt.broker import MQTTServices
from thingstead.transports.mqtt.feeds import Options
from thingstead.transports.mqtt.limits import MQTTLimits
from thingstead.transports.mqtt.listener import MQTTServer
from thingstead.transports.mqtt.opening import wants_relayed
from thingstead.transports.mqtt.over_websocket import SUBPROTOCOLS, MQTTOverWebSocket
from thingstead.transports.mqtt.topics import TopicRefusedError, parse_filter
from thingstead.transports.udp.server import UDPServer, UDPServices
from thingstead.transports.websocket import Watcher, WebSocketLimits

_HOUR_S = 3_600
MQTT_PATH = "/mqtt"
# Its own limits bound what a client of MQTT sends; each packet may be a message.
_MQTT_SOCKET = WebSocketLimits(messages_per_second=10_000, message_burst=20_000)


@dataclass(slots=True)
class Bound:
    """Sockets that nobody serves yet; `close` closes them, and twice is once."""

    mqtt: socket.socket | None = None
    mqtts: socket.socket | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Close what was bound."""
        self._stack.close()


@dataclass(slots=True)
class Roads:
    """What is served beside HTTP, and under which URLs; `stop` begins to end all of it."""

    mqtt: MQTTServer
    urls: dict[str, str] = field(default_factory=dict)
    stoppers: list[Callable[[], None]] = field(default_factory=list)

    def stop(self) -> None:
        """Accept nothing new and tell the clients; the context's end waits for them."""
        for stop in self.stoppers:
            stop()


class PortInUseError(OSError):
    """A port cannot be listened on; the text names it, and the flag that changes it."""


def bind(settings: Settings) -> Bound:
    """Bind the sockets of all roads that are on.

    Raises:
        PortInUseError: one cannot be bound; nothing stays bound.
    """
    bound = Bound()
    try:
        bound.mqtt = _bound(bound, settings, settings.mqtt_port, "--mqtt-port")
        bound.mqtts = _bound(bound, settings, settings.mqtts_port, "--mqtts-port")
        _try_datagrams(settings, settings.coap_port, "--coap-port")
        _try_datagrams(settings, settings.udp_port, "--udp-port")
    except BaseException:
        bound.close()
        raise
    return bound


def _bound(bound: Bound, settings: Settings, port: int, flag: str) -> socket.socket | None:
    if not port:
        return None
    try:
        listener = open_listener(settings.host, port)
    except OSError as exc:
        raise _port_in_use(exc, port, flag) from exc
    bound._stack.callback(listener.close)  # noqa: SLF001  # Its own module.
    return listener


def _try_datagrams(settings: Settings, port: int, flag: str) -> None:
    """Find out whether the port is free; their servers bind it themselves."""
    if not port:
        return
    family, kind, number, _, address = socket.getaddrinfo(
        settings.host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, number) as tried:
        try:
            tried.bind(address)
        except OSError as exc:
            raise _port_in_use(exc, port, flag) from exc


def _port_in_use(error: OSError, port: int, flag: str) -> PortInUseError:
    return PortInUseError(
        error.errno, f"{error.strerror}; {flag} names another port, or 0 for none", f"port {port}"
    )


@asynccontextmanager
async def serve_roads(settings: Settings, platform: Platform, bound: Bound) -> AsyncIterator[Roads]:
    """Serve all roads beside HTTP until the context ends."""
    async with AsyncExitStack() as stack:
        stack.callback(bound.close)
        mqtt = MQTTServer(_mqtt_services(platform), mqtt_limits(settings))
        stack.push_async_callback(mqtt.drain)
        await platform.kept_sessions.load(lambda kept: _thing_of(platform, kept))
        roads = Roads(mqtt)
        roads.stoppers.append(mqtt.stop)
        if bound.mqtt is not None:
            await mqtt.listen(bound.mqtt)
            roads.urls["mqtt"] = _url(settings, "mqtt", settings.mqtt_port)
        if bound.mqtts is not None:
            await mqtt.listen(bound.mqtts, _tls(settings))
            roads.urls["mqtts"] = _url(settings, "mqtts", settings.mqtts_port)
        if settings.coap_port:
            coap = _coap_server(platform)
            stack.push_async_callback(coap.drain)
            await coap.start(settings.host, settings.coap_port)
            roads.urls["coap"] = _url(settings, "coap", settings.coap_port)
        if settings.udp_port:
            services = UDPServices(platform.devices, platform.things, platform.values)
            udp = UDPServer(services, platform.clock, from_settings.udp_limits(settings.limits))
            stack.push_async_callback(udp.drain)
            await udp.start(settings.host, settings.udp_port)
            roads.urls["udp"] = _url(settings, "udp", settings.udp_port)
        yield roads


def mqtt_acceptor(roads: Roads, watcher: Watcher) -> WebSocketAcceptor:
    """Return who accepts MQTT over WebSockets at `MQTT_PATH` of the HTTP port."""

    def handler_for(request: UpgradeRequest) -> MQTTOverWebSocket:
        return MQTTOverWebSocket(roads.mqtt, request.peer.address or "unknown")

    return WebSocketAcceptor(handler_for, _MQTT_SOCKET, watcher, subprotocols=SUBPROTOCOLS)


def mqtt_routes() -> list[Route]:
    """Return the route that tells plain requests that this is a WebSocket."""
    return [upgrade_required_route(MQTT_PATH, "MQTT over WebSocket (subprotocol mqtt)")]


def mqtt_limits(settings: Settings) -> MQTTLimits:
    """Return the limits of MQTT."""
    limits = settings.limits
    return MQTTLimits(
        packet_bytes=limits.mqtt_packet_bytes,
        connect_s=limits.mqtt_connect_seconds,
        filters=limits.mqtt_filters,
        session_s=limits.mqtt_session_hours * _HOUR_S,
        connections=limits.connections,
        connections_per_address=limits.connections_per_address,
    )


def _mqtt_services(platform: Platform) -> MQTTServices:
    return MQTTServices(
        things=platform.things,
        values=platform.values,
        live=platform.live,
        streams=platform.streams,
        sessions=platform.people.sessions,
        kept=platform.kept_sessions,
        deliveries=platform.store.deliveries,
        replay=platform.store.replay,
        bus=platform.bus,
        clock=platform.clock,
    )


async def _thing_of(platform: Platform, kept: KeptSubscription) -> str | None:
    """Return the thing whose relayed messages a kept subscription wants while it is away."""
    try:
        target = parse_filter(kept.filter)
        if not wants_relayed(target) or not Options.of(kept.options).qos:
            return None
        thing = await platform.things.resolve(target.token, address=None)
    except (TopicRefusedError, ThingsteadError):
        return None
    return thing.id


def _coap_server(platform: Platform) -> CoAPServer:
    limits = CoAPLimits()
    services = CoAPServices(
        things=platform.things,
        values=platform.values,
        magic=platform.magic,
        tags=platform.tags,
        links=platform.links,
        streams=platform.streams,
        clock=platform.clock,
    )
    firmware = firmware_routes(
        platform.things, platform.firmware.offers, platform.administration.updates, limits
    )
    return CoAPServer(services, limits, more_routes=tuple(firmware))


def _tls(settings: Settings) -> ssl.SSLContext:
    assert settings.tls_cert is not None  # noqa: S101  # The settings were checked.
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context


def _url(settings: Settings, scheme: str, port: int) -> str:
    host = settings.url(port).split("//", 1)[1].rsplit(":", 1)[0].split("/", 1)[0]
    return f"{scheme}://{host}:{port}"
