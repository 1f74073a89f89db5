"""JSON values as SQLite keeps them: numbers and texts natively, the rest as JSON.

The storage class tells the JSON type, so no column is spent on it: INTEGER and REAL are
numbers, TEXT is a text, NULL is null, and BLOB is the compact JSON of anything else (true,
false, arrays, objects). A number read back has the type with which it was written.
"""

import msgspec

_encode = msgspec.json.encode
_decode = msgspec.json.decode

Column = None | int | float | str | bytes


def to_column(value: object) -> Column:
    """Return what is stored for a checked JSON value."""
    kind = type(value)
    if kind is float or kind is int or kind is str or value is None:
        return value  # type: ignore[return-value]  # The line above is the type check.
    return _encode(value)


def from_column(column: Column) -> object:
    """Return the JSON value of what is stored."""
    return _decode(column) if type(column) is bytes else column
