"""Every category has a code in every packet, and only codes that the packet may hold."""

import pytest

from thingstead.kernel.errors import Category, ThingsteadError
from thingstead.transports.mqtt.codec.reasons import (
    CONNACK_REASONS,
    PUBACK_REASONS,
    SERVER_DISCONNECT_REASONS,
    SUBACK_REASONS,
)
from thingstead.transports.mqtt.refusals import (
    connack_reason,
    is_for_later,
    puback_reason,
    suback_reason,
)

CATEGORIES = pytest.mark.parametrize("category", Category)


def error_of(kind):
    class RefusalError(ThingsteadError):
        category = kind

    return RefusalError()


@CATEGORIES
@pytest.mark.parametrize(
    ("reason_of", "allowed"),
    [
        (puback_reason, PUBACK_REASONS),
        (suback_reason, SUBACK_REASONS),
        (connack_reason, CONNACK_REASONS),
        # What is refused without a PUBACK ends the connection with the same code.
        (puback_reason, SERVER_DISCONNECT_REASONS),
    ],
    ids=["PUBACK", "SUBACK", "CONNACK", "DISCONNECT"],
)
def test_a_refusal_is_one_that_the_packet_may_hold(category, reason_of, allowed):
    reason = reason_of(error_of(category))

    assert reason in allowed
    assert reason >= 0x80


@CATEGORIES
def test_only_what_the_client_cannot_help_is_for_later(category):
    expected = category in {Category.UNAVAILABLE, Category.STORAGE_FULL, Category.INTERNAL}

    assert is_for_later(error_of(category)) == expected
