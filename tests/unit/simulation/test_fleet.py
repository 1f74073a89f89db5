"""What a simulated fleet transmits, and that it follows from the seed and the time alone."""

from itertools import pairwise

import pytest

from thingstead.simulation.fleet import KINDS, Batch, Fleet, SimulatedThing, Transmission

START_MS = 1_767_225_600_000
HOUR_MS = 3_600_000


def transmissions(thing: SimulatedThing, hours: float) -> list[Transmission]:
    end_ms = START_MS + int(hours * HOUR_MS)
    sent = [thing.next(START_MS)]
    while (following := thing.next(sent[-1].at_ms)).at_ms <= end_ms:
        sent.append(following)
    return sent


def readings(sent: list[Transmission], key: str) -> list[object]:
    return [
        measurement.value
        for transmission in sent
        for measurement in transmission.batches[-1].measurements
        if measurement.key == key
    ]


@pytest.fixture(name="day", scope="module")
def _day() -> dict[str, list[Transmission]]:
    return {thing.kind: transmissions(thing, 24) for thing in Fleet(1, 4).things}


def test_the_same_seed_gives_identical_transmissions():
    first, second = ([transmissions(thing, 1) for thing in Fleet(7, 8).things] for _ in range(2))

    assert first == second


def test_another_seed_gives_other_transmissions():
    assert Fleet(1, 1).things[0].next(START_MS) != Fleet(2, 1).things[0].next(START_MS)


def test_a_thing_does_not_change_when_the_fleet_grows():
    small, large = Fleet(3, 2).things[1], Fleet(3, 40).things[1]

    assert (small.name, small.settings, small.place) == (large.name, large.settings, large.place)
    assert small.next(START_MS) == large.next(START_MS)


def test_a_fleet_started_in_between_goes_on_as_one_that_always_ran():
    thing = Fleet(5, 1).things[0]
    sent = transmissions(thing, 2)

    late = thing.next(sent[100].at_ms + 1)

    assert late == sent[101]


def test_the_kinds_take_turns_and_names_differ():
    things = Fleet(1, 10).things

    assert [thing.kind for thing in things] == [*KINDS, *KINDS, *KINDS[:2]]
    assert len({thing.name for thing in things}) == 10
    assert things[4].name == "Greenhouse 2"


def test_each_kind_measures_what_it_is_for():
    keys = {
        thing.kind: [measurement.key for measurement in thing.measured(START_MS)]
        for thing in Fleet(1, 4).things
    }

    assert keys == {
        "greenhouse": ["temperature", "humidity", "soil_moisture", "light", "battery"],
        "meter": ["power", "energy"],
        "tracker": ["speed", "heading", "battery"],
        "freezer": ["temperature", "door", "compressor"],
    }


