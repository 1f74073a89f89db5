"""The error root: what a refusal says."""

import pytest

from thingstead.kernel import errors
from thingstead.kernel.errors import (
    Category,
    InvalidDateError,
    OverloadedError,
    ThingsteadError,
)

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]
REFUSALS = [kind for kind in KINDS if issubclass(kind, ThingsteadError)]


def test_a_refusal_reads_as_message_and_detail():
    assert str(InvalidDateError("values[3].datetime: no such day")) == (
        "Invalid date: values[3].datetime: no such day"
    )


def test_a_refusal_without_detail_reads_as_its_message():
    assert str(InvalidDateError()) == "Invalid date"


def test_a_refusal_says_when_to_try_again_only_if_that_helps():
    assert OverloadedError(retry_after_s=3).retry_after_s == 3
    assert OverloadedError().retry_after_s is None


@pytest.mark.parametrize("kind", REFUSALS)
def test_every_refusal_has_category_code_message_and_advice(kind):
    assert isinstance(kind.category, Category)
    assert kind.code
    assert kind.message
    assert kind.advice.endswith(".")


def test_no_two_refusals_share_a_code():
    codes = [kind.code for kind in REFUSALS]

    assert len(codes) == len(set(codes))
