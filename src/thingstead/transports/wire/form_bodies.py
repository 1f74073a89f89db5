"""Forms as jQuery and qs send nested data: `values[0][key]=LED&values[0][value]=ON`.

A form has no types, so every leaf is a text, as the original stored it (`thethings-v2.md`
1.8). Indexes only order the members of a list; gaps in them close up.
"""

import re
from urllib.parse import parse_qsl

from thingstead.features.values.errors import InvalidValuesError
from thingstead.features.values.model import IncomingValue, IncomingWrite
from thingstead.kernel.errors import InvalidBodyError

_MAX_FIELDS = 10_000
_MAX_DEPTH = 8
_NAME = re.compile(r"([^\[\]]{1,128})((?:\[[^\[\]]{0,128}\])*)")
_STEP = re.compile(r"\[([^\[\]]*)\]")


def decode_form(body: bytes) -> dict[str, object]:
    """Return the form as nested objects and lists with texts as leaves.

    Raises:
        InvalidBodyError: a name is malformed, stands twice, or contradicts another.
    """
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            max_num_fields=_MAX_FIELDS,
            errors="strict",
        )
    except (ValueError, UnicodeDecodeError) as exc:
        raise InvalidBodyError("the form is malformed or has too many fields") from exc
    root: dict[str, object] = {}
    for name, text in pairs:
        _put(root, _steps(name), text)
    return {name: _lists(member) for name, member in root.items()}


def decode_form_write(body: bytes) -> IncomingWrite:
    """Return the write that a form holds; every value in it is a text.

    Raises:
        InvalidBodyError, InvalidValuesError: it is malformed, or not of a write's shape.
    """
    values = decode_form(body).get("values")
    if not isinstance(values, list):
        raise InvalidValuesError("values: expected values[0][key]=…&values[0][value]=…")
    return IncomingWrite([_value(member, index) for index, member in enumerate(values)])


def _value(member: object, index: int) -> IncomingValue:
    if not isinstance(member, dict) or not isinstance(member.get("key"), str):
        raise InvalidValuesError(f"values[{index}].key: missing")
    known = {name: member[name] for name in ("key", "value", "geo", "datetime") if name in member}
    return IncomingValue(**known)


def _steps(name: str) -> list[str]:
    found = _NAME.fullmatch(name)
    if found is None:
        raise InvalidBodyError("a form field's name is malformed")
    steps = [found[1], *_STEP.findall(found[2])]
    if len(steps) > _MAX_DEPTH:
        raise InvalidBodyError(f"form fields nested deeper than {_MAX_DEPTH} levels")
    return steps


def _put(root: dict[str, object], steps: list[str], text: str) -> None:
    inner = root
    for step in steps[:-1]:
        child = inner.setdefault(step or str(len(inner)), {})
        if not isinstance(child, dict):
            raise InvalidBodyError("two form fields contradict each other")
        inner = child
    last = steps[-1] or str(len(inner))
    if last in inner:
        raise InvalidBodyError("a form field stands twice")
    inner[last] = text


def _lists(value: object) -> object:
    """Turn objects whose names are all indexes into lists, in the order of the indexes."""
    if not isinstance(value, dict):
        return value
    members = {name: _lists(member) for name, member in value.items()}
    if members and all(name.isascii() and name.isdecimal() for name in members):
        return [members[name] for name in sorted(members, key=int)]
    return members
