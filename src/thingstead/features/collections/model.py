"""What collections hold: objects of one user, by collection and primary key."""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from thingstead.kernel.ids import UserId

COLLECTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
# A dot alone, or two, in a path is no name but a step (RFC 3986, 5.2.4).
OBJECT_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.:@-]{1,128}")
MAX_FILTER_MEMBERS = 10
_EVENT_BYTES = 200  # an event without its object: names, id and the queue's own


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object stands, or would stand."""

    user_id: UserId
    collection: str
    id: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as it is kept: compact JSON text whose first member is `_id`."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """Part of a collection; `last` is the id looked at last, None when there was no object left."""

    objects: list[StoredObject]
    last: str | None


class Action(StrEnum):
    """What happened to an object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """A committed change; `stored` is the object after it, or as it was before a deletion.

    `sequence` grows with every change that any user makes.
    """

    user_id: UserId
    collection: str
    action: Action
    stored: StoredObject
    sequence: int = 0


def topic_of(user_id: UserId, collection: str) -> str:
    """Return what the bus calls a user's collection; a collection's name has no colon."""
    return f"collection:{user_id}:{collection}"


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """A committed change on its way to those who listen to the collection.

    `encodings` lets each transport encode the event once per wire format for all its
    subscribers; the key is the format's name.
    """

    topic: str
    change: ObjectChange
    encodings: dict[str, bytes] = field(default_factory=dict, compare=False)

    @property
    def sequence(self) -> int:
        """The place of the change among all changes of objects."""
        return self.change.sequence

    def weight(self) -> int:
        """Return about how many bytes the event takes in a queue."""
        return _EVENT_BYTES + len(self.change.stored.text)


@dataclass(frozen=True, slots=True)
class CollectionLimits:
    """How much a user may keep."""

    collections_per_user: int = 100
    objects_per_collection: int = 10_000
    bytes_per_collection: int = 16 * 1024 * 1024
    object_bytes: int = 64 * 1024
