"""Points in time: what is read, what is refused, and what goes out."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.kernel import instants
from thingstead.kernel.errors import InvalidDateError
from thingstead.kernel.instants import InstantFormatter, format_instant, parse_instant

NOON = 1_769_860_800_000  # 2026-01-31T12:00:00Z
_FIRST = int(datetime(1, 1, 1, tzinfo=UTC).timestamp()) * 1_000
_LAST = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * 1_000 + 999


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20260131120000", NOON),
        ("20260131T120000", NOON),
        ("20260131T120000Z", NOON),
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31T12:00:00.000Z", NOON),
        ("2026-01-31T12:00:00.7Z", NOON + 700),
        ("2026-01-31T12:00:00.75Z", NOON + 750),
        ("2026-01-31T12:00:00.799Z", NOON + 799),
        ("2026-01-31T12:00:00.123456", NOON + 123),
        ("2026-01-31T12:00:00.123456789Z", NOON + 123),
        ("2026-01-31T12:00:00", NOON),
        ("2026-01-31 12:00:00", NOON),
        ("2026-01-31T12:00", NOON),
        ("2026-01-31", NOON - 43_200_000),
        ("2026-01-31T12:00:00+00:00", NOON),
        ("2026-01-31T13:00:00+01:00", NOON),
        ("2026-01-31T17:45:00+05:45", NOON),
        ("2026-01-31T04:30:00-07:30", NOON),
        ("20260131T140000+0200", NOON),
        ("1970-01-01T00:00:00.000Z", 0),
        ("19700101000000", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("20240229000000", 1_709_164_800_000),
        ("0001-01-01T00:00:00Z", _FIRST),
        ("99991231235959", _LAST - 999),
    ],
)
def test_every_accepted_form_names_its_millisecond(text, expected):
    assert parse_instant(text) == expected


def test_decimals_finer_than_a_millisecond_are_cut_off_and_not_rounded():
    assert parse_instant("2026-01-31T12:00:00.999999Z") == NOON + 999


def test_decimals_before_1970_are_cut_off_towards_the_past():
    assert parse_instant("1969-12-31T23:59:59.9985Z") == -2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "NOW()",
        "today",
        "2026",
        "20260131",
        "202601311200",
        "2026013112000",
        "202601311200000",
        "1769860800",
        "1769860800000",
        "20261301000000",
        "20260230000000",
        "20250229000000",
        "20260131240000",
        "20260131126000",
        "20260131120060",
        "00000101000000",
        "0000-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-31T25:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:61Z",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+99:99",
        "2026-W05-6",
        "2026-W05-6T12:00:00Z",
        "2026W056T120000",
        "+2026-01-31T12:00:00Z",
        "-2026-01-31T12:00:00Z",
        "10000-01-01T00:00:00Z",
        " 2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00Z ",
        "2026-01-31T12:00:00.000Z2026-01-31T12:00:00.000Z",
        "2026-01-31T12:00:00." + "1" * 40 + "Z",
        "31/01/2026 12:00:00",
        "Sat, 31 Jan 2026 12:00:00 GMT",
        "2026-01-31T12:00:00\x00Z",
        "\u0662\u0660\u0662\u0666\u0660\u0661\u0663\u0661\u0661\u0662\u0660\u0660\u0660\u0660",
        "2026\u201301\u201331T12:00:00Z",
        "\ud800026-01-31T12:00:00Z",
        "1" * 100_000,
    ],
)
def test_any_other_text_is_refused_with_the_forms_that_are_taken(text):
    with pytest.raises(InvalidDateError, match="expected YYYYMMDDHHmmss or ISO 8601"):
        parse_instant(text)


@given(st.text())
def test_no_text_raises_anything_but_the_refusal(text):
    try:
        parse_instant(text)
    except InvalidDateError:
        return


@given(
    st.text(alphabet="0123456789TZWtz-+:., ", max_size=45)
    | st.from_regex(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}[T ]?[0-9:.,]*([+-][0-9:.]*|Z)?", fullmatch=True)
)
def test_no_text_of_a_date_s_characters_raises_anything_but_the_refusal(text):
    try:
        parse_instant(text)
    except InvalidDateError:
        return


@given(st.integers(_FIRST, _LAST))
def test_what_goes_out_is_read_back_as_the_same_millisecond(at_ms):
    text = format_instant(at_ms)

    assert parse_instant(text) == at_ms
    assert len(text) == len("2026-01-31T12:00:00.000Z")


def test_the_text_has_three_decimals_and_z():
    assert format_instant(NOON + 7) == "2026-01-31T12:00:00.007Z"


def test_a_year_before_1000_has_four_digits():
    assert format_instant(_FIRST) == "0001-01-01T00:00:00.000Z"


def test_one_formatter_tells_neighbouring_minutes_apart():
    text = InstantFormatter()

    assert [text(NOON - 1), text(NOON), text(NOON + 59_999), text(NOON + 60_000)] == [
        "2026-01-31T11:59:59.999Z",
        "2026-01-31T12:00:00.000Z",
        "2026-01-31T12:00:59.999Z",
        "2026-01-31T12:01:00.000Z",
    ]


def test_a_formatter_keeps_a_bounded_number_of_minutes(monkeypatch):
    monkeypatch.setattr(instants, "_MINUTES_KEPT", 3)
    text = InstantFormatter()

    texts = [text(NOON + minute * 60_000) for minute in range(10)]

    assert texts == [f"2026-01-31T12:{minute:02d}:00.000Z" for minute in range(10)]
    assert len(text._minutes) <= 3
