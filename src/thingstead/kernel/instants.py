"""Points in time as they go over the wire, to and from milliseconds since 1970 in UTC.

Forms accepted (`thethings-v2.md` 3.2 and 3.3): `YYYYMMDDHHmmss`, `YYYYMMDDTHHmmss`, ISO 8601
with `Z`, with an offset, or without a zone (which means UTC), with any number of decimals.
What goes out always has three decimals and `Z`. The literal `NOW()` is not a point in time
and is handled where values are written.
"""

import re
from datetime import UTC, datetime, timedelta

from thingstead.kernel.errors import InvalidDateError

_LONGEST = 40
# The standard library takes any separator, week dates, and more; the wire knows these only.
_ISO_8601 = re.compile(
    r"[0-9]{4}(-?)[0-9]{2}\1[0-9]{2}"
    r"([Tt ][0-9]{2}(:?[0-9]{2}(:?[0-9]{2}([.,][0-9]+)?)?)?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MS_PER_MINUTE = 60_000
_MINUTES_KEPT = 4_096

EXPECTED_FORMS = "expected YYYYMMDDHHmmss or ISO 8601 such as 2026-01-31T12:00:00.000Z"


def parse_instant(text: str) -> int:
    """Return the milliseconds since 1970 that the text names; finer decimals are cut off.

    Raises:
        InvalidDateError: the text is in none of the accepted forms, or no such day exists.
    """
    if len(text) > _LONGEST or not text.isascii():
        raise InvalidDateError(EXPECTED_FORMS)
    try:
        if len(text) == 14 and text.isdecimal():
            moment = _from_compact(text)
        elif len(text) >= 10 and _ISO_8601.fullmatch(text):
            moment = datetime.fromisoformat(text.upper())
        else:
            raise InvalidDateError(EXPECTED_FORMS)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError) as exc:
        raise InvalidDateError(EXPECTED_FORMS) from exc


def _from_compact(text: str) -> datetime:
    return datetime(
        int(text[:4]),
        int(text[4:6]),
        int(text[6:8]),
        int(text[8:10]),
        int(text[10:12]),
        int(text[12:]),
        tzinfo=UTC,
    )


class InstantFormatter:
    """Formats milliseconds as `2015-10-28T12:18:56.799Z`.

    Neighbouring values share their minute, so the text up to the minute is kept (a bounded
    number of them) and a read of 100 values builds few dates. Not safe to share between
    threads.
    """

    __slots__ = ("_milliseconds", "_minutes", "_seconds")

    def __init__(self) -> None:
        self._minutes: dict[int, str] = {}
        # Tables, because formatting three numbers takes twice as long as three look-ups.
        self._seconds = [f"{second:02d}." for second in range(60)]
        self._milliseconds = [f"{millisecond:03d}Z" for millisecond in range(1_000)]

    def __call__(self, at_ms: int) -> str:
        """Return the text of the point in time; the year is within 1 to 9999."""
        minute, rest = divmod(at_ms, _MS_PER_MINUTE)
        prefix = self._minutes.get(minute)
        if prefix is None:
            prefix = self._add(minute)
        second, millisecond = divmod(rest, 1_000)
        return prefix + self._seconds[second] + self._milliseconds[millisecond]

    def _add(self, minute: int) -> str:
        if len(self._minutes) >= _MINUTES_KEPT:
            self._minutes.clear()
        moment = _EPOCH + timedelta(minutes=minute)
        prefix = self._minutes[minute] = (
            f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}"
            f"T{moment.hour:02d}:{moment.minute:02d}:"
        )
        return prefix


def format_instant(at_ms: int) -> str:
    """Return the text of one point in time, three decimals and `Z`; from any thread."""
    moment = _EPOCH + timedelta(milliseconds=at_ms)
    # Half a microsecond; a new formatter, with its tables, took half a thousand times as long.
    return (
        f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}T{moment.hour:02d}"
        f":{moment.minute:02d}:{moment.second:02d}.{moment.microsecond // 1_000:03d}Z"
    )
