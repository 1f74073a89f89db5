import pytest
from aiocoap.numbers.codes import Code

from thingstead.transports.coap.refusals import MethodNotAllowedError, NotFoundError
from thingstead.transports.coap.routes import Route, Routes


async def handle(_):
    raise AssertionError


def route(method, path):
    return Route(method, path, handle)


NAMED = route(Code.GET, "/things/{name}/tags")
FIXED = route(Code.GET, "/things/all/tags")


def test_path_names_its_arguments():
    found, arguments = Routes([NAMED]).find(Code.GET, ("things", "T", "tags"))

    assert (found, arguments) == (NAMED, {"name": "T"})


def test_first_of_two_is_taken():
    assert Routes([FIXED, NAMED]).find(Code.GET, ("things", "all", "tags"))[0] is FIXED
    assert Routes([NAMED, FIXED]).find(Code.GET, ("things", "all", "tags"))[0] is NAMED


@pytest.mark.parametrize("segments", [(), ("things",), ("things", "T", "other"), ("x",) * 4])
def test_unknown_path_is_not_found(segments):
    with pytest.raises(NotFoundError):
        Routes([NAMED]).find(Code.GET, segments)


def test_other_method_is_told_the_right_ones():
    routes = Routes([NAMED, FIXED, route(Code.PUT, "/things/{name}/tags")])

    with pytest.raises(MethodNotAllowedError, match=r"use GET, PUT$"):
        routes.find(Code.DELETE, ("things", "all", "tags"))
