"""Silences: found from any instant, bounded, and never without an end."""

from itertools import pairwise

import pytest

from thingstead.simulation.outages import Cause, Outage, Outages
from thingstead.simulation.signals import Chance

START_MS = 1_767_225_600_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000


@pytest.fixture(name="outages")
def _outages() -> Outages:
    return Outages(Chance("outages"))


def found(outages: Outages) -> list[Outage]:
    every = {outages.during(START_MS + at) for at in range(0, 4 * DAY_MS, MINUTE_MS // 2)}
    return sorted((outage for outage in every if outage), key=lambda outage: outage.start_ms)


def test_outages_have_both_causes_and_lie_apart(outages):
    every = found(outages)

    assert {outage.cause for outage in every} == set(Cause)
    assert all(a.end_ms < b.start_ms for a, b in pairwise(every))


def test_an_outage_lasts_between_one_and_twenty_minutes(outages):
    lengths = [outage.end_ms - outage.start_ms for outage in found(outages)]

    assert min(lengths) >= MINUTE_MS
    assert max(lengths) <= 20 * MINUTE_MS


def test_an_outage_begins_with_its_start_and_is_over_at_its_end(outages):
    outage = found(outages)[3]

    assert outages.during(outage.start_ms) == outage
    assert outages.during(outage.end_ms - 1) == outage
    assert outages.during(outage.start_ms - 1) is None
    assert outages.during(outage.end_ms) is None


def test_every_outage_is_seen_to_end_exactly_once(outages):
    every = found(outages)
    step_ms = 7_000
    ended = [
        outages.ended_within(at, at + step_ms)
        for at in range(every[0].start_ms, every[-1].end_ms + step_ms, step_ms)
    ]

    assert [outage for outage in ended if outage] == every


def test_the_last_start_is_the_end_of_the_latest_outage_of_power(outages):
    cut = [outage for outage in found(outages) if outage.cause is Cause.POWER]
    first, second = cut[0], cut[1]

    assert outages.last_start_ms(first.end_ms) == first.end_ms
    assert outages.last_start_ms(second.start_ms) == first.end_ms
    assert outages.last_start_ms(second.end_ms - 1) == first.end_ms
