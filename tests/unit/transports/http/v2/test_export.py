"""An export ends with the session that asked for it."""

import pytest

from thingstead.features.users.errors import InvalidSessionError
from thingstead.transports.http.v2.export import ExportHandlers


class Callers:
    """Knows a session for so many questions."""

    def __init__(self, questions):
        self._left = questions

    async def again(self, _request):
        self._left -= 1
        if self._left < 0:
            raise InvalidSessionError


class Pieces:
    def __init__(self):
        self.is_closed = False

    async def made(self):
        try:
            for piece in (b"1", b"2", b"3"):
                yield piece
        finally:
            self.is_closed = True


async def test_what_is_made_after_the_end_of_the_session_is_not_sent():
    pieces = Pieces()
    handlers = ExportHandlers(Callers(2), None, None)
    sent = []

    async def send_all():
        async for piece in handlers._while_logged_in(None, pieces.made()):
            sent.append(piece)  # noqa: PERF401  # What was sent before the end counts.

    with pytest.raises(InvalidSessionError):
        await send_all()

    assert sent == [b"1", b"2"]
    assert pieces.is_closed
