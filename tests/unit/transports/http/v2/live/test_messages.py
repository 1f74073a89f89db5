import json

import pytest

from thingstead.features.collections.model import Action, ObjectChange, ObjectEvent, StoredObject
from thingstead.kernel.errors import InvalidBodyError, InvalidJSONError
from thingstead.kernel.ids import UserId
from thingstead.transports.http.v2.live.messages import EventFrames, decode_request, error_said
from unit.transports.http.v2.live.rig import event
from unit.transports.websocket.rig import frames_in


def said(frame):
    [one] = frames_in(frame)
    return json.loads(one.data)


def test_unknown_members_are_ignored():
    request = decode_request('{"type":"subscribe","id":"s","colour":{"a":[1]},"conflate":true}')

    assert (request.type, request.id, request.conflate) == ("subscribe", "s", True)
    assert request.since is None


@pytest.mark.parametrize(
    "text", ["", "nonsense", '{"x":' + "[" * 50_000, '{"type":"x"', '{"type":"\\ud800"}']
)
def test_what_is_no_json_is_refused(text):
    with pytest.raises(InvalidJSONError):
        decode_request(text)


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "1", '{"type":null}', '{"type":"x","id":1}', '{"type":"x","conflate":"true"}'],
)
def test_what_has_another_shape_is_refused(text):
    with pytest.raises(InvalidBodyError):
        decode_request(text)


@pytest.mark.parametrize("member", ["id", "since"])
def test_texts_may_have_64_characters_and_not_one_more(member):
    decode_request(json.dumps({"type": "x", member: "é" * 64}))

    with pytest.raises(InvalidBodyError):
        decode_request(json.dumps({"type": "x", member: "é" * 65}))


def test_a_refusal_quotes_nothing_of_the_message():
    with pytest.raises(InvalidBodyError) as refused:
        decode_request('{"type":"x","token":["secret"]}')

    assert b"secret" not in error_said(refused.value)


def test_a_thing_hears_whole_writes():
    frame = EventFrames("s", None).frame(event(26, 1, 2))

    heard = said(frame)
    assert list(heard) == ["type", "id", "cursor", "values"]
    assert (heard["type"], heard["id"], heard["cursor"]) == ("values", "s", "v1a")
    assert [one["value"] for one in heard["values"]] == [1, 2]
    assert "thingId" not in heard["values"][0]


def test_a_user_hears_the_resource_only_and_whose_it_is():
    mixed = event(1, 1)
    other = event(1, 2, key="b")
    both = type(mixed)(mixed.thing_id, 1, (*mixed.entries, *other.entries))

    heard = said(EventFrames("s", "b").frame(both))

    assert [(one["thingId"], one["value"]) for one in heard["values"]] == [("thing", 2)]


def test_subscribers_of_different_resources_and_ids_are_never_given_each_others_frames():
    both = event(1, 1)
    # The names are chosen so that they would meet if they were only joined.
    pairs = [("s", None), ("s", "a"), ("sa", "a"), ("s:a", "a"), ("", "a"), ("t", None)]

    heard = [said(EventFrames(*pair).frame(both)) for pair in pairs * 3]

    assert [one["id"] for one in heard] == [pair[0] for pair in pairs * 3]
    assert ["thingId" in one["values"][0] for one in heard] == [
        pair[1] is not None for pair in pairs * 3
    ]


def test_equal_ids_share_a_frame_and_others_what_follows_the_id():
    shared = event(1, 1)

    first = EventFrames("s", None).frame(shared)
    second = EventFrames("s", None).frame(shared)
    for number in range(100):
        EventFrames(str(number), None).frame(shared)

    assert first is second
    assert len(shared.encodings) <= 8


def test_a_change_of_an_object_is_its_document():
    change = ObjectChange(
        UserId("u"), "rooms", Action.UPDATE, StoredObject("hall", '{"_id":"hall"}'), 31
    )

    heard = said(EventFrames("s", None).frame(ObjectEvent("collection:u:rooms", change)))

    assert heard == {
        "type": "object",
        "id": "s",
        "cursor": "c1f",
        "object": {
            "action": "update",
            "collection": "rooms",
            "_id": "hall",
            "object": {"_id": "hall"},
        },
    }
