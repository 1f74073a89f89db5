"""Permissions as they are sent: one shape, and refusals that name the place."""

import re

import pytest

from doubles.callers import thing_id
from thingstead.features.sharing.errors import InvalidGrantError
from thingstead.features.sharing.model import Rights
from thingstead.features.sharing.permissions import Wish, wishes_of

THING = thing_id(1)


def test_true_grants_and_false_withdraws():
    permissions = {
        "temperature": {THING: {"get": True, "post": True, "put": False, "grant": False}},
        "description": {THING: {"get": True}},
    }

    assert wishes_of(permissions, most=2) == [
        Wish(THING, "temperature", Rights.GET | Rights.POST, Rights.PUT | Rights.GRANT),
        Wish(THING, "description", Rights.GET, Rights.NONE),
    ]


def test_more_entries_than_the_limit_are_refused():
    things = {thing_id(number): {"get": True} for number in range(3)}

    assert len(wishes_of({"temperature": things}, most=3)) == 3
    with pytest.raises(InvalidGrantError, match=r"permissions.temperature: more than 2 entries"):
        wishes_of({"temperature": things}, most=2)


@pytest.mark.parametrize(
    ("permissions", "place"),
    [
        (None, r"^permissions: expected"),
        ([], r"^permissions: expected"),
        ({}, r"^permissions: expected"),
        ({"t": None}, r"^permissions\.t: expected"),
        ({"t": {}}, r"^permissions\.t: expected"),
        ({"t": {THING: True}}, r"^permissions\.t, thing no\. 1: expected"),
        ({"t": {"x": {"get": True}, THING: {}}}, r"^permissions\.t, thing no\. 2: expected"),
        ({"t": {THING: {"get": 1}}}, r"^permissions\.t, thing no\. 1, get: expected true or"),
        ({"t": {THING: {"get": None}}}, r"^permissions\.t, thing no\. 1, get: expected true or"),
        ({"t": {THING: {"GET": True}}}, r"thing no\. 1: the rights are get, post, put, grant$"),
        ({"t": {THING: {"owner": True}}}, r"thing no\. 1: the rights are get, post, put, grant$"),
        ({"t": {THING: {"get": 1}}, "": {}}, r"thing no\. 1, get"),
        ({"": {THING: {"get": True}}}, r"^permissions: no such resource .*no\. 1"),
        ({"$geo": {THING: {"get": True}}}, r"^permissions: no such resource .*no\. 1"),
        ({"publicDescription": {THING: {"get": True}}}, r"^permissions: no such resource"),
        ({"x" * 65: {THING: {"get": True}}}, r"^permissions: no such resource"),
        ({"t\r\nBcc: x": {THING: {"get": True}}}, r"^permissions: no such resource"),
    ],
)
def test_anything_else_is_refused_with_its_place(permissions, place):
    with pytest.raises(InvalidGrantError) as refused:
        wishes_of(permissions, most=10)

    assert re.search(place, refused.value.detail)


def test_no_refusal_quotes_what_may_be_a_token():
    with pytest.raises(InvalidGrantError) as refused:
        wishes_of({"temperature": {THING: {"gett": True}}}, most=10)

    assert THING not in str(refused.value)
