"""What a reach says of things, resources and rights."""

import pytest

from doubles.callers import a_thing, thing_id
from thingstead.features.links.model import LinkedThing
from thingstead.features.sharing.model import Reach, Rights, SharedThing, right_names

REACH = Reach(
    {thing_id(1): LinkedThing(a_thing(1), 0)},
    {thing_id(2): SharedThing(a_thing(2), {"temperature": Rights.GET, "humidity": Rights.POST})},
)


@pytest.mark.parametrize(
    ("number", "resource", "rights"),
    [
        (1, "anything", Rights.ALL),
        (2, "temperature", Rights.GET),
        (2, "humidity", Rights.POST),
        (2, "anything", Rights.NONE),
        (3, "temperature", Rights.NONE),
    ],
)
def test_an_owner_may_do_all_and_others_what_was_granted(number, resource, rights):
    assert REACH.rights(thing_id(number), resource) == rights


@pytest.mark.parametrize(("number", "is_there"), [(1, True), (2, True), (3, False)])
def test_a_thing_is_there_for_who_has_any_right_of_it(number, is_there):
    assert (REACH.thing(thing_id(number)) == a_thing(number)) is is_there


@pytest.mark.parametrize(
    ("resource", "numbers"), [("temperature", [1, 2]), ("humidity", [1]), ("anything", [1])]
)
def test_readable_are_own_things_and_those_with_get(resource, numbers):
    assert REACH.readable(resource) == [a_thing(number) for number in numbers]


def test_rights_are_named_as_in_requests():
    assert right_names(Rights.GRANT | Rights.GET) == "get, grant"
