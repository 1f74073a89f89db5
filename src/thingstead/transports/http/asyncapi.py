"""The AsyncAPI 3.0 document: what comes over live roads, by address, and in what shape.

Made from one table of channels, whose addresses a test compares with the route table and with
MQTT's topics. `docs/asyncapi.json` is written from it by `scripts/docs`. How requests look is
in the OpenAPI document.
"""

from dataclasses import dataclass
from typing import Final

from thingstead import __version__
from thingstead.transports.http.answers import Answer
from thingstead.transports.http.asyncapi_messages import MESSAGES, SCHEMAS
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Route
from thingstead.transports.wire.values_out import encode

HTTP: Final = "http"
WEBSOCKET: Final = "websocket"
MQTT: Final = "mqtt"

_PARAMETERS = {
    "thing_token": "The thing's token, which is the right.",
    "key": "The resource's key.",
    "resource": "A resource that the user may read of at least one thing, or will.",
    "collection": "One of the user's collections.",
    "code": "An activation code that is not used yet.",
    "random": "Any text that nobody else would choose.",
}
_EVENTS = "With Accept: text/event-stream these are Server-Sent Events, whose data they are."


@dataclass(frozen=True, slots=True)
class Channel:
    """Where messages come from: the `sent` are the server's, the `received` the client's.

    `address` is the pattern of a route, or of a topic; `access` is the name of a security
    scheme, None where the address itself is the right.
    """

    name: str
    server: str
    address: str
    summary: str
    sent: tuple[str, ...]
    received: tuple[str, ...] = ()
    access: str | None = None


_HTTP_STREAM = ("subscribed", "signOfLife", "gap", "end")
CHANNELS: Final = (
    Channel(
        "thingStream",
        HTTP,
        "/v2/things/{thing_token}",
        f"All that a thing writes. {_EVENTS}",
        ("values", *_HTTP_STREAM),
    ),
    Channel(
        "resourceStream",
        HTTP,
        "/v2/me/resources/{resource}",
        "One resource of all the user's things; with subscribe=true, or Accept:"
        f" text/event-stream. {_EVENTS}",
        ("usersValues", *_HTTP_STREAM),
        access="session",
    ),
    Channel(
        "collectionStream",
        HTTP,
        "/v2/classes/me/{collection}",
        f"Changes of a collection; with subscribe=true, or Accept: text/event-stream. {_EVENTS}",
        ("object", *_HTTP_STREAM),
        access="session",
    ),
    Channel(
        "liveSocket",
        WEBSOCKET,
        "/v2/live",
        "Any number of subscriptions over one WebSocket. The first message authenticates,"
        " unless the request did.",
        (
            "socketAuthenticated",
            "socketSubscribed",
            "socketValues",
            "socketObject",
            "socketGap",
            "socketEnded",
            "socketUnsubscribed",
            "socketError",
            "socketPong",
        ),
        ("socketAuthenticate", "socketSubscribe", "socketUnsubscribe", "socketPing"),
    ),
    Channel(
        "thingTopic",
        MQTT,
        "v2/things/{thing_token}",
        "What a thing writes; a message published here is a write.",
        ("values",),
        ("write",),
    ),
    Channel(
        "thingResourceTopic",
        MQTT,
        "v2/things/{thing_token}/resources/{key}",
        "One resource of a thing.",
        ("values",),
    ),
    Channel(
        "usersResourceTopic",
        MQTT,
        "v2/me/resources/{resource}",
        "One resource of all the user's things; for clients that connect with a session.",
        ("usersValues",),
        access="mqttSession",
    ),
    Channel(
        "activationTopic",
        MQTT,
        "v2/activations/{code}/{random}",
        "Activates a thing when it is subscribed to, and brings the token.",
        ("activation",),
    ),
)


def asyncapi_document() -> dict[str, object]:
    """Return the document."""
    operations: dict[str, object] = {}
    for channel in CHANNELS:
        for action, names in (("send", channel.sent), ("receive", channel.received)):
            if names:
                operations[f"{action}_{channel.name}"] = _operation(channel, action, names)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "thingstead",
            "version": __version__,
            "description": "Live values and objects. `send` is what the server sends.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            HTTP: {"host": "localhost:5000", "protocol": "http"},
            WEBSOCKET: {"host": "localhost:5000", "protocol": "ws"},
            MQTT: {"host": "localhost:1883", "protocol": "mqtt", "protocolVersion": "5.0"},
        },
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": operations,
        "components": {
            "messages": MESSAGES,
            "schemas": SCHEMAS,
            "securitySchemes": {
                "session": {
                    "type": "httpApiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "A session token, bare or after `Bearer`; with Accept:"
                    " text/event-stream also a ticket as the query parameter `ticket`.",
                },
                "mqttSession": {
                    "type": "userPassword",
                    "description": "A session token as the user name or the password.",
                },
            },
        },
    }


def asyncapi_route() -> Route:
    """Return the route that serves the document."""

    async def document(_request: Request) -> Answer:
        return Answer(200, encode(asyncapi_document()))

    return Route(
        "GET",
        "/asyncapi.json",
        "What comes over live streams, WebSocket and MQTT, as an AsyncAPI document",
        document,
        access=Access.PUBLIC,
    )


def _channel(channel: Channel) -> dict[str, object]:
    names = [part[1:-1] for part in channel.address.split("/") if part.startswith("{")]
    described: dict[str, object] = {
        "address": channel.address,
        "summary": channel.summary,
        "servers": [{"$ref": f"#/servers/{channel.server}"}],
        "messages": {
            name: {"$ref": f"#/components/messages/{name}"}
            for name in (*channel.sent, *channel.received)
        },
    }
    if names:
        described["parameters"] = {name: {"description": _PARAMETERS[name]} for name in names}
    return described


def _operation(channel: Channel, action: str, names: tuple[str, ...]) -> dict[str, object]:
    place = f"#/channels/{channel.name}"
    operation: dict[str, object] = {
        "action": action,
        "channel": {"$ref": place},
        "messages": [{"$ref": f"{place}/messages/{name}"} for name in names],
    }
    if channel.access is not None:
        operation["security"] = [{"$ref": f"#/components/securitySchemes/{channel.access}"}]
    return operation
