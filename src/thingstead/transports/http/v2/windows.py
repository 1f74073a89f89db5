"""The parameters of `window_of`: `limit`, `startDate`, `endDate` (`thethings-v2.md` 3.3)."""

from thingstead.transports.http.router import Parameter
from thingstead.transports.wire.windows import window_of

__all__ = ["LIMIT_PARAMETER", "WINDOW_PARAMETERS", "window_of"]

LIMIT_PARAMETER = Parameter(
    "limit",
    {"type": "integer", "minimum": 1, "default": 1},
    "How many values, newest first; more than 100 are treated as 100.",
)
WINDOW_PARAMETERS = (
    LIMIT_PARAMETER,
    Parameter(
        "startDate",
        {"type": "string"},
        "Only values at or after this time: YYYYMMDDHHmmss or ISO 8601, UTC.",
    ),
    Parameter("endDate", {"type": "string"}, "Only values before this time; same forms."),
)
