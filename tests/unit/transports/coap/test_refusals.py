import json

import pytest
from aiocoap.numbers.codes import Code

from thingstead.kernel.errors import (
    Category,
    OverloadedError,
    StorageFullError,
    ThingsteadError,
    TooManyRequestsError,
)
from thingstead.transports.coap.messages import refusal
from thingstead.transports.coap.refusals import (
    BadOptionError,
    IncompleteUploadError,
    MethodNotAllowedError,
    NotAcceptableError,
    ProxyingNotSupportedError,
    UploadTooLargeError,
    code_of,
)


def error_of(kind):
    class OneError(ThingsteadError):
        category = kind

    return OneError("detail")


@pytest.mark.parametrize(
    ("category", "dotted"),
    [
        (Category.INVALID, "4.00"),
        (Category.UNAUTHENTICATED, "4.01"),
        (Category.FORBIDDEN, "4.03"),
        (Category.NOT_FOUND, "4.04"),
        (Category.CONFLICT, "4.09"),
        (Category.PRECONDITION, "4.12"),
        (Category.TOO_LARGE, "4.13"),
        (Category.TOO_MANY, "4.29"),
        (Category.UNAVAILABLE, "5.03"),
        (Category.STORAGE_FULL, "5.03"),
        (Category.INTERNAL, "5.00"),
    ],
)
def test_category_has_its_response_code(category, dotted):
    answer = refusal(error_of(category))

    assert answer.code.dotted == dotted
    assert json.loads(answer.payload)["code"] == int(dotted.replace(".", ""))


def test_every_category_has_a_code():
    assert {code_of(error_of(category)).class_ for category in Category} == {4, 5}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MethodNotAllowedError, Code.METHOD_NOT_ALLOWED),
        (NotAcceptableError, Code.NOT_ACCEPTABLE),
        (BadOptionError, Code.BAD_OPTION),
        (ProxyingNotSupportedError, Code.PROXYING_NOT_SUPPORTED),
        (IncompleteUploadError, Code.REQUEST_ENTITY_INCOMPLETE),
    ],
)
def test_refusal_of_coap_has_its_own_code(error, code):
    assert refusal(error("x")).code is code


def test_document_is_that_of_http():
    assert refusal(StorageFullError("disk")).payload == (
        b'{"status":"error","code":503,"message":"Storage is full: disk"}'
    )


@pytest.mark.parametrize("error", [OverloadedError, TooManyRequestsError])
def test_when_to_try_again_is_max_age(error):
    assert refusal(error("x", retry_after_s=7)).max_age_s == 7


def test_too_large_body_is_told_how_large_it_may_be():
    assert refusal(UploadTooLargeError("x", most=65_536)).size1 == 65_536
