import pytest

from thingstead.transports.coap.limits import CoAPLimits
from thingstead.transports.coap.reachability import Reachability

PEER = ("203.0.113.7", 5683, 0)


@pytest.fixture
def reach():
    return Reachability(CoAPLimits(unverified_bytes_per_minute=1_000), b"secret")


def may_send(reach, size, *, request=10, peer=PEER, now=0.0):
    return reach.may_send(peer, peer[0], request_bytes=request, answer_bytes=size, now=now)


def test_answer_up_to_three_times_its_request_is_free(reach):
    assert all(may_send(reach, 300, request=100) for _ in range(100))


def test_larger_answers_have_a_budget_to_the_byte(reach):
    assert may_send(reach, 999)
    assert not may_send(reach, 301, request=100)
    assert may_send(reach, 300, request=100)


def test_budget_comes_back_with_time(reach):
    may_send(reach, 1_000)

    assert not may_send(reach, 500, now=29.0)
    assert may_send(reach, 500, now=60.0)


def test_each_address_has_a_budget_of_its_own(reach):
    may_send(reach, 1_000)

    assert may_send(reach, 1_000, peer=("198.51.100.1", 1, 0))
    assert not may_send(reach, 1_000, peer=("203.0.113.7", 1, 0))


def test_peer_that_repeats_the_value_may_be_sent_more(reach):
    may_send(reach, 1_000)
    echo = reach.challenge(PEER, 1.0)

    assert reach.verify(PEER, echo, 2.0)
    assert all(may_send(reach, 1_000, now=3.0) for _ in range(10))
    assert not may_send(reach, 1_001, now=2.0 + 600)


@pytest.mark.parametrize("now", [301.0, 5_000.0])
def test_value_is_good_for_five_minutes(reach, now):
    echo = reach.challenge(PEER, 0.0)

    assert reach.verify(PEER, echo, 300.0)
    assert not reach.verify(PEER, echo, now)


@pytest.mark.parametrize(
    "echo", [b"", b"\x00", bytes(12), bytes(40), b"\x00\x00\x00\x05" + b"x" * 8]
)
def test_value_of_somebody_else_is_worth_nothing(reach, echo):
    assert not reach.verify(PEER, echo, 5.0)
    assert not reach.verify(PEER, reach.challenge(("203.0.113.7", 1, 0), 5.0), 5.0)
    assert not reach.verify(PEER, Reachability(CoAPLimits(), b"other").challenge(PEER, 5.0), 5.0)


def test_so_many_verified_peers_are_remembered():
    reach = Reachability(CoAPLimits(unverified_bytes_per_minute=10, verified_peers=2), b"secret")
    peers = [(f"203.0.113.{n}", 1, 0) for n in range(3)]
    for peer in peers:
        reach.verify(peer, reach.challenge(peer, 0.0), 0.0)

    assert [may_send(reach, 100, peer=peer) for peer in peers] == [False, True, True]
