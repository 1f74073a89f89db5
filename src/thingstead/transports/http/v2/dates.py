"""`GET /v2/utils/date`: the server's time (`thethings-v2.md` 3.10)."""

from thingstead.kernel.clock import Clock
from thingstead.kernel.instants import format_instant
from thingstead.transports.http.answers import Answer, json_answer
from thingstead.transports.http.refusals import InvalidQueryError
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Parameter, Route

_FORMAT = Parameter(
    "format",
    {"type": "string", "enum": ["UTC", "unix_timestamp"], "default": "UTC"},
    "ISO 8601 text, or whole seconds since 1970.",
)


def date_routes(clock: Clock) -> list[Route]:
    """Return the route of the server's date."""

    async def date(request: Request) -> Answer:
        wanted = request.query.get("format", "UTC").lower()
        now_ms = clock.now_ms()
        value: str | int
        if wanted in {"utc", ""}:
            value = format_instant(now_ms)
        elif wanted == "unix_timestamp":
            value = now_ms // 1_000
        else:
            raise InvalidQueryError("format: expected UTC or unix_timestamp")
        # The Arduino library cuts the text between the last `value":` and the last `]`.
        return json_answer([{"key": "date", "value": value}])

    return [
        Route(
            "GET",
            "/v2/utils/date",
            "The server's date and time",
            date,
            statuses=(200, 400),
            parameters=(_FORMAT,),
            answer_example=[{"key": "date", "value": "2026-01-31T12:00:00.000Z"}],
            access=Access.PUBLIC,
        )
    ]
