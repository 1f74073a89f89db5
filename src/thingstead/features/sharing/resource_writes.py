"""Reading a user's write to one resource: `{"values":[{"value":25}]}` (`thethings-v2.md` 6.7).

The address names the resource, so a key beside a value is ignored, as every unknown member is.
What the members hold is checked where all writes are (`features/values/checks.py`).
"""

from thingstead.features.values.errors import InvalidValuesError
from thingstead.features.values.model import ABSENT, IncomingValue, IncomingWrite


def write_of(sent: object, resource: str) -> IncomingWrite:
    """Return the write of these values under the resource's key.

    Raises:
        InvalidValuesError: it is of another shape; the text names the place.
    """
    values = sent.get("values") if isinstance(sent, dict) else None
    if not isinstance(values, list):
        raise InvalidValuesError("values: expected an array")
    return IncomingWrite([_value(one, index, resource) for index, one in enumerate(values)])


def _value(sent: object, index: int, resource: str) -> IncomingValue:
    if not isinstance(sent, dict):
        raise InvalidValuesError(f"values[{index}]: expected an object")
    return IncomingValue(resource, sent.get("value", ABSENT), sent.get("geo"), sent.get("datetime"))
