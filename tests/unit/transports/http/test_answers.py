"""Answers, and the status of every refusal."""

import json

import pytest

from thingstead.kernel.errors import (
    Category,
    InvalidDateError,
    OverloadedError,
    StorageFullError,
    ThingsteadError,
)
from thingstead.reference.pages import error_classes
from thingstead.transports.http.answers import (
    JSON_TYPE,
    PREFLIGHT_HEADERS,
    V2_HEADERS,
    created,
    json_answer,
    refusal,
    refusal_document,
    success,
)
from thingstead.transports.http.refusals import (
    BodyTooLargeError,
    InvalidSessionTokenError,
    MethodNotAllowedError,
    status_of,
)


def test_a_creation_is_201_with_the_status_that_clients_look_for():
    answer = created("created")

    assert (answer.status, answer.body) == (201, b'{"status":"created","message":"created"}')


def test_a_success_is_200():
    answer = success("tag deleted")

    assert (answer.status, answer.body) == (200, b'{"status":"success","message":"tag deleted"}')


def test_any_value_is_answered_as_compact_json():
    answer = json_answer([{"key": "date", "value": 1}], status=202)

    assert (answer.status, answer.body) == (202, b'[{"key":"date","value":1}]')


def test_a_refusal_repeats_its_status_as_code():
    answer = refusal(InvalidDateError("values[0].datetime: no such day"))

    assert answer.status == 400
    assert answer.body == (
        b'{"status":"error","code":400,"message":"Invalid date: values[0].datetime: no such day"}'
    )
    assert answer.headers == ()


def test_the_documented_refusal_is_exact():
    assert refusal_document(InvalidSessionTokenError()) == (
        b'{"status":"error","code":401,"message":"Invalid session token"}'
    )


def test_a_refusal_that_passes_says_when_to_come_again():
    assert refusal(OverloadedError(retry_after_s=3)).headers == ((b"Retry-After", b"3"),)


def test_a_wrong_method_names_the_right_ones():
    answer = refusal(MethodNotAllowedError("GET, OPTIONS"))

    assert answer.status == 405
    assert answer.headers == ((b"Allow", b"GET, OPTIONS"),)


def test_what_is_too_large_ends_the_connection():
    assert refusal(BodyTooLargeError()).headers == ((b"Connection", b"close"),)


def test_a_full_disk_is_507():
    assert refusal(StorageFullError()).status == 507


@pytest.mark.parametrize("category", Category)
def test_every_category_has_a_status(category):
    kind = type("SomeError", (ThingsteadError,), {"category": category})

    assert 400 <= status_of(kind) < 600
    assert status_of(kind()) == status_of(kind)


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_every_refusal_of_the_program_has_a_status(kind):
    assert 400 <= status_of(kind) < 600


def test_no_constant_header_holds_a_brace():
    # The Arduino library skips to the first one.
    for name, value in (JSON_TYPE, *V2_HEADERS, *PREFLIGHT_HEADERS):
        assert b"{" not in name + value


def test_a_message_is_one_line_of_json_whatever_it_holds():
    document = refusal_document(InvalidDateError('a "b"\r\n\u00fc'))

    assert b"\n" not in document
    assert json.loads(document)["message"] == 'Invalid date: a "b"\r\n\u00fc'
