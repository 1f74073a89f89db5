"""The text of an object: compact JSON, `_id` first, the other members in the order sent.

Pure functions that the rules and every storage engine share.
"""

import json
from collections.abc import Mapping

from thingstead.features.collections.errors import ObjectTooLargeError
from thingstead.kernel.errors import InvalidBodyError
from thingstead.kernel.json_values import JSONLimits

_MAX_MEMBERS = JSONLimits().max_members


def compact(value: object) -> str:
    """Return the value as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def size_of(text: str) -> int:
    """Return the bytes that the text takes in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8"))


def object_text(object_id: str, members: Mapping[str, object], *, max_bytes: int) -> str:
    """Return the text of an object; an `_id` among the members is left out.

    Raises:
        ObjectTooLargeError: it is larger than `max_bytes`.
    """
    text = compact({"_id": object_id, **_without_id(members)})
    _check_size(text, max_bytes)
    return text


def merged_text(text: str, members: Mapping[str, object], *, max_bytes: int) -> str:
    """Return the text of the object after the members were set; others keep their place.

    Raises:
        ObjectTooLargeError: it would be larger than `max_bytes`.
        InvalidBodyError: it would have more members than a JSON object may have.
    """
    merged = json.loads(text) | _without_id(members)
    # Each member was checked when it came; only their number can have grown beyond a limit.
    if len(merged) > _MAX_MEMBERS:
        raise InvalidBodyError(f"more than {_MAX_MEMBERS} members in one object")
    after = compact(merged)
    _check_size(after, max_bytes)
    return after


def _without_id(members: Mapping[str, object]) -> dict[str, object]:
    return {name: member for name, member in members.items() if name != "_id"}


def _check_size(text: str, max_bytes: int) -> None:
    if size_of(text) > max_bytes:
        raise ObjectTooLargeError(f"at most {max_bytes} bytes of JSON")
