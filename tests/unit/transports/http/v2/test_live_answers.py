"""The time between a stream's signs of life: what is asked for, within its bounds."""

import pytest

from thingstead.transports.http.refusals import InvalidQueryError
from thingstead.transports.http.v2.live_answers import _keep_alive_ms


@pytest.mark.parametrize(
    ("sent", "expected_ms"),
    [
        ("999", 1_000),
        ("1000", 1_000),
        ("1001", 1_001),
        ("3599999", 3_599_999),
        ("3600000", 3_600_000),
        ("3600001", 3_600_000),
    ],
)
def test_a_time_beyond_a_bound_is_treated_as_the_bound(sent, expected_ms):
    assert _keep_alive_ms(sent) == expected_ms


@pytest.mark.parametrize("sent", ["0", "-1", "-9" + "9" * 17])
def test_no_time_and_less_are_treated_as_the_shortest(sent):
    assert _keep_alive_ms(sent) == 1_000


def test_the_longest_number_is_treated_as_the_longest_time():
    assert _keep_alive_ms("9" * 18) == 3_600_000


@pytest.mark.parametrize("sent", [None, ""])
def test_without_a_time_it_is_a_minute(sent):
    assert _keep_alive_ms(sent) == 60_000


@pytest.mark.parametrize(
    "sent", ["x", "1.5", "1e3", "+1000", "--1", "-", " 1000", "\u0661", "9" * 19]
)
def test_what_is_no_whole_number_is_refused(sent):
    with pytest.raises(InvalidQueryError, match="keepAlive: expected a number of milliseconds"):
        _keep_alive_ms(sent)
