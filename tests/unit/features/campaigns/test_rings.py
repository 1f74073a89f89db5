"""Which ring a thing is in: a matter of two ids."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from thingstead.features.campaigns.rings import POSITIONS, position, ring_of
from thingstead.kernel.ids import CampaignId, ThingId

THINGS = [ThingId(f"thing {number}") for number in range(20_000)]
CAMPAIGN = CampaignId("campaign")
RINGS = (1, 10, 50, 100)

_ids = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=43)
_rings = st.sets(st.integers(1, 99), max_size=9).map(lambda inner: (*sorted(inner), 100))


@given(_ids, _ids)
def test_a_position_is_one_of_ten_thousand_and_always_the_same(campaign: Any, thing: Any) -> None:
    found = position(campaign, thing)

    assert 0 <= found < POSITIONS
    assert position(campaign, thing) == found


@given(_ids, _ids, _rings)
def test_a_thing_is_in_the_innermost_ring_that_reaches_its_position(
    campaign: Any, thing: Any, rings: tuple[int, ...]
) -> None:
    ring = ring_of(campaign, thing, rings)

    place = position(campaign, thing)
    assert place < rings[ring] * 100
    assert all(place >= percent * 100 for percent in rings[:ring])


@given(st.sets(_ids, max_size=20), st.sets(_ids, max_size=20), _ids, _rings)
def test_no_ring_loses_a_thing_when_others_come_or_go(
    before: set[str], after: set[str], campaign: Any, rings: tuple[int, ...]
) -> None:
    def reached(things: set[str], open_ring: int) -> set[str]:
        return {one for one in things if ring_of(campaign, ThingId(one), rings) <= open_ring}

    for open_ring in range(len(rings)):
        stayed = reached(before, open_ring) & after
        assert stayed <= reached(after, open_ring)
        assert reached(before, open_ring) <= reached(before, open_ring + 1)
    assert reached(before, len(rings) - 1) == before


@given(_ids, _ids, st.integers(1, 99), st.integers(1, 99))
def test_a_wider_ring_keeps_what_a_narrower_one_reached(
    campaign: Any, thing: Any, one: int, other: int
) -> None:
    narrow, wide = sorted((one, other))

    if ring_of(campaign, thing, (narrow, 100)) == 0:
        assert ring_of(campaign, thing, (wide, 100)) == 0


def test_positions_are_spread_evenly() -> None:
    slices = Counter(position(CAMPAIGN, thing) // 100 for thing in THINGS)

    expected = len(THINGS) / 100
    chi_square = sum((slices[one] - expected) ** 2 / expected for one in range(100))
    # 99 degrees of freedom: even ones stay between these with 99.8 %, and these ids do.
    assert 61.1 < chi_square < 148.2


def test_rings_hold_about_their_share() -> None:
    sizes = Counter(ring_of(CAMPAIGN, thing, RINGS) for thing in THINGS)

    shares = [sizes[ring] / len(THINGS) for ring in range(4)]
    assert all(
        abs(share - expected) < 0.01
        for share, expected in zip(shares, (0.01, 0.09, 0.4, 0.5), strict=True)
    )


def test_other_things_go_first_in_another_campaign() -> None:
    first = {thing for thing in THINGS if ring_of(CAMPAIGN, thing, (10, 100)) == 0}
    second = {thing for thing in THINGS if ring_of(CampaignId("next"), thing, (10, 100)) == 0}

    # By chance alone a tenth of the first is in the second.
    assert len(first & second) < 0.15 * len(first)


def test_a_position_does_not_change_from_one_version_of_the_program_to_the_next() -> None:
    assert position(CampaignId("a"), ThingId("b")) == 2_403
