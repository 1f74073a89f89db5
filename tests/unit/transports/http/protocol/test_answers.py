"""Status lines and the edge's own errors."""

import json

import pytest

from thingstead.transports.http.protocol import error_answer, status_line
from thingstead.transports.http.protocol.answers import reason_phrase, without_body


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (200, "OK"),
        (404, "Not Found"),
        (413, "Content Too Large"),
        (414, "URI Too Long"),
        (416, "Range Not Satisfiable"),
        (422, "Unprocessable Content"),
        (431, "Request Header Fields Too Large"),
        (599, ""),
    ],
)
def test_reason_phrases_are_the_registered_ones(status, phrase):
    assert reason_phrase(status) == phrase
    assert status_line(status) == f"HTTP/1.1 {status} {phrase}\r\n".encode()


@pytest.mark.parametrize("status", [0, 99, 600])
def test_numbers_that_are_no_status_are_refused(status):
    with pytest.raises(ValueError, match="from 100 to 599"):
        status_line(status)


def test_an_error_is_one_compact_line_of_json():
    answer = error_answer(503, 'a "quoted" word', header_lines=b"Retry-After: 1\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 503 Service Unavailable",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        b"Retry-After: 1",
        b"Connection: close",
    ]
    assert body == b'{"status":"error","code":503,"message":"a \\"quoted\\" word"}'
    assert json.loads(body)["message"] == 'a "quoted" word'
    assert without_body(answer) == head + b"\r\n\r\n"
