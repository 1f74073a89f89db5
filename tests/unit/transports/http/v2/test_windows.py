"""Which values a query asks for."""

import pytest

from thingstead.features.values.model import Window
from thingstead.kernel.errors import InvalidDateError, InvalidLimitError
from thingstead.transports.http.v2.windows import window_of

NOON = 1_767_268_800_000


def test_no_parameter_asks_for_the_newest_value():
    assert window_of({}) == Window() == Window(limit=1, from_ms=None, until_ms=None)


@pytest.mark.parametrize(
    ("query", "window"),
    [
        ({"limit": "7"}, Window(limit=7)),
        ({"limit": "100"}, Window(limit=100)),
        ({"limit": "101"}, Window(limit=100)),
        ({"startDate": "20260101120000"}, Window(from_ms=NOON)),
        ({"endDate": "2026-01-01T12:00:00.000Z"}, Window(until_ms=NOON)),
        ({"endDate": "2026-01-01T13:00:00 01:00"}, Window(until_ms=NOON)),
        ({"startDate": "", "endDate": ""}, Window()),
        ({"other": "1"}, Window()),
    ],
)
def test_parameters_narrow_the_window(query, window):
    assert window_of(query) == window


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5", "1e3"])
def test_a_limit_that_is_no_count_is_refused(text):
    with pytest.raises(InvalidLimitError):
        window_of({"limit": text})


@pytest.mark.parametrize("name", ["startDate", "endDate"])
def test_a_date_that_is_none_is_refused_by_its_name(name):
    with pytest.raises(InvalidDateError, match=f"{name}: "):
        window_of({name: "yesterday"})
