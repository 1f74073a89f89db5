"""Which refusal gets which status byte."""

import pytest

from thingstead.features.devices.errors import (
    InsufficientActivationCodesError,
    InvalidDeviceIdError,
    InvalidProductHashError,
)
from thingstead.features.things.errors import ThingNotFoundError
from thingstead.features.values.errors import InvalidValuesError
from thingstead.kernel.errors import (
    Category,
    OverloadedError,
    StorageFullError,
    StoreUnavailableError,
    ThingsteadError,
    TooManyRequestsError,
)
from thingstead.transports.udp.statuses import Status, status_of


@pytest.mark.parametrize("is_by_token", [True, False])
@pytest.mark.parametrize(
    ("error", "byte"),
    [
        (InvalidProductHashError, 0x02),
        (InsufficientActivationCodesError, 0x10),
        (InvalidDeviceIdError, 0x05),
        (InvalidValuesError, 0x05),
        (OverloadedError, 0x00),
        (StoreUnavailableError, 0x00),
        (StorageFullError, 0x00),
        (ThingsteadError, 0x00),
        (TooManyRequestsError, None),
    ],
)
def test_a_refusal_has_its_byte(error, byte, is_by_token):
    assert status_of(error(), is_by_token=is_by_token) == byte


def test_a_thing_that_is_not_found_is_told_by_how_it_was_named():
    assert status_of(ThingNotFoundError(), is_by_token=True) == 0x13
    assert status_of(ThingNotFoundError(), is_by_token=False) == 0x04


@pytest.mark.parametrize("category", Category)
def test_every_category_has_an_answer_or_none(category):
    kind = type("OfCategory", (ThingsteadError,), {"category": category})

    assert status_of(kind(), is_by_token=True) in {None, *Status}


def test_the_good_byte_is_the_originals():
    assert Status.OK == 0x20
