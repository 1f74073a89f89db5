"""The route table of HTTP: which services which handlers are given."""

from thingstead.bootstrap import Platform
from thingstead.kernel.errors import ThingsteadError
from thingstead.listeners import mqtt_routes
from thingstead.settings import Settings
from thingstead.transports.http.asyncapi import asyncapi_route
from thingstead.transports.http.callbacks.handlers import CallbackHandlers
from thingstead.transports.http.ddi.handlers import DDIHandlers
from thingstead.transports.http.health import health_routes
from thingstead.transports.http.openapi import openapi_route
from thingstead.transports.http.pages.confirm import confirm_routes
from thingstead.transports.http.protocol import Sweeper
from thingstead.transports.http.router import Route
from thingstead.transports.http.v2.accounts import AccountHandlers
from thingstead.transports.http.v2.arduino import ArduinoUpdates
from thingstead.transports.http.v2.callers import Callers
from thingstead.transports.http.v2.collections import CollectionHandlers
from thingstead.transports.http.v2.dates import date_routes
from thingstead.transports.http.v2.downloads import Downloads
from thingstead.transports.http.v2.export import Exported, ExportHandlers
from thingstead.transports.http.v2.firmware import FirmwareHandlers
from thingstead.transports.http.v2.limits import V2Limits
from thingstead.transports.http.v2.links import LinkHandlers
from thingstead.transports.http.v2.live.upgrade import live_routes
from thingstead.transports.http.v2.resources import ResourceHandlers
from thingstead.transports.http.v2.sharing import SharingHandlers
from thingstead.transports.http.v2.streams import StreamHandlers
from thingstead.transports.http.v2.tags import tag_routes
from thingstead.transports.http.v2.things import thing_routes
from thingstead.transports.http.v2.tickets import ticket_routes
from thingstead.transports.http.v2.users import UserHandlers
from thingstead.transports.http.v2.values import ValueHandlers
from thingstead.transports.socketio.limits import SocketIOLimits
from thingstead.transports.socketio.routes import SocketIORoutes
from thingstead.transports.socketio.server import SocketIOServer


def socketio_of(settings: Settings, platform: Platform, sweeper: Sweeper) -> SocketIORoutes:
    """Return the addresses of Socket.IO."""
    limits = SocketIOLimits(sockets=settings.limits.streams)
    sessions = platform.people.sessions
    return SocketIORoutes(SocketIOServer(platform.streams, sessions, limits, sweeper))


def all_routes(
    settings: Settings, platform: Platform, socketio: SocketIORoutes | None = None
) -> list[Route]:
    """Return the whole route table; without `socketio`, to be looked at only."""
    limits = V2Limits(
        write_bytes=settings.limits.write_bytes,
        document_bytes=settings.limits.document_bytes,
        settings_bytes=settings.limits.settings_bytes,
        object_bytes=settings.limits.object_bytes,
        answer_bytes=settings.limits.answer_bytes,
    )

    async def problem() -> str | None:
        try:
            await platform.products.check()
            await platform.values.check()
        except ThingsteadError as error:
            return str(error)
        return None

    routes = [
        *thing_routes(platform.things, limits),
        *ValueHandlers(
            platform.things, platform.values, platform.magic, platform.links, limits
        ).routes(),
        *StreamHandlers(platform.streams).routes(),
        *CallbackHandlers(
            platform.devices,
            platform.things,
            platform.values,
            max_body_bytes=settings.limits.object_bytes,
        ).routes(),
        *tag_routes(platform.things, platform.tags, limits),
        *_firmware_routes(settings, platform, limits),
        *_people_routes(platform, limits),
        *date_routes(platform.clock),
        asyncapi_route(),
        *health_routes(problem),
        *(socketio or socketio_of(settings, platform, Sweeper())).routes(),
    ]
    return [*routes, openapi_route(routes)]


def _firmware_routes(settings: Settings, platform: Platform, limits: V2Limits) -> list[Route]:
    things, offers = platform.things, platform.firmware.offers
    updates, catalogues = platform.administration.updates, platform.administration.catalogues
    downloads = Downloads(things, offers)
    return [
        *FirmwareHandlers(things, offers, updates, limits).routes(),
        *downloads.routes(),
        *ArduinoUpdates(things, offers, updates, catalogues, downloads).routes(),
        *DDIHandlers(
            things,
            offers,
            updates,
            catalogues,
            clock=platform.clock,
            public_url=settings.public_url,
        ).routes(),
    ]


def _people_routes(platform: Platform, limits: V2Limits) -> list[Route]:
    people = platform.people
    callers = Callers(people.sessions, people.tickets)
    return [
        *ticket_routes(callers, people.tickets),
        *live_routes(),
        *mqtt_routes(),
        *AccountHandlers(people.accounts, people.recovery, people.resources, limits).routes(),
        *UserHandlers(
            callers,
            people.account_changes,
            people.settings,
            people.sessions,
            people.recovery,
            limits,
        ).routes(),
        *LinkHandlers(callers, platform.links, people.resources, limits).routes(),
        *ResourceHandlers(callers, people.resources, platform.streams, limits).routes(),
        *SharingHandlers(callers, people.sharing, limits).routes(),
        *CollectionHandlers(callers, people.collections, platform.streams, limits).routes(),
        *ExportHandlers(
            callers,
            Exported(
                people.settings,
                platform.links,
                people.sharing,
                people.collections,
                platform.store.archive,
            ),
            platform.clock,
        ).routes(),
        *confirm_routes(people.recovery, people.sharing, limits),
    ]
