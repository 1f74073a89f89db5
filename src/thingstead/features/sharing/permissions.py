"""Reading the `permissions` of a grant: from JSON to what is granted and what is withdrawn.

The shape is `{"RESOURCE":{"THING_ID":{"RIGHT":true}}}` (`thethings-v2.md` 6.8), and nothing
else: what cannot be understood is refused, never guessed. True grants, false withdraws, and a
right that is not named stays as it is. Says nothing about who may grant; `service.py` does.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from thingstead.features.sharing.errors import InvalidGrantError
from thingstead.features.sharing.model import RIGHT_NAMES, Rights
from thingstead.features.values.checks import is_resource_key
from thingstead.kernel.ids import ThingId

_DESCRIPTION = "description"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to become of the rights on one resource of one thing."""

    thing_id: ThingId
    resource: str
    granted: Rights
    withdrawn: Rights


def wishes_of(permissions: object, *, most: int) -> list[Wish]:
    """Return what the permissions ask for, in their order, at most `most` entries.

    Raises:
        InvalidGrantError: names the place. Things are named by their position in it, because a
            token may stand there by mistake.
    """
    wishes: list[Wish] = []
    for number, (resource, things) in enumerate(_members(permissions, "permissions"), start=1):
        if not may_be_granted(resource):
            raise InvalidGrantError(f"permissions: no such resource can be granted (no. {number})")
        where = f"permissions.{resource}"
        for index, (thing_id, rights) in enumerate(_members(things, where), start=1):
            if len(wishes) >= most:
                raise InvalidGrantError(f"{where}: more than {most} entries in one request")
            wishes.append(_wish(thing_id, resource, rights, f"{where}, thing no. {index}"))
    return wishes


def may_be_granted(resource: str) -> bool:
    """Return whether a resource of that name can be granted: a key, or the description."""
    return resource == _DESCRIPTION or is_resource_key(resource)


def _wish(thing_id: str, resource: str, rights: object, where: str) -> Wish:
    granted = withdrawn = Rights.NONE
    for name, is_granted in _members(rights, where):
        right = RIGHT_NAMES.get(name)
        if right is None:
            raise InvalidGrantError(f"{where}: the rights are {', '.join(RIGHT_NAMES)}")
        if is_granted is True:
            granted |= right
        elif is_granted is False:
            withdrawn |= right
        else:
            raise InvalidGrantError(f"{where}, {name}: expected true or false")
    return Wish(ThingId(thing_id), resource, granted, withdrawn)


def _members(value: object, where: str) -> Iterator[tuple[str, object]]:
    """Yield the members of what must be an object with at least one."""
    if not isinstance(value, dict) or not value:
        raise InvalidGrantError(f"{where}: expected an object with at least one member")
    yield from value.items()
