"""Curves and chance: the same for the same place, within their bounds."""

import math

import pytest

from thingstead.simulation.signals import (
    HOUR_S,
    Chance,
    Refill,
    Sine,
    Wave,
    battery,
    daily,
    drift,
    hour_of_day,
)

MIDNIGHT_S = 1_767_225_600.0


def test_chance_gives_the_same_number_for_the_same_place():
    assert Chance("a").uniform(7) == Chance("a").uniform(7)


def test_chance_of_another_name_or_place_differs():
    chance = Chance("a")

    numbers = {chance.uniform(7), chance.uniform(8), chance.named("b").uniform(7)}

    assert len(numbers) == 3


def test_chance_stays_stable_between_versions():
    assert Chance("1/0").uniform(0) == 0.23756592965882017


def test_uniform_numbers_fill_their_range_evenly():
    numbers = [Chance("even").between(10, 20, place) for place in range(4_000)]

    assert 10 <= min(numbers) < 10.1
    assert 19.9 < max(numbers) < 20
    assert sum(numbers) / 4_000 == pytest.approx(15, abs=0.2)


def test_noise_has_no_mean_deviation_one_and_a_bound():
    numbers = [Chance("noise").noise(place) for place in range(4_000)]

    assert sum(numbers) / 4_000 == pytest.approx(0, abs=0.06)
    assert math.sqrt(sum(n * n for n in numbers) / 4_000) == pytest.approx(1, abs=0.05)
    assert max(map(abs, numbers)) <= 3.5


def test_a_daily_swing_peaks_at_its_hour():
    wave = Wave(20, (daily(5, 14.5),))

    assert wave.at(MIDNIGHT_S + 14.5 * HOUR_S) == pytest.approx(25)
    assert wave.at(MIDNIGHT_S + 2.5 * HOUR_S) == pytest.approx(15)


def test_drift_stays_within_its_amplitude():
    wave = Wave(0, drift(2, Chance("drift")))

    heights = [wave.at(MIDNIGHT_S + second) for second in range(0, 400_000, 500)]

    assert max(map(abs, heights)) <= 2
    assert max(heights) > 1
    assert min(heights) < -1


def test_the_area_is_that_of_the_summed_up_heights():
    wave = Wave(3, (Sine(2, 700, 0.4), Sine(1, 90, 2)))

    steps = sum(wave.at(1_000 + (n + 0.5) / 10) / 10 for n in range(5_000))

    assert wave.area(1_000, 1_500) == pytest.approx(steps, rel=1e-6)


def test_a_refill_runs_down_slowly_and_fills_up_fast():
    refill = Refill(full=100, empty=20, period_s=1_000, filling_share=0.1, offset_s=0)

    assert [refill.at(second) for second in (0, 450, 900, 950)] == pytest.approx([100, 60, 20, 60])


def test_a_battery_stays_between_empty_and_full():
    cell = battery(Chance("cell"))

    levels = [cell.at(MIDNIGHT_S + minute * 60) for minute in range(5_000)]

    assert min(levels) > 10
    assert max(levels) <= 100


def test_the_hour_of_the_day_is_in_utc():
    assert hour_of_day(MIDNIGHT_S + 6.5 * HOUR_S) == 6.5
