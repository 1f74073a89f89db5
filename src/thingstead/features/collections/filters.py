"""Choosing objects by what their members are equal to. Knows no storage."""

import json
from collections.abc import Mapping

from thingstead.features.collections.errors import InvalidFilterError
from thingstead.features.collections.model import MAX_FILTER_MEMBERS, StoredObject
from thingstead.features.collections.texts import compact

# `repr` of floats: "float_repr_style" in CPython's documentation of `sys`.
_FIRST_WITH_EXPONENT = 10**16


class Filter:
    """Members of the top level and the values that they must have."""

    def __init__(self, where: Mapping[str, object]) -> None:
        """Raise InvalidFilterError when there are too many members."""
        if len(where) > MAX_FILTER_MEMBERS:
            raise InvalidFilterError(f"where: at most {MAX_FILTER_MEMBERS} members")
        self._where = dict(where)
        # Stored texts were encoded as these are. Looking for them first spares decoding
        # most objects that do not match.
        self._traces = [_trace(name, value) for name, value in self._where.items()]

    def matches(self, stored: StoredObject) -> bool:
        """Return whether the object has every member of the filter with an equal value."""
        if not all(trace in stored.text for trace in self._traces):
            return False
        members = json.loads(stored.text)
        return all(
            name in members and is_equal(members[name], value)
            for name, value in self._where.items()
        )


def is_equal(one: object, other: object) -> bool:
    """Return whether two decoded JSON values are equal as JSON: 1 is 1.0, but true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return one == other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            is_equal(member, other[name]) for name, member in one.items()
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_equal, one, other))
    return type(one) is type(other) and one == other


def _trace(name: str, value: object) -> str:
    """Return what the text of every object with this member contains."""
    if value is None or isinstance(value, (bool, str)):
        return f"{compact(name)}:{compact(value)}"
    if isinstance(value, (int, float)):
        return f"{compact(name)}:{_digits(value)}"
    # What holds numbers may be written in more than one way.
    return f"{compact(name)}:"


def _digits(value: float) -> str:
    """Return what every stored number that is equal begins with; nothing when that is unknown.

    1 is equal to the float that is stored as 1.0, but from 1e16 on floats have an exponent,
    and of the two zeros one has a sign.
    """
    if value % 1:
        return compact(value)
    return str(int(value)) if 0 < abs(value) < _FIRST_WITH_EXPONENT else ""