def test_things_keep_different_intervals_with_jitter(day):
    for sent in day.values():
        waits = [b.at_ms - a.at_ms for a, b in pairwise(sent)]
        ordinary = sorted(waits)[len(waits) // 2]
        assert 2_000 <= ordinary <= 10_000
        assert len(set(waits)) > 100
    assert len({thing.settings["interval_s"] for thing in Fleet(1, 12).things}) > 8


def test_no_batch_is_empty_or_larger_than_100(day):
    sizes = {
        len(batch.measurements)
        for sent in day.values()
        for transmission in sent
        for batch in transmission.batches
    }

    assert min(sizes) >= 1
    assert max(sizes) == 100


def test_after_a_gap_what_was_measured_meanwhile_follows_with_its_times(day):
    sent = day["greenhouse"]
    gaps = [(a, b) for a, b in pairwise(sent) if len(b.batches) > 2]

    assert gaps
    for before, after in gaps:
        buffered = [m.at_ms for batch in after.batches[:-1] for m in batch.measurements]
        assert all(batch.is_dated for batch in after.batches[:-1])
        assert before.at_ms < min(buffered) <= max(buffered) < after.at_ms


def test_a_restart_is_told_and_the_energy_counter_begins_anew(day):
    energies = readings(day["meter"], "energy")
    resets = [b for a, b in pairwise(energies) if b < a]

    assert resets
    assert max(resets) < 0.1
    assert readings(day["meter"], "boot") == ["power-on"] * len(resets)


def test_some_batches_are_sent_twice_and_those_carry_their_times(day):
    repeated = [
        (a, b)
        for sent in day.values()
        for transmission in sent
        for a, b in pairwise(transmission.batches)
        if a == b
    ]

    assert len(repeated) > 100
    assert all(batch.is_dated for batch, _ in repeated)


def test_some_things_send_their_own_times_and_others_leave_them_to_the_server():
    ordinary = [thing.next(START_MS).batches[-1].is_dated for thing in Fleet(1, 40).things]

    assert 4 < sum(ordinary) < 30


def test_readings_stay_plausible(day):
    ranges = {
        ("greenhouse", "temperature"): (5, 40),
        ("greenhouse", "humidity"): (30, 99),
        ("greenhouse", "soil_moisture"): (25, 54),
        ("greenhouse", "light"): (0, 65_000),
        ("greenhouse", "battery"): (10, 100),
        ("meter", "power"): (50, 1_500),
        ("tracker", "speed"): (0, 120),
        ("tracker", "heading"): (0, 359),
        ("freezer", "temperature"): (-26, -5),
    }

    for (kind, key), (low, high) in ranges.items():
        values = readings(day[kind], key)
        assert low <= min(values) < max(values) <= high, (kind, key)


def test_it_is_dark_at_night_and_light_at_noon():
    greenhouse = Fleet(1, 1).things[0]

    light = {
        hour: {m.key: m.value for m in greenhouse.measured(START_MS + hour * HOUR_MS)}["light"]
        for hour in (2, 12)
    }

    assert light[2] == 0
    assert light[12] > 20_000


def test_a_freezer_opens_its_door_and_names_its_compressors_state(day):
    assert set(readings(day["freezer"], "door")) == {True, False}
    assert set(readings(day["freezer"], "compressor")) == {"cooling", "idle", "defrost"}


def test_only_trackers_carry_positions_and_they_move_as_fast_as_they_say(day):
    moving = day["tracker"]
    points = [(t.at_ms, t.batches[-1].measurements[-1].position) for t in moving]

    assert all(m.position is None for t in day["meter"] for m in t.batches[-1].measurements)
    for (before_ms, a), (after_ms, b) in pairwise(points):
        metres = (((a.lat - b.lat) * 111_320) ** 2 + ((a.long - b.long) * 85_000) ** 2) ** 0.5
        assert metres / (after_ms - before_ms) * 3_600 < 130


def test_history_is_the_same_wherever_it_begins():
    thing = Fleet(1, 1).things[0]

    def history(after_ms: int, until_ms: int) -> list[object]:
        return [
            m for batch in thing.history(after_ms, until_ms, 60_000) for m in batch.measurements
        ]

    whole = history(START_MS, START_MS + 2 * HOUR_MS)
    parts = history(START_MS, START_MS + 4_000_001) + history(
        START_MS + 4_000_001, START_MS + 2 * HOUR_MS
    )

    assert whole == parts
    assert len({m.at_ms for m in whole}) > 90


def test_history_is_dated_ascending_and_leaves_out_what_was_without_power():
    meter = Fleet(1, 2).things[1]

    batches = list(meter.history(START_MS, START_MS + 24 * HOUR_MS, 60_000))
    times = [m.at_ms for batch in batches for m in batch.measurements]

    assert all(batch.is_dated and len(batch.measurements) <= 100 for batch in batches)
    assert times == sorted(times)
    assert len(set(times)) < 24 * 60


def test_a_thing_switched_on_tells_so_and_measures_at_once():
    greeting = Fleet(1, 1).things[0].greeting(START_MS)

    (batch,) = greeting.batches
    assert isinstance(batch, Batch)
    assert batch.measurements[0].key == "boot"
    assert {m.at_ms for m in batch.measurements} == {START_MS}
