"""How soon things ask again."""

import pytest

from thingstead.features.firmware.pace import Pace, poll_after
from thingstead.kernel.ids import ThingId

THINGS = [ThingId(f"thing {number}") for number in range(2_000)]


@pytest.mark.parametrize(
    ("pace", "usual_s"), [(Pace.IDLE, 900), (Pace.RING_IS_NEXT, 300), (Pace.UNDER_WAY, 60)]
)
def test_a_fleet_spreads_over_two_fifths_of_the_time(pace, usual_s):
    times = [poll_after(thing_id, pace, 900) for thing_id in THINGS]

    assert min(times) == round(0.8 * usual_s)
    assert max(times) == round(1.2 * usual_s)
    assert sum(times) / len(times) == pytest.approx(usual_s, rel=0.02)


def test_one_thing_always_gets_the_same_time():
    assert len({poll_after(THINGS[0], Pace.IDLE, 900) for _ in range(3)}) == 1


def test_an_update_under_way_never_makes_a_thing_ask_less_often():
    assert poll_after(THINGS[0], Pace.UNDER_WAY, 10) == poll_after(THINGS[0], Pace.IDLE, 10)


def test_it_is_never_less_than_a_second():
    assert min(poll_after(thing_id, Pace.RING_IS_NEXT, 1) for thing_id in THINGS) == 1
