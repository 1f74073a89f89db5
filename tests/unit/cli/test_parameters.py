"""Texts of options become numbers, or say what was expected."""

import click
import pytest

from thingstead.cli.common import PRODUCT_ID
from thingstead.cli.parameters import date, duration, percent, percents


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1_800), ("1h", 3_600), ("7d", 604_800), ("0s", 0)],
)
def test_durations_become_seconds(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "h", "1.5h", "-1h", "1 h", "1H", "1w", "٣h", "1h\n"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(click.BadParameter, match="no duration"):
        duration(text)


def test_a_duration_has_nine_digits_at_most():
    assert duration("9" * 9 + "s") == 999_999_999
    with pytest.raises(click.BadParameter):
        duration("9" * 10 + "s")


@pytest.mark.parametrize("text", ["20260131120000", "2026-01-31T12:00:00Z", "2026-01-31T14:00+02"])
def test_dates_become_milliseconds(text):
    assert date(text) == 1_769_860_800_000


def test_what_is_no_date_is_refused_with_what_is_expected():
    with pytest.raises(click.BadParameter, match=r"'tomorrow': expected .*2026-01-31"):
        date("tomorrow")


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("100", 100), ("off", 0)])
def test_a_share_goes_from_1_to_100_or_is_off(text, number):
    assert percent(text) == number


@pytest.mark.parametrize("text", ["0", "101", "ten", "", "-1", "1.5", "OFF"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(click.BadParameter, match="nor off"):
        percent(text)


def test_rings_are_numbers_between_commas():
    assert percents("1, 10,50,100") == (1, 10, 50, 100)


@pytest.mark.parametrize("text", ["", "1,,100", "1;100", "a,100", "-1,100", "1,10000000"])
def test_what_are_no_rings_is_refused(text):
    with pytest.raises(click.BadParameter, match="no list of per cents"):
        percents(text)


def test_a_product_id_is_one_that_the_database_takes():
    assert PRODUCT_ID.convert(str(2**31 - 1), None, None) == 2**31 - 1
    for refused in ("0", str(2**31)):
        with pytest.raises(click.BadParameter, match="not in the range"):
            PRODUCT_ID.convert(refused, None, None)
