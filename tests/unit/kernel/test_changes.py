"""What a process remembers, and how it learns that it must forget."""

from dataclasses import dataclass, field

import pytest

from doubles.clock import ManualClock
from thingstead.kernel.changes import Change, Changes, Kind


@dataclass
class Signal:
    """Says what it was told to say, once."""

    waiting: list | None = field(default_factory=list)
    asked: int = 0

    def changes(self):
        self.asked += 1
        waiting, self.waiting = self.waiting, []
        return waiting


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def signal():
    return Signal()


@pytest.fixture
def changes(signal, clock):
    return Changes(signal, clock)


@pytest.fixture
def heard(changes):
    """What the listeners of each kind were told, in order."""
    heard = []
    for kind in Kind:
        changes.listen(kind, lambda subject, kind=kind: heard.append((kind, subject)))
    return heard


def test_listeners_hear_of_their_own_kind_in_order(changes, signal, heard):
    signal.waiting = [Change(Kind.USER, "ada"), Change(Kind.THING, "t"), Change(Kind.APP, "a")]

    changes.look()

    assert heard == [(Kind.USER, "ada"), (Kind.THING, "t"), (Kind.APP, "a")]


def test_all_who_listen_hear(changes, signal):
    heard = []
    changes.listen(Kind.APP, lambda subject: heard.append(("first", subject)))
    changes.listen(Kind.APP, lambda subject: heard.append(("second", subject)))
    signal.waiting = [Change(Kind.APP, "a")]

    changes.look()

    assert heard == [("first", "a"), ("second", "a")]


def test_where_nothing_was_announced_nobody_hears(changes, heard):
    changes.look()

    assert heard == []


def test_where_anything_may_have_changed_all_kinds_hear(changes, signal, heard):
    signal.waiting = None

    changes.look()

    assert heard == [(kind, None) for kind in Kind]


def test_the_first_look_is_a_real_one(changes, signal):
    changes.look()

    assert signal.asked == 1


def test_the_signal_is_asked_once_in_50_ms(changes, signal, clock):
    changes.look()
    clock.advance(0.049)
    changes.look()
    within = signal.asked

    clock.advance(0.002)
    changes.look()

    assert (within, signal.asked) == (1, 2)


def test_what_this_process_changed_is_heard_of_at_once(changes, signal, heard):
    changes.tell(Kind.USER, "ada")

    assert heard == [(Kind.USER, "ada")]
    assert signal.asked == 0
