"""Tickets: once, soon, and no longer than their session."""

import pytest

from thingstead.features.users.errors import InvalidTicketError
from thingstead.features.users.tickets import TicketLimits, Tickets
from thingstead.kernel.errors import OverloadedError, StoreUnavailableError, TooManyRequestsError


@pytest.fixture
def tickets(rig):
    return _tickets(rig)


@pytest.fixture
async def ada_logged_in(rig):
    return await rig.register()


def _tickets(rig, **limits):
    return Tickets(rig.sessions, rig.ids, rig.clock, TicketLimits(**limits))


def _issue(tickets, logged_in):
    return tickets.issue(logged_in.caller, logged_in.token)


async def test_a_ticket_stands_for_its_session(tickets, ada_logged_in):
    ticket = _issue(tickets, ada_logged_in)

    redeemed = await tickets.redeem(ticket)

    assert ticket.startswith("tk_")
    assert redeemed.caller == ada_logged_in.caller
    assert redeemed.session_token == ada_logged_in.token


async def test_a_ticket_works_once(tickets, ada_logged_in):
    ticket = _issue(tickets, ada_logged_in)
    await tickets.redeem(ticket)

    with pytest.raises(InvalidTicketError):
        await tickets.redeem(ticket)


@pytest.mark.parametrize("wrong", ["", "tk_", "tk_" + "x" * 43, "\ud800"])
async def test_an_unknown_ticket_is_refused(tickets, ada_logged_in, wrong):
    _issue(tickets, ada_logged_in)

    with pytest.raises(InvalidTicketError):
        await tickets.redeem(wrong)


async def test_a_session_token_is_no_ticket(tickets, ada_logged_in):
    _issue(tickets, ada_logged_in)

    with pytest.raises(InvalidTicketError):
        await tickets.redeem(ada_logged_in.token)


async def test_a_ticket_lasts_just_under_30_seconds(rig, tickets, ada_logged_in):
    early, late = _issue(tickets, ada_logged_in), _issue(tickets, ada_logged_in)

    rig.clock.advance(29.9)
    await tickets.redeem(early)
    rig.clock.advance(0.1)

    with pytest.raises(InvalidTicketError):
        await tickets.redeem(late)
    assert len(tickets) == 0


async def test_a_ticket_dies_with_its_session(rig, tickets, ada_logged_in):
    ticket = _issue(tickets, ada_logged_in)
    await rig.sessions.end(ada_logged_in.caller, "current")

    with pytest.raises(InvalidTicketError):
        await tickets.redeem(ticket)


async def test_a_ticket_is_used_up_even_when_the_store_cannot_tell(
    rig, tickets, ada_logged_in, monkeypatch
):
    async def fail(_digest, *, at_ms):
        raise StoreUnavailableError

    ticket = _issue(tickets, ada_logged_in)
    with monkeypatch.context() as patched:
        patched.setattr(rig.store, "session", fail)
        with pytest.raises(StoreUnavailableError):
            await tickets.redeem(ticket)

    with pytest.raises(InvalidTicketError):
        await tickets.redeem(ticket)


async def test_ten_tickets_of_one_user_may_wait_and_not_one_more(rig, tickets, ada_logged_in):
    waiting = [_issue(tickets, ada_logged_in) for _ in range(10)]

    with pytest.raises(TooManyRequestsError, match="at most 10") as refused:
        _issue(tickets, ada_logged_in)

    assert refused.value.retry_after_s == 30
    await tickets.redeem(waiting[0])
    _issue(tickets, ada_logged_in)


async def test_expired_tickets_make_room(rig, tickets, ada_logged_in):
    for _ in range(10):
        _issue(tickets, ada_logged_in)

    rig.clock.advance(30)
    _issue(tickets, ada_logged_in)

    assert len(tickets) == 1


async def test_tickets_of_all_users_together_are_bounded(rig, ada_logged_in):
    tickets = _tickets(rig, in_all=2)
    bob = await rig.register("bob@example.org")
    _issue(tickets, ada_logged_in)
    _issue(tickets, bob)

    with pytest.raises(OverloadedError, match="unused tickets"):
        _issue(tickets, bob)


async def test_another_users_tickets_leave_room(rig, tickets, ada_logged_in):
    bob = await rig.register("bob@example.org")
    for _ in range(10):
        _issue(tickets, ada_logged_in)

    redeemed = await tickets.redeem(_issue(tickets, bob))

    assert redeemed.caller == bob.caller
