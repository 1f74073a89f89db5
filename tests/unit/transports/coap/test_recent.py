import pytest

from thingstead.transports.coap.limits import CoAPLimits
from thingstead.transports.coap.recent import LIFETIME_S, RecentMessages, Seen


@pytest.fixture
def recent():
    return RecentMessages(CoAPLimits())


def test_message_is_new_then_pending_then_answered(recent):
    first = recent.see("peer", 1, 11, 0.0)
    second = recent.see("peer", 1, 11, 1.0)
    recent.answer("peer", 1, b"answer")

    assert [first, second, recent.see("peer", 1, 11, 2.0)] == [Seen.NEW, Seen.PENDING, b"answer"]


def test_other_peer_id_or_bytes_are_another_message(recent):
    recent.see("peer", 1, 11, 0.0)

    assert recent.see("other", 1, 11, 0.0) is Seen.NEW
    assert recent.see("peer", 2, 11, 0.0) is Seen.NEW
    assert recent.see("peer", 1, 12, 0.0) is Seen.NEW


def test_answer_of_the_replaced_message_is_gone(recent):
    recent.see("peer", 1, 11, 0.0)
    recent.answer("peer", 1, b"answer")
    recent.see("peer", 1, 12, 0.0)

    assert recent.see("peer", 1, 12, 0.0) is Seen.PENDING


def test_message_is_known_until_its_lifetime_ends(recent):
    recent.see("peer", 1, 11, 0.0)

    assert recent.see("peer", 1, 11, LIFETIME_S - 0.1) is Seen.PENDING
    assert recent.see("peer", 1, 11, LIFETIME_S) is Seen.NEW
    assert len(recent) == 1


def test_silent_peers_are_forgotten_when_others_send(recent):
    recent.see("silent", 1, 11, 0.0)
    recent.see("talking", 1, 11, LIFETIME_S)

    assert len(recent) == 1


def test_answer_of_a_forgotten_message_is_ignored(recent):
    recent.answer("nobody", 1, b"answer")

    assert len(recent) == 0


def test_peer_keeps_as_many_as_it_may():
    recent = RecentMessages(CoAPLimits(remembered_per_peer=2))
    for message_id in (1, 2, 3):
        recent.see("peer", message_id, 11, 0.0)

    assert len(recent) == 2
    assert recent.see("peer", 3, 11, 0.0) is Seen.PENDING
    assert recent.see("peer", 1, 11, 0.0) is Seen.NEW


def test_of_all_peers_the_one_that_is_silent_longest_gives_way():
    recent = RecentMessages(CoAPLimits(remembered_messages=2))
    recent.see("one", 1, 11, 0.0)
    recent.see("two", 1, 11, 0.0)
    recent.see("one", 1, 11, 1.0)
    recent.see("three", 1, 11, 2.0)

    assert len(recent) == 2
    assert recent.see("one", 1, 11, 2.0) is Seen.PENDING


def test_answers_take_as_many_bytes_as_they_may():
    recent = RecentMessages(CoAPLimits(remembered_bytes=10))
    recent.see("one", 1, 11, 0.0)
    recent.answer("one", 1, b"x" * 5)
    recent.see("two", 1, 11, 0.0)
    recent.answer("two", 1, b"x" * 5)
    fits = len(recent)
    recent.see("three", 1, 11, 0.0)
    recent.answer("three", 1, b"x")

    assert (fits, len(recent)) == (2, 2)
    assert recent.see("two", 1, 11, 0.0) == b"x" * 5
