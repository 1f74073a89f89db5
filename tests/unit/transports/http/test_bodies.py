"""Which decoder reads which body."""

from dataclasses import dataclass

import msgspec
import pytest

from thingstead.features.values.errors import InvalidValuesError
from thingstead.features.values.model import IncomingValue
from thingstead.kernel.errors import InvalidBodyError, InvalidJSONError
from thingstead.transports.http.bodies import read_json, read_object, read_write
from thingstead.transports.http.refusals import BodyTooLargeError
from thingstead.transports.http.request import Request

JSON = b'{"values":[{"key":"a","value":"1"}]}'
FORM = b"values[0][key]=a&values[0][value]=1"
MSGPACK = msgspec.msgpack.encode({"values": [{"key": "a", "value": "1"}]})
FORM_TYPE = b"application/x-www-form-urlencoded"
MSGPACK_TYPE = b"application/msgpack"


@dataclass(frozen=True, slots=True)
class Shape:
    name: str
    count: int = 0


def request_with(body, content_type=None):
    async def receive():
        return {"type": "http.request", "body": body}

    headers = [] if content_type is None else [(b"content-type", content_type)]
    return Request({"method": "POST", "raw_path": b"/", "headers": headers}, receive)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (None, JSON),
        (b"", JSON),
        (b"application/json", JSON),
        (b"application/json; charset=utf-8", JSON),
        (b"text/plain", JSON),
        (b"nonsense", JSON),
        (b"application/octet-stream", JSON),
        (FORM_TYPE, FORM),
        (FORM_TYPE + b"; charset=UTF-8", FORM),
        (b" Application/X-WWW-Form-URLEncoded ;", FORM),
        (FORM_TYPE, JSON),
        (FORM_TYPE, b"\r\n " + JSON),
        (MSGPACK_TYPE, MSGPACK),
        (b"application/x-msgpack", MSGPACK),
        (b"application/vnd.msgpack", MSGPACK),
        (b"APPLICATION/MSGPACK;x=y", MSGPACK),
    ],
)
async def test_a_write_is_read_by_the_type_of_its_body(content_type, body):
    decode = await read_write(request_with(body, content_type), 1_000)

    assert decode().values == [IncomingValue("a", "1")]


@pytest.mark.parametrize(
    ("content_type", "body", "refusal"),
    [
        (None, FORM, InvalidJSONError),
        (None, b"", InvalidJSONError),
        (FORM_TYPE, b"", InvalidJSONError),
        (FORM_TYPE, b"{}", InvalidValuesError),
        (FORM_TYPE, b"[]", InvalidValuesError),
        (MSGPACK_TYPE, JSON, InvalidValuesError),
        (MSGPACK_TYPE, b"", InvalidBodyError),
    ],
)
async def test_a_write_that_does_not_fit_its_type_is_refused(content_type, body, refusal):
    decode = await read_write(request_with(body, content_type), 1_000)

    with pytest.raises(refusal):
        decode()


@pytest.mark.parametrize("read", [read_write, read_json])
async def test_no_more_than_the_limit_is_read(read):
    with pytest.raises(BodyTooLargeError):
        await read(request_with(JSON), len(JSON) - 1)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (None, b'{"name":"a","count":3,"more":1}'),
        (FORM_TYPE, b"name=a&count=3&more=1"),
        (MSGPACK_TYPE, msgspec.msgpack.encode({"name": "a", "count": 3, "more": 1})),
        (MSGPACK_TYPE, msgspec.msgpack.encode({"name": "a", "count": "3"})),
    ],
    ids=["json", "form", "msgpack", "msgpack with texts"],
)
async def test_an_object_is_read_into_its_shape(content_type, body):
    request = request_with(body, content_type)

    assert await read_object(request, Shape, 1_000) == Shape("a", 3)


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        (None, b'{"count":3}', "missing required field name"),
        (None, b'{"name":"a","count":"3"}', "count: expected int, got str"),
        (FORM_TYPE, b"count=3", "missing required field name"),
        (FORM_TYPE, b"name=a&count=x", "count: expected int"),
        (MSGPACK_TYPE, msgspec.msgpack.encode([]), "expected object, got array"),
    ],
)
async def test_an_object_of_another_shape_is_refused_with_the_place(content_type, body, said):
    with pytest.raises(InvalidBodyError, match=said):
        await read_object(request_with(body, content_type), Shape, 1_000)


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        (None, b'{"a":[1]}', {"a": [1]}),
        (FORM_TYPE, b"a[]=1", {"a": ["1"]}),
        (FORM_TYPE, b'{"a":1}', {"a": 1}),
        (MSGPACK_TYPE, msgspec.msgpack.encode({"a": [1]}), {"a": [1]}),
    ],
)
async def test_any_value_is_read_by_the_type_of_its_body(content_type, body, expected):
    assert await read_json(request_with(body, content_type), 1_000) == expected


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (None, b'{"a":"\\u0000"}'),
        (FORM_TYPE, b"a=%00"),
        (MSGPACK_TYPE, msgspec.msgpack.encode({"a": "\x00"})),
        (MSGPACK_TYPE, msgspec.msgpack.encode({"a": b"bytes"})),
        (MSGPACK_TYPE, msgspec.msgpack.encode({1: 2})),
        (MSGPACK_TYPE, b"\x91" * 40 + b"\x01"),
    ],
)
async def test_the_limits_of_json_hold_for_every_type(content_type, body):
    with pytest.raises(InvalidBodyError):
        await read_json(request_with(body, content_type), 1_000)
