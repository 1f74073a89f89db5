"""The status bytes with which datagrams are answered, and which refusal gets which.

The table is the original's (`thethings-v2.md` 5.4). Some of it is never sent: 03, because an
unknown product and a wrong hash are answered alike; 07 to 09, because there are no plans; 11
and 12, because what goes wrong there is an outage, 00, and the next message tries it again.
"""

from enum import IntEnum

from thingstead.features.devices.errors import (
    InsufficientActivationCodesError,
    InvalidProductHashError,
)
from thingstead.kernel.errors import Category, ThingsteadError


class Status(IntEnum):
    """What became of a datagram."""

    INTERNAL = 0x00
    INVALID_PROTOCOL = 0x01
    INVALID_PRODUCT = 0x02
    THING_NOT_FOUND = 0x04
    INVALID_MESSAGE = 0x05
    INVALID_HMAC = 0x06
    INSUFFICIENT_CODES = 0x10
    TOKEN_NOT_FOUND = 0x13
    OK = 0x20


class RefusedDatagramError(Exception):
    """The datagram itself is wrong, and its sender pays for that."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


def status_of(error: ThingsteadError, *, is_by_token: bool) -> Status | None:
    """Return the status of a refusal; None where no answer is sent."""
    if isinstance(error, InvalidProductHashError):
        return Status.INVALID_PRODUCT
    if isinstance(error, InsufficientActivationCodesError):
        return Status.INSUFFICIENT_CODES
    match error.category:
        case Category.TOO_MANY:
            # Like a datagram that was lost: whoever waits and sends it again does right.
            return None
        case Category.NOT_FOUND:
            return Status.TOKEN_NOT_FOUND if is_by_token else Status.THING_NOT_FOUND
        case Category.INVALID | Category.TOO_LARGE | Category.FORBIDDEN:
            return Status.INVALID_MESSAGE
        case _:
            return Status.INTERNAL
