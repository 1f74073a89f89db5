"""Positions as clients send them."""

import pytest

from thingstead.features.magic.errors import InvalidPositionError
from thingstead.features.magic.positions import point_of, position_of
from thingstead.features.values.model import Position

WRONG_DEGREES = [
    None,
    True,
    False,
    "",
    "north",
    "nan",
    "inf",
    "-Infinity",
    "1,5",
    "1" * 33,
    "1_0",
    "\u0661",
    float("nan"),
    float("inf"),
    10**400,
    -(10**400),
    [],
    [1],
    {},
    b"1",
]


@pytest.mark.parametrize(
    ("geo", "expected"),
    [
        ({"lat": 41.4121132, "long": 2.2199454}, Position(41.4121132, 2.2199454)),
        ({"lat": "41.4121132", "long": "2.2199454"}, Position(41.4121132, 2.2199454)),
        ({"lat": "-41", "long": "+2.5e1"}, Position(-41.0, 25.0)),
        ({"lat": 41, "long": 2}, Position(41, 2)),
        ({"lat": 90, "long": 180}, Position(90, 180)),
        ({"lat": -90.0, "long": -180.0}, Position(-90.0, -180.0)),
        ({"lat": 0, "long": "0"}, Position(0, 0.0)),
        ({"lat": 1, "long": 2, "altitude": "high"}, Position(1, 2)),
    ],
)
def test_numbers_and_texts_within_the_range_make_a_position(geo, expected):
    assert position_of(geo, "values[0].geo") == expected


@pytest.mark.parametrize("geo", [None, [1, 2], "1,2", 5, True])
def test_a_position_is_an_object(geo):
    with pytest.raises(InvalidPositionError, match=r'here: expected \{"lat":LAT,"long":LONG\}'):
        position_of(geo, "here")


@pytest.mark.parametrize("geo", [{}, {"lat": 1}, {"long": 1}, {"Lat": 1, "Long": 1}])
def test_a_position_has_both_members(geo):
    with pytest.raises(InvalidPositionError, match="expected a number of degrees"):
        position_of(geo, "here")


@pytest.mark.parametrize("wrong", WRONG_DEGREES, ids=lambda wrong: repr(wrong)[:12])
@pytest.mark.parametrize("name", ["lat", "long"])
def test_what_is_no_number_of_degrees_is_refused_with_its_place(name, wrong):
    with pytest.raises(InvalidPositionError, match=rf"here\.{name}: "):
        position_of({"lat": 1, "long": 1, name: wrong}, "here")


@pytest.mark.parametrize(
    ("name", "wrong", "most"),
    [
        ("lat", 90.000001, 90),
        ("lat", -90.000001, 90),
        ("lat", "91", 90),
        ("long", 180.000001, 180),
        ("long", -180.000001, 180),
        ("long", 2**62, 180),
        ("long", "1e308", 180),
    ],
)
def test_degrees_beyond_the_range_are_refused(name, wrong, most):
    with pytest.raises(InvalidPositionError, match=f"must be within -{most} and {most}"):
        position_of({"lat": 1, "long": 1, name: wrong}, "here")


@pytest.mark.parametrize(
    ("value", "geo"),
    [
        ({"type": "Point", "coordinates": [2.5, 41.5]}, None),
        ({"type": "Point", "coordinates": ["2.5", "41.5"], "bbox": []}, None),
        ({"type": "Point", "coordinates": [2.5, 41.5, 120]}, None),
        ([2.5, 41.5], None),
        ([2.5, 41.5, "high"], None),
        (["2.5", "41.5"], None),
        (None, {"lat": 41.5, "long": 2.5}),
        (None, {"lat": "41.5", "long": "2.5"}),
        ([2.5, 41.5], {"lat": 0, "long": 0}),
    ],
)
def test_every_form_of_a_place_becomes_a_point_of_longitude_and_latitude(value, geo):
    assert point_of(value, geo, "here") == {"type": "Point", "coordinates": [2.5, 41.5]}


@pytest.mark.parametrize("value", [{}, {"type": "point"}, {"type": "Polygon", "coordinates": []}])
def test_another_geometry_is_refused(value):
    with pytest.raises(InvalidPositionError, match=r'here\.value\.type: expected "Point"'):
        point_of(value, None, "here")


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "2.5,41.5",
        [],
        [1],
        [1, 2, 3, 4],
        {"type": "Point"},
        {"type": "Point", "coordinates": None},
        {"type": "Point", "coordinates": {"lat": 1, "long": 2}},
    ],
)
def test_other_shapes_are_refused(value):
    with pytest.raises(InvalidPositionError, match=r"here\.value: expected a GeoJSON Point"):
        point_of(value, None, "here")


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ([181, 0], "longitude"),
        ([0, 91], "latitude"),
        ([41.5, 102.5], "latitude"),
        ([True, 0], "longitude"),
        ([0, None], "latitude"),
        ([10**400, 0], "longitude"),
    ],
    ids=lambda one: repr(one)[:20],
)
def test_coordinates_that_are_no_degrees_are_refused(value, named):
    with pytest.raises(InvalidPositionError, match=rf"here\.value: {named}: "):
        point_of(value, None, "here")


def test_a_null_value_with_a_wrong_geo_names_the_geo():
    with pytest.raises(InvalidPositionError, match=r"here\.geo\.lat"):
        point_of(None, {"lat": 91, "long": 0}, "here")
