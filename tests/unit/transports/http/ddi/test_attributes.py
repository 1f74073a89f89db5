"""The attributes that agents of hawkBit tell, and when they are asked for them."""

from dataclasses import replace

import pytest

from doubles.clock import ManualClock
from thingstead.features.firmware.model import Report, Running, ThingRecord, Update, UpdateState
from thingstead.kernel.errors import InvalidBodyError
from thingstead.kernel.ids import FirmwareId, ProductId, ThingId
from thingstead.transports.http.ddi.attributes import Attributes, report_of

THING = ThingId("T" * 43)


def record(*, seen_at_ms=None, reported_at_ms=None):
    running = () if seen_at_ms is None else (Running(THING, "main", "1.0", 1, seen_at_ms),)
    update = Update(
        thing_id=THING,
        firmware_id=FirmwareId("image"),
        product_id=ProductId(1),
        mcu="main",
        state=UpdateState.REPORTED,
        reported_at_ms=reported_at_ms,
        changed_at_ms=1,
    )
    return ThingRecord((update,), running)


@pytest.mark.parametrize(
    ("data", "report"),
    [
        ({}, Report()),
        ({"VIN": "x", "hwRevision": "3"}, Report()),
        ({"version": "1.2.3"}, Report(version="1.2.3")),
        ({"firmware_version": "1.2.3"}, Report(version="1.2.3")),
        ({"sw_version": "1.2.3"}, Report(version="1.2.3")),
        ({"sw_version": "1", "firmware_version": "2", "version": "3"}, Report(version="3")),
        ({"version": "not a version", "sw_version": "2"}, Report(version="2")),
        ({"version": 3}, Report()),
        ({"version": "1", "mcu": "radio"}, Report("radio", "1")),
        ({"version": "1", "mcu": "not an MCU"}, Report(version="1")),
        ({"a": None, "b": True, "c": 1.5}, Report()),
    ],
)
def test_the_version_among_the_attributes_is_a_report(data, report):
    assert report_of({"data": data}) == report


def test_attributes_that_are_to_be_removed_report_nothing():
    assert report_of({"mode": "remove", "data": {"version": "1"}}) == Report()


@pytest.mark.parametrize("mode", ["merge", "replace"])
def test_other_modes_are_all_the_same(mode):
    assert report_of({"mode": mode, "data": {"version": "1"}}) == Report(version="1")


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"data": []},
        {"data": {}, "mode": "other"},
        {"data": {}, "mode": []},
        {"data": {"a": {}}},
        {"data": {"a": ["b"]}},
        {"data": {"": "b"}},
    ],
)
def test_what_is_not_of_the_shape_is_refused(body):
    with pytest.raises(InvalidBodyError):
        report_of(body)


@pytest.mark.parametrize(
    ("fitting", "too_much"),
    [
        ({str(n): "x" for n in range(100)}, {str(n): "x" for n in range(101)}),
        ({"k" * 128: "x"}, {"k" * 129: "x"}),
        ({"k": "x" * 1_024}, {"k": "x" * 1_025}),
    ],
    ids=["attributes", "key", "value"],
)
def test_attributes_are_bounded(fitting, too_much):
    assert report_of({"data": fitting}) == Report()
    with pytest.raises(InvalidBodyError):
        report_of({"data": too_much})


def test_an_agent_of_which_nothing_is_known_is_asked():
    assert Attributes(ManualClock()).are_wanted(THING, record())


def test_an_agent_that_has_told_is_not_asked_again():
    attributes = Attributes(ManualClock())

    attributes.told(THING, Report())

    assert not attributes.are_wanted(THING, record())
    assert attributes.are_wanted(ThingId("another"), record())


def test_an_agent_whose_version_is_known_is_not_asked():
    assert not Attributes(ManualClock()).are_wanted(THING, record(seen_at_ms=5, reported_at_ms=5))


def test_after_an_update_an_agent_is_asked_again():
    clock = ManualClock(100)
    attributes = Attributes(clock)
    attributes.told(THING, Report())

    assert not attributes.are_wanted(THING, record(reported_at_ms=100))
    assert attributes.are_wanted(THING, record(reported_at_ms=101))
    # That it tells its success itself is no reason not to ask.
    assert attributes.are_wanted(THING, record(seen_at_ms=101, reported_at_ms=101))


def test_what_was_told_before_there_was_an_image_is_not_lost():
    attributes, told = Attributes(ManualClock()), Report(version="1.0")
    attributes.told(THING, told)

    assert attributes.untaken(THING, ThingRecord((), ())) == told
    assert attributes.untaken(THING, record()) == Report()
    assert attributes.untaken(THING, replace(record(seen_at_ms=5), updates=())) == Report()
    assert attributes.untaken(ThingId("another"), ThingRecord((), ())) == Report()


def test_so_many_agents_are_remembered():
    attributes = Attributes(ManualClock())

    for number in range(20_001):
        attributes.told(ThingId(str(number)), Report())

    assert attributes.are_wanted(ThingId("0"), record())
    assert not attributes.are_wanted(ThingId("1"), record())
