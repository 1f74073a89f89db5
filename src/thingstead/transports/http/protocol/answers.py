"""The bytes of status lines and of the errors that the edge answers by itself.

It must not know connections or time. Read on in `cycle.py` for the app's own answers.
"""

from http import HTTPStatus

import msgspec

# RFC 9110 renamed these four; Python says so only in its newer versions, and one
# published client compares the phrase literally (thethings.iO-python-library).
_REGISTERED_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def reason_phrase(status: int) -> str:
    """Gives the phrase that is registered for `status`, or an empty string."""
    if status in _REGISTERED_PHRASES:
        return _REGISTERED_PHRASES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


_STATUS_LINES = {
    status: f"HTTP/1.1 {status} {reason_phrase(status)}\r\n".encode("ascii")
    for status in range(100, 600)
}


def status_line(status: int) -> bytes:
    """Gives the complete first line of an answer, with its line end.

    Raises:
        ValueError: `status` is not between 100 and 599.
    """
    line = _STATUS_LINES.get(status)
    if line is None:
        raise ValueError("a status is a number from 100 to 599")
    return line


def error_answer(status: int, message: str, *, header_lines: bytes = b"") -> bytes:
    """Gives a whole JSON error answer that announces the end of the connection.

    `header_lines`: further complete header lines, each with its CRLF.
    """
    body = msgspec.json.encode({"status": "error", "code": status, "message": message})
    return (
        b"%bContent-Type: application/json\r\nContent-Length: %d\r\n%bConnection: close\r\n\r\n%b"
        % (
            status_line(status),
            len(body),
            header_lines,
            body,
        )
    )


def without_body(answer: bytes) -> bytes:
    """Gives the head of a whole answer only: what a HEAD request is owed."""
    return answer[: answer.index(b"\r\n\r\n") + 4]
