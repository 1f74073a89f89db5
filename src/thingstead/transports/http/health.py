"""`/health/live` and `/health/ready`: for load balancers and process managers."""

from collections.abc import Awaitable, Callable

from thingstead.transports.http.answers import Answer, json_answer
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Access, Route

ReadinessCheck = Callable[[], Awaitable[str | None]]
"""Returns None when the server can serve, or what is missing."""


def health_routes(check: ReadinessCheck) -> list[Route]:
    """Return the two routes."""

    async def live(_request: Request) -> Answer:
        return json_answer({"status": "live"})

    async def ready(_request: Request) -> Answer:
        problem = await check()
        if problem is None:
            return json_answer({"status": "ready"})
        return json_answer({"status": "not ready", "reason": problem}, 503)

    return [
        Route(
            "GET",
            "/health/live",
            "Whether the process is up",
            live,
            access=Access.PUBLIC,
        ),
        Route(
            "GET",
            "/health/ready",
            "Whether it can serve",
            ready,
            statuses=(200, 503),
            access=Access.PUBLIC,
        ),
    ]
