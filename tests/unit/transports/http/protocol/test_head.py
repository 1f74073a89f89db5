"""Finding and judging heads, without a socket."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thingstead.transports.http.protocol import EdgeLimits
from thingstead.transports.http.protocol.head import (
    HeadRefusedError,
    check_head,
    head_end,
    refusal_of_unended_head,
)

LIMITS = EdgeLimits()


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\r\n\n", b"\n\r\n"])
def test_the_first_empty_line_ends_a_head_whatever_its_line_ends(end):
    head = b"GET / HTTP/1.1" + end

    assert head_end(head + b"body\r\n\r\nbody\n\n", 0) == len(head)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([b"\r", b"\n", b"a", b"\r\n"]), max_size=12), st.integers(0, 24))
def test_searching_in_steps_finds_what_searching_at_once_finds(parts, cut):
    data = b"".join(parts)
    whole = head_end(data, 0)

    first = head_end(data[:cut], 0)
    stepwise = first if first >= 0 else head_end(data, min(cut, len(data)))

    assert stepwise == whole


def test_a_crlf_head_is_returned_unchanged():
    head = b"POST /v2/things/T HTTP/1.1\r\nhOST: x\r\nContent-Length:  7 \r\nEmpty:\r\n\r\n"

    checked = check_head(head, LIMITS, has_websocket=False)

    assert checked == (head, 7, [])


def test_a_bare_lf_head_becomes_crlf():
    checked = check_head(b"GET / HTTP/1.1\nA: b\r\n\n", LIMITS, has_websocket=False)

    assert checked.data == b"GET / HTTP/1.1\r\nA: b\r\n\r\n"


def test_adjacent_equal_lengths_are_both_seen():
    head = b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"

    with pytest.raises(HeadRefusedError) as caught:
        check_head(head, LIMITS, has_websocket=False)

    assert caught.value.message == "Bad Request: more than one Content-Length"


def test_headers_whose_names_only_begin_alike_do_not_frame_the_body():
    head = b"GET / HTTP/1.1\r\nContent-Length-X: a\r\nTransfer-Encoding-Y: b\r\n\r\n"

    assert check_head(head, LIMITS, has_websocket=False).body_bytes == 0


def test_an_upgrade_that_nobody_handles_is_kept_from_the_parser():
    head = b"GET / HTTP/1.1\r\nUpgrade: h2c \r\nConnection: upgrade\r\nUPGRADE: x\r\n\r\n"

    checked = check_head(head, LIMITS, has_websocket=True)

    assert checked.data == b"GET / HTTP/1.1\r\nConnection: upgrade\r\n\r\n"
    assert checked.hidden == [(b"upgrade", b"h2c"), (b"upgrade", b"x")]


def test_an_upgrade_to_websocket_is_left_alone_when_it_is_handled():
    head = b"GET / HTTP/1.1\r\nUpgrade: WebSocket\r\n\r\n"

    assert check_head(head, LIMITS, has_websocket=True) == (head, 0, [])
    assert check_head(head, LIMITS, has_websocket=False).hidden == [(b"upgrade", b"WebSocket")]


def test_an_unended_head_is_refused_only_when_it_cannot_become_acceptable():
    limits = EdgeLimits(max_head_bytes=30, max_target_bytes=10)

    assert refusal_of_unended_head(b"G", limits) is None
    assert refusal_of_unended_head(b"GET / HTTP/1.1\r\nA: " + b"x" * 10, limits) is None
    assert refusal_of_unended_head(b"GET / HTTP/1.1\r\nA: " + b"x" * 11, limits).status == 431
    assert refusal_of_unended_head(b"GET /" + b"x" * 26, limits).status == 414
    assert refusal_of_unended_head(b"G" * 31, limits).status == 431
    assert refusal_of_unended_head(b"\x16\x03", limits).status == 400


@settings(deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from(
            [
                b"\r\n",
                b"\n",
                b"\r",
                b"Content-Length: 3",
                b"Transfer-Encoding: chunked",
                b" ",
                b"A: b",
            ]
        ),
        max_size=12,
    )
)
def test_whatever_is_accepted_is_all_crlf_and_has_one_framing(parts):
    head = b"POST / HTTP/1.1\r\n" + b"".join(parts) + b"\r\n\r\n"
    head = head[: head_end(head, 0)]

    try:
        checked = check_head(head, LIMITS, has_websocket=False)
    except HeadRefusedError:
        return

    data = checked.data
    assert data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n")
    framing = (b"content-length:", b"transfer-encoding:")
    assert sum(line.startswith(framing) for line in data.lower().split(b"\r\n")) <= 1
    assert head.count(b"\n") == head.count(b"\r\n") or checked.body_bytes is not None
    if head.count(b"\n") == head.count(b"\r\n"):
        assert data == head
