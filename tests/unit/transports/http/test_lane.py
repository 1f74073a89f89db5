"""What the direct lane remembers is bounded, whatever is sent to it."""

import pytest

from thingstead.transports.http.lane import WriteLane
from thingstead.transports.http.protocol import DateLine, EdgeLimits

TOKEN = b"t" * 43


class NoThings:
    """Knows no token, as for somebody who has none."""

    def known(self, token):
        return None


@pytest.fixture
def lane():
    return WriteLane(NoThings(), None, DateLine(), max_body_bytes=1_000, edge_limits=EdgeLimits())


def head(field_bytes):
    """A request whose header fields take so many bytes."""
    fields = b"Content-Length: 2\r\nUser-Agent: "
    fields += b"x" * (field_bytes - len(fields))
    return b"POST /v2/things/" + TOKEN + b" HTTP/1.1\r\n" + fields + b"\r\n\r\n{}"


@pytest.mark.parametrize(("field_bytes", "kept"), [(2_048, 1), (2_049, 0)])
def test_long_heads_are_not_kept(lane, field_bytes, kept):
    assert lane.try_take(None, head(field_bytes)) is False

    assert len(lane._lengths) == kept


def test_no_more_heads_are_kept_than_may_be(lane):
    for number in range(2_100):
        lane.try_take(None, head(40 + number % 2_000).replace(b"xx", b"%02d" % (number // 2_000)))

    assert len(lane._lengths) <= 2_048
