"""From a simulated thing's batches to writes as they go over the wire.

Shared by the demo, which hands them to the services, and the remote fleet, which encodes
them as JSON (`thethings-v2.md` 3.2 and 4).
"""

from collections.abc import Callable

from thingstead.features.values.model import IncomingValue, IncomingWrite
from thingstead.kernel.instants import format_instant
from thingstead.simulation.fleet import Batch, SimulatedThing
from thingstead.simulation.kinds import Measurement


def introduction(thing: SimulatedThing) -> IncomingWrite:
    """Return the write by which a thing tells its name and place.

    It sets single members of `$settings`, so that what others keep there stays.
    """
    settings = [IncomingValue(f"$settings.{name}", value) for name, value in thing.settings.items()]
    point = {"type": "Point", "coordinates": [thing.place.long, thing.place.lat]}
    return IncomingWrite([*settings, IncomingValue("$geo", point)])


def write_of(batch: Batch, real_ms: Callable[[int], int] = int) -> IncomingWrite:
    """Return the batch's write; `real_ms` turns simulated times into those to be sent."""
    return IncomingWrite(
        [_incoming(measurement, batch, real_ms) for measurement in batch.measurements]
    )


def json_body(write: IncomingWrite) -> dict[str, object]:
    """Return the write as the object to encode; members that are absent are left out."""
    return {"values": [_json_value(value) for value in write.values]}


def _incoming(
    measurement: Measurement, batch: Batch, real_ms: Callable[[int], int]
) -> IncomingValue:
    position = measurement.position
    return IncomingValue(
        measurement.key,
        measurement.value,
        geo=None if position is None else {"lat": position.lat, "long": position.long},
        datetime=format_instant(real_ms(measurement.at_ms)) if batch.is_dated else None,
    )


def _json_value(value: IncomingValue) -> dict[str, object]:
    members: dict[str, object] = {"key": value.key, "value": value.value}
    if value.geo is not None:
        members["geo"] = value.geo
    if value.datetime is not None:
        members["datetime"] = value.datetime
    return members
