"""How far a client came, whatever the order in which it acknowledges."""

from hypothesis import given
from hypothesis import strategies as st

from thingstead.transports.mqtt.progress import Progress


def test_it_begins_where_it_is_told():
    assert Progress(7).after == 7


def test_what_was_sent_counts_when_it_is_acknowledged():
    progress = Progress(0)
    progress.sent(3)
    before = progress.after
    progress.acknowledged(3)

    assert (before, progress.after) == (0, 3)


def test_what_is_acknowledged_too_early_waits_for_the_earlier_ones():
    progress = Progress(0)
    for sequence in (1, 2, 3):
        progress.sent(sequence)
    places = []
    for sequence in (3, 1, 2):
        progress.acknowledged(sequence)
        places.append(progress.after)

    assert places == [0, 1, 3]


def test_an_event_of_many_messages_counts_when_all_are_acknowledged():
    progress = Progress(0)
    progress.sent(1, 3)
    progress.sent(2)
    places = []
    for sequence in (1, 2, 1, 1):
        progress.acknowledged(sequence)
        places.append(progress.after)

    assert places == [0, 0, 0, 2]


def test_what_passed_counts_at_once_when_nothing_is_under_way():
    progress = Progress(0)
    progress.passed(9)
    progress.passed(8)

    assert progress.after == 9


def test_what_passed_counts_after_what_is_under_way():
    progress = Progress(0)
    progress.sent(1)
    progress.passed(9)
    before = progress.after
    progress.acknowledged(1)

    assert (before, progress.after) == (0, 9)


def test_an_event_from_before_the_beginning_takes_nothing_back():
    progress = Progress(5)
    progress.sent(4)
    progress.acknowledged(4)

    assert progress.after == 5


@given(st.permutations(range(1, 21)), st.integers(0, 20))
def test_the_place_is_behind_all_that_are_acknowledged_without_a_gap(order, count):
    progress = Progress(0)
    for sequence in range(1, 21):
        progress.sent(sequence)
    for sequence in order[:count]:
        progress.acknowledged(sequence)

    missing = set(range(1, 22)) - set(order[:count])
    assert progress.after == min(missing) - 1
