"""Who may open a stream: by header, or by a ticket in the query."""

import pytest

from thingstead.features.users.errors import InvalidSessionError, InvalidTicketError
from thingstead.features.users.tickets import Redeemed
from thingstead.kernel.errors import TooManyRequestsError
from thingstead.transports.http.refusals import InvalidHeaderError
from thingstead.transports.http.request import Request
from thingstead.transports.http.v2.callers import Callers


class OneSession:
    """Knows `right`; the caller stands for themselves."""

    def __init__(self) -> None:
        self.is_open = True
        self.is_busy = False
        self.addresses = []

    def known(self, token):
        return None

    async def authenticate(self, token, *, address):
        self.addresses.append(address)
        if token != "right" or not self.is_open:
            raise InvalidSessionError
        return "ada"

    def admit(self, caller):
        if self.is_busy:
            raise TooManyRequestsError


class OneTicket:
    async def redeem(self, ticket):
        if ticket != "tk_right":
            raise InvalidTicketError
        return Redeemed("ada", "right")


@pytest.fixture
def sessions():
    return OneSession()


@pytest.fixture
def callers(sessions):
    return Callers(sessions, OneTicket())


def request(query=b"", *authorization):
    scope = {
        "method": "GET",
        "raw_path": b"/v2/me",
        "query_string": query,
        "headers": [(b"authorization", value) for value in authorization],
        "client": ("192.0.2.1", 1),
    }
    return Request(scope, None)


@pytest.mark.parametrize("query", [b"", b"ticket=tk_right", b"ticket=wrong"])
async def test_the_header_rules_and_pays_for_its_guesses(callers, sessions, query):
    listener = await callers.listener(request(query, b"Bearer right"))

    assert listener.caller == "ada"
    assert sessions.addresses == ["192.0.2.1"]


async def test_a_wrong_header_is_not_made_good_by_a_ticket(callers):
    with pytest.raises(InvalidSessionError):
        await callers.listener(request(b"ticket=tk_right", b"wrong"))


async def test_a_ticket_stands_for_a_missing_header(callers):
    assert (await callers.listener(request(b"ticket=tk_right"))).caller == "ada"


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (b"", InvalidSessionError),
        (b"ticket=", InvalidTicketError),
        (b"ticket=right", InvalidTicketError),
    ],
)
async def test_without_either_nobody_listens(callers, query, error):
    with pytest.raises(error):
        await callers.listener(request(query))


async def test_a_ticket_opens_no_other_call(callers):
    with pytest.raises(InvalidSessionError):
        await callers.caller(request(b"ticket=tk_right"))


async def test_two_headers_are_refused(callers):
    with pytest.raises(InvalidHeaderError):
        await callers.listener(request(b"ticket=tk_right", b"right", b"right"))


@pytest.mark.parametrize("made", [(b"", b"right"), (b"ticket=tk_right",)])
async def test_the_session_is_asked_again_for_nothing(callers, sessions, made):
    listener = await callers.listener(request(*made))
    sessions.is_busy = True

    assert await listener.again() == "ada"
    assert sessions.addresses[-1] is None
    sessions.is_open = False
    with pytest.raises(InvalidSessionError):
        await listener.again()


@pytest.mark.parametrize("made", [(b"", b"right"), (b"ticket=tk_right",)])
async def test_listening_costs_a_call(callers, sessions, made):
    sessions.is_busy = True

    with pytest.raises(TooManyRequestsError):
        await callers.listener(request(*made))


async def test_where_no_tickets_are_issued_none_is_valid(sessions):
    with pytest.raises(InvalidTicketError):
        await Callers(sessions).listener(request(b"ticket=tk_right"))
