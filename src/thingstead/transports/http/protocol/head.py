"""What a request head must look like before the parser sees it.

Finds the end of a head whatever its line ends are, refuses every head on which two
readers could disagree, and turns bare-LF line ends into CRLF. It decides how long the
body is; the parser only has to agree. It must not know sockets or answers.
Sources: RFC 9112 sections 2.2, 3, 5 and 6; the published Arduino, ESP8266 and TI
clients end lines with a bare LF. Read on in `connection.py`.
"""

import re
from typing import Final, NamedTuple

from thingstead.transports.http.protocol.limits import EdgeLimits

_VERSIONS: Final = (b"HTTP/1.1", b"HTTP/1.0")
_UPGRADE_LINE: Final = re.compile(rb"^(upgrade):[ \t]*([^\r\n]*)\r\n", re.IGNORECASE | re.MULTILINE)

# More digits than any 64-bit number has; int() refuses thousands of digits by raising.
_MAX_LENGTH_DIGITS: Final = 19


class HeadRefusedError(Exception):
    """A head that gets an error instead of being parsed; `message` goes to the client."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class RequestHead(NamedTuple):
    """A head that may be parsed.

    `data`: the head for the parser, all CRLF, ending with the empty line.
    `body_bytes`: the announced length, 0 without a body, None when it is chunked.
    `hidden`: Upgrade headers kept from the parser, which would take the body for
    another protocol's bytes; they still belong to the request.
    """

    data: bytes
    body_bytes: int | None
    hidden: list[tuple[bytes, bytes]]


def head_end(data: bytes, start: int) -> int:
    """Gives the index just after the empty line that ends the head, or -1.

    `start`: how many bytes an earlier call has already searched in vain.
    """
    start = max(0, start - 2)
    mixed = data.find(b"\n\r\n", start)
    bare = data.find(b"\n\n", start, mixed + 2 if mixed >= 0 else len(data))
    if bare >= 0:
        return bare + 2
    return mixed + 3 if mixed >= 0 else -1


def refusal_of_unended_head(data: bytes, limits: EdgeLimits) -> HeadRefusedError | None:
    """Gives the error for what can no longer become an acceptable head, if so.

    Other protocols on this port, such as the first bytes of TLS, show at once.
    """
    if not data[:1].isalpha():
        return _bad_request("this is not HTTP")
    if len(data) < limits.max_head_bytes:
        return None
    words = data.partition(b"\n")[0].split(b" ", 2)
    if len(words) > 1 and len(words[1].rstrip(b"\r")) > limits.max_target_bytes:
        return _target_too_long(limits)
    return _head_too_long(limits)


def check_head(head: bytes, limits: EdgeLimits, *, has_websocket: bool) -> RequestHead:
    """Gives the head as the parser may see it.

    `has_websocket`: whether an upgrade to WebSocket would be handled; every other
    upgrade is ignored, as RFC 9110 section 7.8 allows.

    Raises:
        HeadRefusedError: the head is over a limit, or means different things to
            different readers.
    """
    _check_request_line(head, limits)
    if len(head) > limits.max_head_bytes:
        raise _head_too_long(limits)
    lines = head.count(b"\n")
    if lines - 2 > limits.max_headers:
        raise HeadRefusedError(
            431,
            "Request Header Fields Too Large: "
            f"a request may have at most {limits.max_headers} headers",
        )
    crlf_lines = head.count(b"\r\n")
    _check_bytes(head, crlf_lines)

    lowered = head.lower()
    has_bare_lf = lines != crlf_lines
    body_bytes = _body_bytes(lowered, limits, has_bare_lf=has_bare_lf)
    if has_bare_lf:
        head = head.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if b"\nupgrade" not in lowered:
        return RequestHead(head, body_bytes, [])
    return _hide_upgrade(head, body_bytes, has_websocket=has_websocket)


def _check_request_line(head: bytes, limits: EdgeLimits) -> None:
    words = head[: head.index(b"\n")].rstrip(b"\r").split(b" ")
    if len(words) > 1 and len(words[1]) > limits.max_target_bytes:
        raise _target_too_long(limits)
    if len(words) != 3:
        raise _bad_request("the request line must be METHOD TARGET VERSION")
    if words[2] not in _VERSIONS:
        raise _bad_request("the version must be HTTP/1.1 or HTTP/1.0")
    if words[0] == b"CONNECT":
        raise _bad_request("CONNECT is not supported")


def _check_bytes(head: bytes, crlf_lines: int) -> None:
    if b"\0" in head:
        raise _bad_request("NUL byte in head")
    if head.count(b"\r") != crlf_lines:
        raise _bad_request("bare CR in head")
    if b"\n " in head or b"\n\t" in head:
        raise _bad_request("folded header line")


def _body_bytes(lowered: bytes, limits: EdgeLimits, *, has_bare_lf: bool) -> int | None:
    codings = _values(lowered, b"\ntransfer-encoding")
    lengths = _values(lowered, b"\ncontent-length")
    if has_bare_lf and (codings or len(lengths) > 1):
        raise _bad_request("bare LF in a head with this body framing")
    if codings:
        _check_coding(lowered, codings, lengths)
        return None
    if not lengths:
        return 0
    if len(lengths) > 1:
        raise _bad_request("more than one Content-Length")
    if not lengths[0].isdigit() or len(lengths[0]) > _MAX_LENGTH_DIGITS:
        raise _bad_request("Content-Length is not a number")
    body_bytes = int(lengths[0])
    if body_bytes > limits.max_body_bytes:
        raise HeadRefusedError(413, body_too_large_message(limits))
    return body_bytes


def _check_coding(lowered: bytes, codings: list[bytes], lengths: list[bytes]) -> None:
    if lengths:
        raise _bad_request("both Transfer-Encoding and Content-Length")
    if codings != [b"chunked"]:
        raise _bad_request("Transfer-Encoding other than chunked")
    # RFC 9112, 6.1: an HTTP/1.0 sender cannot have meant it; someone in between misread.
    if lowered[: lowered.index(b"\n")].rstrip(b"\r").endswith(b"http/1.0"):
        raise _bad_request("Transfer-Encoding in HTTP/1.0")


def _values(lowered: bytes, label: bytes) -> list[bytes]:
    """Gives the values of one header; `label` is its lower-case name after a line feed."""
    values = []
    at = lowered.find(label)
    while at >= 0:
        end = lowered.index(b"\n", at + 1)
        rest, colon, value = lowered[at + len(label) : end].partition(b":")
        # The parser refuses a blank before the colon; until then it counts as the header.
        if colon and not rest.strip(b" \t"):
            values.append(value.strip(b" \t\r"))
        at = lowered.find(label, end)
    return values


def _hide_upgrade(head: bytes, body_bytes: int | None, *, has_websocket: bool) -> RequestHead:
    hidden = _UPGRADE_LINE.findall(head)
    is_websocket = len(hidden) == 1 and hidden[0][1].strip(b" \t").lower() == b"websocket"
    if is_websocket and has_websocket and body_bytes == 0:
        return RequestHead(head, body_bytes, [])
    named = [(name.lower(), value.rstrip(b" \t")) for name, value in hidden]
    return RequestHead(_UPGRADE_LINE.sub(b"", head), body_bytes, named)


def body_too_large_message(limits: EdgeLimits) -> str:
    """Gives the message of the 413 answer."""
    return f"Content Too Large: a body may have at most {limits.max_body_bytes} bytes"


def _bad_request(reason: str) -> HeadRefusedError:
    return HeadRefusedError(400, f"Bad Request: {reason}")


def _target_too_long(limits: EdgeLimits) -> HeadRefusedError:
    return HeadRefusedError(
        414, f"URI Too Long: a target may have at most {limits.max_target_bytes} bytes"
    )


def _head_too_long(limits: EdgeLimits) -> HeadRefusedError:
    return HeadRefusedError(
        431,
        f"Request Header Fields Too Large: a head may have at most {limits.max_head_bytes} bytes",
    )
