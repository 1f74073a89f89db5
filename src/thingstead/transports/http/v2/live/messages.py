"""The JSON texts of the live WebSocket, in and out.

The members that differ between subscribers stand first in an event's text, so that the rest is
encoded once for all of them, and the whole frame once for all who chose the same id.
"""

from typing import Annotated

import msgspec

from thingstead.features.collections.model import ObjectEvent
from thingstead.features.live.cursors import CursorKind, cursor_of
from thingstead.features.live.model import LiveEvent
from thingstead.features.live.ports import Event
from thingstead.features.sharing.following import entries_of
from thingstead.kernel.errors import InvalidBodyError, InvalidJSONError, ThingsteadError
from thingstead.transports.http.refusals import status_of
from thingstead.transports.websocket import frame_of_text
from thingstead.transports.wire.objects_out import encode_object_event
from thingstead.transports.wire.values_out import encode_event, encode_users_entries

LONGEST_ID = 64
_LONGEST_CURSOR = 64
_FRAMES_KEPT = 8
"""How many whole frames an event keeps; more ids than these are not worth their memory."""


class LiveRequest(msgspec.Struct, frozen=True):
    """What a client says; members that are not known are ignored."""

    type: str
    id: Annotated[str, msgspec.Meta(max_length=LONGEST_ID)] | None = None
    token: str | None = None
    resource: str | None = None
    since: Annotated[str, msgspec.Meta(max_length=_LONGEST_CURSOR)] | None = None
    conflate: bool = False


_decode = msgspec.json.Decoder(LiveRequest).decode
_encode = msgspec.json.Encoder().encode


def decode_request(text: str) -> LiveRequest:
    """Return what a message says.

    Raises:
        InvalidJSONError: it is no JSON.
        InvalidBodyError: it is no object with a `type`, or a member is of a wrong type.
    """
    try:
        return _decode(text)
    except msgspec.ValidationError as exc:
        # The library's texts name members and types, and nothing of the message.
        raise InvalidBodyError(str(exc)) from exc
    except (msgspec.DecodeError, RecursionError) as exc:
        raise InvalidJSONError("expected an object with a member type") from exc


def said(kind: str, **members: object) -> bytes:
    """Return a message of the server; members that are None are left out."""
    known = {name: value for name, value in members.items() if value is not None}
    return _encode({"type": kind, **known})


def error_said(
    error: ThingsteadError, subscription_id: str | None = None, *, kind: str = "error"
) -> bytes:
    """Return the message about a refusal, or about the end of a subscription."""
    return said(kind, id=subscription_id, code=status_of(error), message=str(error))


class EventFrames:
    """Makes the frames of one subscription's events.

    `resource`: None for a thing's own stream, which shows all of a write; otherwise the one
    that is shown, each value with its thing's id.
    """

    __slots__ = ("_frame_name", "_id_text", "_resource", "_tail_name")

    def __init__(self, subscription_id: str, resource: str | None) -> None:
        self._id_text = _encode(subscription_id)
        self._resource = resource
        # What an event shows depends on the resource and on nothing else of the subscriber.
        self._tail_name = "live" if resource is None else f"live:{resource}"
        # With the length, so that no two pairs of id and resource have the same name.
        self._frame_name = f"live-frame:{len(subscription_id)}:{subscription_id}{self._tail_name}"

    def frame(self, event: Event) -> bytes | None:
        """Return the event's frame, or None when it holds nothing for this subscription."""
        if isinstance(event, LiveEvent):
            kind, encodings = b"values", event.encodings
        elif isinstance(event, ObjectEvent):
            kind, encodings = b"object", event.encodings
        else:
            return None
        frame = encodings.get(self._frame_name)
        if frame is None:
            tail = encodings.get(self._tail_name)
            if tail is None:
                tail = encodings[self._tail_name] = self._tail(event)
            frame = frame_of_text(b'{"type":"%b","id":%b,%b' % (kind, self._id_text, tail))
            if len(encodings) < _FRAMES_KEPT:
                encodings[self._frame_name] = frame
        return frame

    def _tail(self, event: LiveEvent | ObjectEvent) -> bytes:
        """Return what follows the id, the closing brace included."""
        if isinstance(event, ObjectEvent):
            cursor = cursor_of(CursorKind.OBJECTS, event.sequence).encode("ascii")
            return b'"cursor":"%b","object":%b}' % (cursor, encode_object_event(event))
        cursor = cursor_of(CursorKind.VALUES, event.sequence).encode("ascii")
        if self._resource is None:
            values = encode_event(event)
        else:
            entries = entries_of(event, self._resource)
            values = encode_users_entries(event.thing_id, entries)
        return b'"cursor":"%b","values":%b}' % (cursor, values)
