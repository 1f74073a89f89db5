"""What options hold besides texts and numbers: durations, points in time, shares, rings.

Each function takes the text of an option, and is its `type`; click writes its name as the
option's placeholder into the help.
"""

import re

import click

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
_NUMBER = re.compile(r"[0-9]{1,4}")


def duration(text: str) -> int:
    """Return the seconds of a whole number with `s`, `m`, `h` or `d` behind it.

    Raises:
        BadParameter: it is none.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is no duration such as 90s, 30m, 1h or 7d.")
    return int(match[1]) * _SECONDS[match[2]]


def date(text: str) -> int:
    """Return the milliseconds since 1970 of a point in time, in the forms of the API.

    Raises:
        BadParameter: it is in none of them.
    """
    from thingstead.kernel.errors import InvalidDateError
    from thingstead.kernel.instants import parse_instant

    try:
        return parse_instant(text)
    except InvalidDateError as exc:
        raise click.BadParameter(f"{text!r}: {exc.detail}.") from exc


def percent(text: str) -> int:
    """Return a whole number from 1 to 100, or 0 for `off`.

    Raises:
        BadParameter: it is neither.
    """
    if text == "off":
        return 0
    if _NUMBER.fullmatch(text) is None or not 1 <= int(text) <= 100:
        raise click.BadParameter(f"{text!r} is neither a whole number from 1 to 100 nor off.")
    return int(text)


def percents(text: str) -> tuple[int, ...]:
    """Return the whole numbers between commas; whether they are rings is the campaign's business.

    Raises:
        BadParameter: there is something else between them.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(_NUMBER.fullmatch(part) for part in parts):
        raise click.BadParameter(f"{text!r} is no list of per cents such as 1,10,50,100.")
    return tuple(int(part) for part in parts)
