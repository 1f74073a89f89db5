"""Positions as clients send them, turned into one form.

Numbers may come as texts (`thethings-v2.md` 3.2: the Python library sends them so). `$geo`
is always stored as a GeoJSON Point, whose coordinates stand in the order longitude, latitude
(RFC 7946 section 3.1.1).
"""

import math
import re

from thingstead.features.magic.errors import InvalidPositionError
from thingstead.features.values.model import Position

_NUMBER = re.compile(r"[+-]?[0-9]{1,16}(\.[0-9]{0,16})?([eE][+-]?[0-9]{1,3})?")


def position_of(geo: object, where: str) -> Position:
    """Return the position that a value's `geo` member names.

    Raises:
        InvalidPositionError: it is no object with `lat` within -90..90 and `long` within -180..180.
    """
    if not isinstance(geo, dict):
        raise InvalidPositionError(f'{where}: expected {{"lat":LAT,"long":LONG}}')
    return Position(
        lat=_degrees(geo.get("lat"), f"{where}.lat", 90.0),
        long=_degrees(geo.get("long"), f"{where}.long", 180.0),
    )


def point_of(value: object, geo: object, where: str) -> dict[str, object]:
    """Return the GeoJSON Point that a write to `$geo` means.

    Raises:
        InvalidPositionError: neither the value nor `geo` is a position.
    """
    if value is None and geo is not None:
        position = position_of(geo, f"{where}.geo")
        return _point(position.long, position.lat)
    coordinates = value
    if isinstance(value, dict):
        if value.get("type") != "Point":
            raise InvalidPositionError(f'{where}.value.type: expected "Point"')
        coordinates = value.get("coordinates")
    if not isinstance(coordinates, list) or len(coordinates) not in {2, 3}:
        raise InvalidPositionError(f"{where}.value: expected a GeoJSON Point or [LONG,LAT]")
    return _point(
        _degrees(coordinates[0], f"{where}.value: longitude", 180.0),
        _degrees(coordinates[1], f"{where}.value: latitude", 90.0),
    )


def _point(long: float, lat: float) -> dict[str, object]:
    return {"type": "Point", "coordinates": [long, lat]}


def _degrees(value: object, where: str, most: float) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or (isinstance(value, float) and not math.isfinite(value))
    ):
        raise InvalidPositionError(f"{where}: expected a number of degrees")
    # Python compares a whole number of any size with a float without converting it.
    if not -most <= value <= most:
        raise InvalidPositionError(f"{where}: must be within -{most:g} and {most:g}")
    # As it is read back: a live value and a stored one look alike.
    return float(value)
