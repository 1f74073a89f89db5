"""`POST /v2/me/tickets`: what stands for a session where no header can be sent (`rulings.md`)."""

from thingstead.features.users.errors import InvalidSessionError
from thingstead.features.users.model import Caller
from thingstead.features.users.tickets import Tickets
from thingstead.transports.http.answers import Answer, json_answer
from thingstead.transports.http.request import Request
from thingstead.transports.http.router import Route
from thingstead.transports.http.v2.callers import Callers, session_token


def ticket_routes(callers: Callers, tickets: Tickets) -> list[Route]:
    """Return the route that issues tickets."""

    async def issue(request: Request, caller: Caller) -> Answer:
        token = session_token(request)
        if token is None:
            raise InvalidSessionError
        ticket = tickets.issue(caller, token)
        return json_answer(
            {"status": "created", "ticket": ticket, "expiresIn": tickets.life_s}, status=201
        )

    return [
        callers.route(
            "POST",
            "/v2/me/tickets",
            "Get a ticket that opens one live stream or WebSocket, within 30 seconds",
            issue,
            statuses=(201, 401, 429, 503),
            answer_example={"status": "created", "ticket": "tk_…", "expiresIn": 30},
        )
    ]
