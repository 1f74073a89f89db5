"""Which messages an event becomes for one filter: their topics and payloads.

The array of a thing's values is the same on every road out (`thethings-v2.md` 5.1).
"""

from abc import ABC, abstractmethod

from thingstead.features.live.model import LiveEvent
from thingstead.transports.wire.values_out import (
    encode_entries,
    encode_event,
    encode_users_entries,
)


class Outgoing(ABC):
    """Makes the messages of an event for one filter: topic, a name for it, payload."""

    __slots__ = ()

    @abstractmethod
    def messages(self, event: LiveEvent) -> list[tuple[bytes, str, bytes]]:
        """Return the messages, in order."""


class WholeWrites(Outgoing):
    """A message for each write, with all its values, on the thing's topic."""

    __slots__ = ("_name", "_topic")

    def __init__(self, topic: str) -> None:
        self._topic = topic.encode("utf-8")
        self._name = topic

    def messages(self, event: LiveEvent) -> list[tuple[bytes, str, bytes]]:
        """Return the messages, in order."""
        return [(self._topic, self._name, encode_event(event))]


class OneResource(Outgoing):
    """A message for each write, with the values of one resource."""

    __slots__ = ("_key", "_name", "_topic")

    def __init__(self, topic: str, key: str) -> None:
        self._topic = topic.encode("utf-8")
        self._name = topic
        self._key = key

    def messages(self, event: LiveEvent) -> list[tuple[bytes, str, bytes]]:
        """Return the messages, in order."""
        entries = [entry for entry in event.entries if entry.key == self._key]
        return [(self._topic, self._name, encode_entries(entries))] if entries else []


class EachResource(Outgoing):
    """A message for each resource of a write, on the resource's topic."""

    __slots__ = ("_base",)

    def __init__(self, base: str) -> None:
        self._base = base

    def messages(self, event: LiveEvent) -> list[tuple[bytes, str, bytes]]:
        """Return the messages, in order."""
        made = []
        for key in dict.fromkeys(entry.key for entry in event.entries):
            topic = f"{self._base}/resources/{key}"
            entries = [entry for entry in event.entries if entry.key == key]
            made.append((topic.encode("utf-8"), topic, encode_entries(entries)))
        return made


class UsersResource(Outgoing):
    """A message for each write, with a user's view of one resource."""

    __slots__ = ("_key", "_name", "_topic")

    def __init__(self, topic: str, key: str) -> None:
        self._topic = topic.encode("utf-8")
        self._name = topic
        self._key = key

    def messages(self, event: LiveEvent) -> list[tuple[bytes, str, bytes]]:
        """Return the messages, in order."""
        entries = [entry for entry in event.entries if entry.key == self._key]
        if not entries:
            return []
        return [(self._topic, self._name, encode_users_entries(event.thing_id, entries))]
