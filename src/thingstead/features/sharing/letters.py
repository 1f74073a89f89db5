"""What the mail of a grant says: one line a resource and thing, in plain text.

A thing's name is whatever its owner wrote, so it stands in the letter only when it is a short
line of printable characters; otherwise the thing's id does. A name is part of the description:
who may not read that does not pass it on.
"""

from collections.abc import Mapping, Sequence

from thingstead.features.sharing.model import Entry, Rights
from thingstead.kernel.ids import ThingId
from thingstead.kernel.json_values import JSONText
from thingstead.kernel.names import name_problem

_MOST_LINES = 50
_WORDS: Mapping[Rights, str] = {
    Rights.GET: "read",
    Rights.POST: "write",
    Rights.PUT: "change",
    Rights.GRANT: "pass on",
}


def named_entries(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return the entries that get a line of their own; the others are counted."""
    return entries[:_MOST_LINES]


def rights_text(entries: Sequence[Entry], descriptions: Mapping[ThingId, JSONText]) -> str:
    """Return the lines, such as `temperature of Roof: read, pass on`, at most 50 and a count."""
    lines = [_line(entry, descriptions.get(entry.thing_id)) for entry in named_entries(entries)]
    more = len(entries) - len(lines)
    if more > 0:
        lines.append(f"and {more} more")
    return "\n".join(lines)


def _line(entry: Entry, description: JSONText | None) -> str:
    words = ", ".join(word for right, word in _WORDS.items() if entry.rights & right)
    return f"{entry.resource} of {_name(description) or entry.thing_id}: {words}"


def _name(description: JSONText | None) -> str | None:
    members = None if description is None else description.decoded()
    name = members.get("name") if isinstance(members, dict) else None
    if not isinstance(name, str) or not name.isprintable() or name_problem(name) is not None:
        return None
    return name.strip()
