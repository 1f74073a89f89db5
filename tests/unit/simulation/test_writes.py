"""Simulated writes are such as the platform accepts."""

import json

from thingstead.features.things.model import Thing
from thingstead.features.values.checks import WriteChecker, WriteLimits
from thingstead.features.values.model import IncomingValue, IncomingWrite, Position
from thingstead.kernel.ids import ProductId, ThingId
from thingstead.simulation.fleet import Batch, Fleet
from thingstead.simulation.kinds import Measurement
from thingstead.simulation.writes import introduction, json_body, write_of

NOW_MS = 1_767_225_600_000
CHECKER = WriteChecker(WriteLimits())
THING = Thing(ThingId("thing"), ProductId(1), 0)


def checked(write: IncomingWrite):
    return CHECKER.checked(THING, write, NOW_MS, is_broadcast=True)


def test_an_introduction_sets_single_settings_and_the_place():
    thing = Fleet(1, 1).things[0]

    write = checked(introduction(thing))

    changes = {(change.name, change.path): change.value for change in write.changes}
    assert changes["$settings", ("name",)] == "Greenhouse 1"
    assert changes["$settings", ("fleet_number",)] == 0
    assert changes["$geo", ()]["coordinates"] == [thing.place.long, thing.place.lat]


def test_everything_that_a_fleet_sends_is_accepted():
    for thing in Fleet(2, 4).things:
        at_ms = NOW_MS - 2 * 3_600_000
        while at_ms < NOW_MS:
            transmission = thing.next(at_ms)
            at_ms = transmission.at_ms
            for batch in transmission.batches:
                assert len(checked(write_of(batch)).values) == len(batch.measurements)


def test_only_a_dated_batch_sends_times_and_they_are_turned_into_real_ones():
    measurement = Measurement("speed", 3.5, NOW_MS + 60_000, Position(40.5, -3.5))

    plain = write_of(Batch((measurement,), is_dated=False))
    dated = write_of(Batch((measurement,), is_dated=True), lambda at_ms: at_ms - 60_000)

    assert plain.values == [IncomingValue("speed", 3.5, {"lat": 40.5, "long": -3.5}, None)]
    assert dated.values[0].datetime == "2026-01-01T00:00:00.000Z"


def test_json_leaves_out_what_is_absent():
    write = IncomingWrite(
        [IncomingValue("a", False), IncomingValue("b", 1, {"lat": 1, "long": 2}, "20260101000000")]
    )

    assert json.loads(json.dumps(json_body(write))) == {
        "values": [
            {"key": "a", "value": False},
            {"key": "b", "value": 1, "geo": {"lat": 1, "long": 2}, "datetime": "20260101000000"},
        ]
    }
