"""The AsyncAPI document: its channels are those of the program, its shapes those on the wire."""

import json

import jsonschema_rs
import pytest

from support.app_calls import write
from support.event_stream import event_stream
from support.live_socket import live_socket
from support.wire import ask
from thingstead.routes import all_routes
from thingstead.settings import Settings
from thingstead.transports.http.asyncapi import CHANNELS, HTTP, MQTT, WEBSOCKET
from thingstead.transports.mqtt.topics import TopicKind, parse_topic

pytestmark = pytest.mark.asyncio(loop_scope="module")

RESOURCE = "/v2/me/resources/temperature"
OBJECTS = "/v2/classes/me/rooms"


def shape(document, name):
    """The validator of a message."""
    components = {"components": {"schemas": document["components"]["schemas"]}}
    payload = document["components"]["messages"][name]["payload"]
    return jsonschema_rs.validator_for({**payload, **components})


async def document_of(server):
    got = await ask(server.address, "GET", "/asyncapi.json")
    assert (got.status, got.get("Content-Type")) == (200, "application/json")
    return got.json


def of_server(name):
    return {channel.address for channel in CHANNELS if channel.server == name}


async def test_the_channels_of_http_are_the_routes_that_stream(server):
    routes = all_routes(Settings(), server.platform)

    streams = {
        route.pattern
        for route in routes
        if route.stream is not None and route.pattern.startswith("/v2/")
    }

    assert of_server(HTTP) == streams
    assert of_server(WEBSOCKET) < {route.pattern for route in routes}


async def test_the_channels_of_mqtt_are_the_kinds_of_topics_that_something_is_told_under():
    kinds = {parse_topic(address).kind for address in of_server(MQTT)}

    # What is passed on has no shape, and a subtree is only asked for.
    assert kinds == {*TopicKind} - {TopicKind.RELAYED, TopicKind.SUBTREE}


async def test_every_reference_leads_somewhere(server):
    document = await document_of(server)
    references = []

    def collect(node):
        if isinstance(node, dict):
            references.extend([node["$ref"]] if "$ref" in node else [])
            for child in node.values():
                collect(child)
        elif isinstance(node, list):
            for child in node:
                collect(child)

    def found(reference):
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node.get(part, {})
        return node

    collect(document)
    assert references
    assert [one for one in references if not found(one)] == []


async def test_every_message_is_on_a_channel(server):
    document = await document_of(server)

    on_channels = {name for channel in CHANNELS for name in (*channel.sent, *channel.received)}

    assert on_channels == set(document["components"]["messages"])


async def test_what_event_streams_send_has_the_shapes_described(server, ada, thing):
    document = await document_of(server)
    await ada.link(thing)
    headers = {"Authorization": ada.token}
    async with (
        event_stream(server.address, f"/v2/things/{thing.token}") as of_thing,
        event_stream(server.address, RESOURCE, headers) as of_resource,
        event_stream(server.address, OBJECTS, headers) as of_collection,
    ):
        await write(ada, thing, "temperature", 1, "$settings.name", "N", geo={"lat": 1, "long": 2})
        await ada.ask("POST", OBJECTS, {"_id": "kitchen"})
        heard = {
            "values": await of_thing.next(),
            "usersValues": await of_resource.next(),
            "object": await of_collection.next(),
        }
        await ada.ask("DELETE", "/v2/me/sessions/current")
        [heard["end"]] = await of_resource.rest()

    for name, event in heard.items():
        shape(document, name).validate(event.json)


async def test_what_the_socket_says_has_the_shapes_described(server, ada, thing):
    document = await document_of(server)
    await ada.link(thing)
    said, heard = [], []
    async with live_socket(server.address) as client:

        async def ask_socket(message):
            said.append(message)
            await client.socket.send(json.dumps(message))
            heard.append(await client.hear())

        await ask_socket({"type": "authenticate", "token": ada.token})
        for place, resource in (("v", "/me/resources/temperature"), ("o", "/classes/me/rooms")):
            await ask_socket({"type": "subscribe", "id": place, "resource": resource})
        await ask_socket({"type": "subscribe", "id": "x", "resource": "/nothing"})
        await ask_socket({"type": "ping"})
        await write(ada, thing, "temperature", 1)
        heard.append(await client.hear())
        await ada.ask("POST", OBJECTS, {"_id": "kitchen"})
        heard.append(await client.hear())
        await ask_socket({"type": "unsubscribe", "id": "v"})

    kinds = [message["type"] for message in heard]
    assert " ".join(sorted(kinds)) == (
        "authenticated error object pong subscribed subscribed unsubscribed values"
    )
    for message in (*said, *heard):
        kind = message["type"]
        shape(document, f"socket{kind[0].upper()}{kind[1:]}").validate(message)
