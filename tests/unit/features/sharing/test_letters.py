"""What the mail of a grant says, whatever things are called."""

import json

import pytest

from doubles.callers import thing_id
from thingstead.features.sharing.letters import named_entries, rights_text
from thingstead.features.sharing.model import Entry, Rights
from thingstead.kernel.json_values import JSONText

THING = thing_id(1)
READ = Entry(THING, "temperature", Rights.GET)


def text_of(description):
    return JSONText(json.dumps(description).encode("utf-8"))


def test_a_line_names_the_resource_the_thing_and_the_rights():
    entries = [READ, Entry(thing_id(2), "description", Rights.ALL)]

    assert rights_text(entries, {THING: text_of({"name": " Roof "})}) == (
        f"temperature of Roof: read\ndescription of {thing_id(2)}: read, write, change, pass on"
    )


@pytest.mark.parametrize(
    "description",
    [
        None,
        "Roof",
        {},
        {"name": 7},
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 101},
        {"name": "Roof: read\ndoor"},
        {"name": "Roof\r\nBcc: all@example.org"},
        {"name": "\u202efooR"},
        {"name": "Ro\x00of"},
        {"name": "Ro\ud800of"},
        {"name": "Roof\u2028door"},
    ],
)
def test_what_is_no_short_printable_line_is_no_name(description):
    assert rights_text([READ], {THING: text_of(description)}) == f"temperature of {THING}: read"


@pytest.mark.parametrize("name", ["x" * 100, "<b>Dach</b> & Gerät {{ link }}"])
def test_any_other_name_stands_as_it_is(name):
    assert rights_text([READ], {THING: text_of({"name": name})}) == f"temperature of {name}: read"


def test_fifty_entries_have_lines_and_further_ones_are_counted():
    exactly = [Entry(THING, f"r{number}", Rights.GET) for number in range(50)]
    one_more = [*exactly, READ]

    assert len(rights_text(exactly, {}).splitlines()) == 50
    assert rights_text(one_more, {}).splitlines()[-1] == "and 1 more"
    assert len(named_entries(one_more)) == 50
