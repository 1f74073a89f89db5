"""What an app subscribes to by name, and how an event of it becomes a packet.

A topic is an address of the HTTP API without `/v2`: `/me/resources/RESOURCE`,
`/things/THING_TOKEN` (`thethings-v2.md` 5.3) and, as our addition, `/classes/me/COLLECTION`. The
event that carries values is named exactly as the client wrote the topic.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from thingstead.features.collections.model import ObjectEvent
from thingstead.features.live.model import LiveEvent
from thingstead.features.live.ports import Event
from thingstead.features.sharing.following import entries_of
from thingstead.features.streams.service import Stream, Streams
from thingstead.features.users.model import Caller
from thingstead.kernel.errors import Category, ThingsteadError
from thingstead.transports.socketio.packets import event_packet
from thingstead.transports.wire.objects_out import encode_object_event
from thingstead.transports.wire.values_out import encode_event, encode_users_entries

NAMESPACE = "/v2"
"""The one that the original serves."""

_TOPIC = re.compile(
    r"/me/resources/(?P<resource>[$A-Za-z0-9_.-]{1,64})"
    r"|/things/(?P<thing_token>[^/]{1,64})"
    r"|/classes/me/(?P<collection>[A-Za-z0-9_-]{1,64})"
)
_DESCRIPTIONS = frozenset({"description", "publicDescription"})

Encode = Callable[[Event], bytes | None]
WhoCalls = Callable[[], Awaitable[Caller]]
"""Returns whose session it is; raises InvalidSessionError when there is none, or no longer."""


class InvalidTopicError(ThingsteadError):
    """A client subscribes to what can be no topic."""

    category = Category.INVALID
    code = "invalid-topic"
    message = "Invalid resource"
    advice = "Subscribe to /me/resources/RESOURCE, /things/THING_TOKEN or /classes/me/COLLECTION."


@dataclass(frozen=True, slots=True)
class Topic:
    """What a topic's text names: one of the three."""

    name: str
    resource: str | None
    thing_token: str | None
    collection: str | None


@dataclass(slots=True)
class Listening:
    """An open topic: its stream, and what makes a packet of an event or None.

    `session_token` is that under which it was opened.
    """

    name: str
    stream: Stream
    encode: Encode
    session_token: str | None = None
    is_rechecking: bool = False


def topic_named(name: object) -> Topic:
    """Return what the text names.

    Raises:
        InvalidTopicError: it can be no topic.
    """
    found = _TOPIC.fullmatch(name) if isinstance(name, str) else None
    if found is None or found["resource"] in _DESCRIPTIONS:
        raise InvalidTopicError("expected /me/resources/RESOURCE or /things/THING_TOKEN")
    return Topic(found[0], found["resource"], found["thing_token"], found["collection"])


async def opened(topic: Topic, streams: Streams, who: WhoCalls, *, address: str) -> Listening:
    """Open the topic's stream; the caller closes it.

    Raises:
        InvalidSessionError: it needs a session and there is none.
        ThingsteadError: as the methods of `Streams`.
    """
    if topic.thing_token is not None:
        stream = await streams.of_thing(topic.thing_token, address=address)
        return Listening(topic.name, stream, _encoding_thing(topic.name))
    caller = await who()
    if topic.resource is not None:
        stream = await streams.of_resource(caller, who, topic.resource)
        return Listening(topic.name, stream, _encoding_resource(topic.name, topic.resource))
    assert topic.collection is not None  # noqa: S101  # The pattern has three branches.
    stream = streams.of_collection(caller, who, topic.collection)
    return Listening(topic.name, stream, _encoding_collection(topic.name))


def _encoding_thing(name: str) -> Encode:
    def encode(event: Event) -> bytes | None:
        if not isinstance(event, LiveEvent):
            return None
        return _packet(event, name, lambda: encode_event(event))

    return encode


def _encoding_resource(name: str, resource: str) -> Encode:
    def encode(event: Event) -> bytes | None:
        if not isinstance(event, LiveEvent):
            return None
        return _packet(
            event, name, lambda: encode_users_entries(event.thing_id, entries_of(event, resource))
        )

    return encode


def _encoding_collection(name: str) -> Encode:
    def encode(event: Event) -> bytes | None:
        if not isinstance(event, ObjectEvent):
            return None
        return _packet(event, name, lambda: b"[%b]" % encode_object_event(event))

    return encode


def _packet(event: LiveEvent | ObjectEvent, name: str, argument: Callable[[], bytes]) -> bytes:
    """Return the packet, which is the same for all who listen to a topic of that name."""
    wire_format = f"socketio:{name}"
    encoded = event.encodings.get(wire_format)
    if encoded is None:
        encoded = event.encodings[wire_format] = event_packet(NAMESPACE, name, argument())
    return encoded
