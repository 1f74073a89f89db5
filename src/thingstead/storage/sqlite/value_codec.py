"""JSON values as SQLite keeps them: numbers and texts natively, the rest as JSON.

The storage class tells the JSON type, so no column is spent on it: INTEGER and REAL are
numbers, TEXT is a text, NULL is null, and BLOB is the compact JSON of anything else (true,
false, arrays, objects). A number read back has the type with which it was written; arrays and
objects are read back as their text.
"""

import msgspec

from thingstead.kernel.json_values import JSONText

_encode = msgspec.json.encode
_CONSTANTS = {b"true": True, b"false": False}

Column = None | int | float | str | bytes


def to_column(value: object) -> Column:
    """Return what is stored for a checked JSON value."""
    kind = type(value)
    if kind is float or kind is int or kind is str or value is None:
        return value  # type: ignore[return-value]  # The line above is the type check.
    return _encode(value)


def from_column(column: Column) -> object:
    """Return the JSON value of what is stored."""
    if type(column) is not bytes:
        return column
    constant = _CONSTANTS.get(column)
    return JSONText(column) if constant is None else constant
