"""What MQTT says for each category of refusal.

MQTT 5 has reason codes, of which each packet may carry only some (MQTT 5, 2.4). MQTT 3 can
refuse a subscription and close the connection, and nothing else.
"""

from collections.abc import Mapping
from types import MappingProxyType

from thingstead.kernel.errors import Category, ThingsteadError
from thingstead.transports.mqtt.codec.reasons import Reason

_PUBACK: Mapping[Category, Reason] = MappingProxyType(
    {
        Category.INVALID: Reason.PAYLOAD_FORMAT_INVALID,
        Category.TOO_LARGE: Reason.PAYLOAD_FORMAT_INVALID,
        Category.UNAUTHENTICATED: Reason.NOT_AUTHORIZED,
        Category.FORBIDDEN: Reason.NOT_AUTHORIZED,
        Category.NOT_FOUND: Reason.NOT_AUTHORIZED,
        Category.CONFLICT: Reason.IMPLEMENTATION_SPECIFIC_ERROR,
        Category.PRECONDITION: Reason.IMPLEMENTATION_SPECIFIC_ERROR,
        Category.TOO_MANY: Reason.QUOTA_EXCEEDED,
        Category.UNAVAILABLE: Reason.IMPLEMENTATION_SPECIFIC_ERROR,
        Category.STORAGE_FULL: Reason.QUOTA_EXCEEDED,
        Category.INTERNAL: Reason.UNSPECIFIED_ERROR,
    }
)
_SUBACK: Mapping[Category, Reason] = MappingProxyType(
    {
        **_PUBACK,
        Category.INVALID: Reason.TOPIC_FILTER_INVALID,
        Category.TOO_LARGE: Reason.TOPIC_FILTER_INVALID,
    }
)
_CONNACK: Mapping[Category, Reason] = MappingProxyType(
    {
        **_PUBACK,
        Category.INVALID: Reason.UNSPECIFIED_ERROR,
        Category.UNAUTHENTICATED: Reason.BAD_USER_NAME_OR_PASSWORD,
        Category.NOT_FOUND: Reason.BAD_USER_NAME_OR_PASSWORD,
        Category.UNAVAILABLE: Reason.SERVER_BUSY,
        Category.STORAGE_FULL: Reason.SERVER_UNAVAILABLE,
    }
)
_LATER = frozenset({Category.UNAVAILABLE, Category.STORAGE_FULL, Category.INTERNAL})


def puback_reason(error: ThingsteadError) -> Reason:
    """Return the reason that a PUBACK or PUBREC carries."""
    return _PUBACK[error.category]


def suback_reason(error: ThingsteadError) -> Reason:
    """Return the reason that a SUBACK carries; in MQTT 3 any refusal is 0x80."""
    return _SUBACK[error.category]


def connack_reason(error: ThingsteadError) -> Reason:
    """Return the reason that a CONNACK carries."""
    return _CONNACK[error.category]


def is_for_later(error: ThingsteadError) -> bool:
    """Return whether sending the same again later may succeed without the client's doing."""
    return error.category in _LATER
