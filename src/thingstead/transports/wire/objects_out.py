"""Changes of a collection's objects as they go out live: one JSON object on one line."""

import json

from thingstead.features.collections.model import ObjectEvent

_FORMAT = "json"


def encode_object_event(event: ObjectEvent) -> bytes:
    """Return `{"action":…,"collection":…,"_id":…,"object":…}`; encoded once for all subscribers."""
    encoded = event.encodings.get(_FORMAT)
    if encoded is None:
        change = event.change
        names = json.dumps(
            {
                "action": change.action.value,
                "collection": change.collection,
                "_id": change.stored.id,
            },
            separators=(",", ":"),
        )
        # The object is kept as the text that goes out.
        text = f'{names[:-1]},"object":{change.stored.text}}}'
        encoded = event.encodings[_FORMAT] = text.encode("utf-8")
    return encoded
