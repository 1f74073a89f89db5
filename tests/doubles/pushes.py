"""A connection that takes pushed answers, and keeps what was written, write by write."""

from thingstead.transports.http.protocol.push import EXTENSION, PushStart


class MemoryPush:
    """Begins an answer when it is sent one; the test says whether the client reads."""

    def __init__(self, *, is_chunked: bool = True) -> None:
        self.is_chunked = is_chunked
        self.is_writable = True
        self.is_there = True
        self.is_confirmed = True
        self.start: PushStart | None = None
        self.written: list[bytes] = []
        self.end = ""

    async def send(self, message) -> None:
        assert message["type"] == EXTENSION
        if self.is_there:
            self.start = message["start"]
            self.start.on_begun(self)

    def write(self, piece: bytes) -> None:
        assert piece
        self.written.append(piece)

    def has_confirmed(self) -> bool:
        return self.is_confirmed

    def finish(self) -> None:
        self.end = "finished"

    def cut(self) -> None:
        self.end = "cut"

    def stop_reading(self) -> None:
        self.is_writable = False

    def read_on(self) -> None:
        self.is_writable = True
        self.start.on_writable()

    def leave(self) -> None:
        self.start.on_gone()
