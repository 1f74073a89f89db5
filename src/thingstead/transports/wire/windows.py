"""Which values a query asks for: `limit`, `startDate`, `endDate` (`thethings-v2.md` 3.3)."""

from thingstead.features.values.model import Window
from thingstead.features.values.service import window_limit
from thingstead.kernel.errors import InvalidDateError
from thingstead.kernel.instants import parse_instant


def window_of(query: dict[str, str]) -> Window:
    """Return the window that a query names.

    Raises:
        InvalidLimitError, InvalidDateError: a parameter cannot be read.
    """
    if not query:
        return Window()
    return Window(
        limit=window_limit(query.get("limit")),
        from_ms=_instant(query, "startDate"),
        until_ms=_instant(query, "endDate"),
    )


def _instant(query: dict[str, str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    try:
        # An unencoded plus sign of a zone offset arrives as a blank.
        return parse_instant(text.replace(" ", "+"))
    except InvalidDateError as exc:
        raise InvalidDateError(f"{name}: {exc.detail}") from exc
