"""Descriptions as users see them.

Clients read a description, change it and store it whole (`thethings-v2.md` 6.7); the tag of
what they read keeps two of them from undoing each other (RFC 9110, 13.1.1).
"""

from dataclasses import dataclass

from thingstead.features.magic.documents import document_tag
from thingstead.kernel.ids import ThingId
from thingstead.kernel.json_values import JSONText


@dataclass(frozen=True, slots=True)
class Described:
    """A thing and its description, None when it has none."""

    thing_id: ThingId
    document: object | None

    @property
    def etag(self) -> str:
        """The tag by which it can be replaced only as long as it is this one."""
        return document_tag(self.document)


Page = list[tuple[ThingId, JSONText | dict[str, object]]]
"""Some things with their descriptions: as they are stored, or what everybody may see of them."""


def public_part(description: object | None) -> dict[str, object] | None:
    """Return what of a description they see who may not read it: the name, or nothing.

    Where a thing stands is nobody's business who was only given its values (`security.md` 4,
    row 27).
    """
    name = description.get("name") if isinstance(description, dict) else None
    return {"name": name} if isinstance(name, str) else None
