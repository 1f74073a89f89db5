"""What users may do, and how they let others do it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag, StrEnum

from thingstead.features.links.model import LinkedThing
from thingstead.features.things.model import Thing
from thingstead.kernel.ids import AppId, GrantId, ThingId, UserId


class Rights(IntFlag):
    """What may be done to one resource of one thing; an owner may do all of it."""

    NONE = 0
    GET = 1
    POST = 2
    PUT = 4
    GRANT = 8
    ALL = 15


RIGHT_NAMES: Mapping[str, Rights] = {
    "get": Rights.GET,
    "post": Rights.POST,
    "put": Rights.PUT,
    "grant": Rights.GRANT,
}


def right_names(rights: Rights) -> str:
    """Return the rights as requests name them, such as `get, post`."""
    return ", ".join(name for name, right in RIGHT_NAMES.items() if rights & right)


@dataclass(frozen=True, slots=True)
class Entry:
    """Rights on one resource of one thing."""

    thing_id: ThingId
    resource: str
    rights: Rights


@dataclass(frozen=True, slots=True)
class Grant:
    """What one user grants to an address of the same app.

    It gives nothing before it is accepted and the address's account is confirmed. A grant that
    was not accepted by `expires_at_ms` never will be.
    """

    id: GrantId
    app_id: AppId
    giver_id: UserId
    giver_email: str
    email: str
    created_at_ms: int
    expires_at_ms: int
    accepted_at_ms: int | None
    entries: tuple[Entry, ...]


# Anybody can grant to an address, so what waits for it is bounded where it is listed.
MOST_ENTRIES_RECEIVED = 10_000


class GrantOutcome(StrEnum):
    """What became of an attempt to grant."""

    ADDED = "added"
    """As far as the giver may pass it on: perhaps nothing of it."""
    TOO_MANY_GRANTS = "too many grants"
    TOO_MANY_ENTRIES = "too many entries"


@dataclass(frozen=True, slots=True)
class GivenRights:
    """One accepted or waiting entry as the rules of passing on see it."""

    key: object
    """How the store finds the row again."""
    giver_id: UserId
    receiver_id: UserId | None
    """None as long as it gives nothing: not accepted, or the address not confirmed."""
    entry: Entry


@dataclass(frozen=True, slots=True)
class SharedThing:
    """A thing as somebody sees it to whom it was granted; its epochs are its owner's."""

    thing: Thing
    rights: Mapping[str, Rights]


@dataclass(frozen=True, slots=True)
class Reach:
    """All that a user may do: to their own things, and to those granted to them.

    A thing stands in `owned` or in `shared`, never in both.
    """

    owned: Mapping[ThingId, LinkedThing]
    shared: Mapping[ThingId, SharedThing]

    def thing(self, thing_id: str) -> Thing | None:
        """Return a thing of which the user has any right."""
        mine = self.owned.get(ThingId(thing_id))
        if mine is not None:
            return mine.thing
        other = self.shared.get(ThingId(thing_id))
        return None if other is None else other.thing

    def things(self) -> list[Thing]:
        """Return all things of which the user has any right, their own first."""
        return [
            *(linked.thing for linked in self.owned.values()),
            *(shared.thing for shared in self.shared.values()),
        ]

    def rights(self, thing_id: str, resource: str) -> Rights:
        """Return what the user may do to that resource of that thing."""
        if thing_id in self.owned:
            return Rights.ALL
        other = self.shared.get(ThingId(thing_id))
        return Rights.NONE if other is None else other.rights.get(resource, Rights.NONE)

    def readable(self, resource: str) -> list[Thing]:
        """Return the things whose resource of that name the user may read."""
        return [
            *(linked.thing for linked in self.owned.values()),
            *(
                shared.thing
                for shared in self.shared.values()
                if shared.rights.get(resource, Rights.NONE) & Rights.GET
            ),
        ]
