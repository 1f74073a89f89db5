"""The bytes of images in memory."""

from collections.abc import Callable

from doubles.clock import ManualClock
from thingstead.kernel.errors import StorageFullError, StoreUnavailableError


class MemoryBlobStore:
    """Keeps images in `kept`; full after `full_after` bytes, kept and on their way together.

    `opened` and `closed` count readers, `begun` and `ended` uploads. `waits` makes every
    `read_now` answer None, as if nothing were in memory; `is_broken` makes every read fail.
    """

    def __init__(self, *, full_after: int | None = None, clock: ManualClock | None = None) -> None:
        self.full_after = full_after
        self.kept: dict[bytes, bytes] = {}
        self.kept_at_ms: dict[bytes, int] = {}
        self.opened = self.closed = self.begun = self.ended = self.tidied = 0
        self.waits = False
        self.is_broken = False
        self.broken_off: list[MemoryUpload] = []
        self._under_way: set[MemoryUpload] = set()
        self._clock = clock or ManualClock()

    @property
    def used_bytes(self) -> int:
        return sum(map(len, self.kept.values())) + sum(len(each.data) for each in self._under_way)

    async def begin(self) -> "MemoryUpload":
        self.begun += 1
        upload = MemoryUpload(self)
        self._under_way.add(upload)
        return upload

    async def open(self, sha256: bytes) -> "MemoryBlob":
        if sha256 not in self.kept or self.is_broken:
            raise StoreUnavailableError("the image's bytes are not there")
        self.opened += 1
        return MemoryBlob(self, self.kept[sha256], self._on_close)

    async def digests(self, *, older_than_ms: int) -> list[bytes]:
        return [each for each, at_ms in self.kept_at_ms.items() if at_ms < older_than_ms]

    async def delete(self, sha256: bytes, *, older_than_ms: int | None = None) -> None:
        if older_than_ms is not None and self.kept_at_ms.get(sha256, 0) >= older_than_ms:
            return
        self.kept.pop(sha256, None)
        self.kept_at_ms.pop(sha256, None)

    async def tidy(self) -> int:
        self.tidied += 1
        gone, self.broken_off = self.broken_off, []
        for upload in gone:
            self.end(upload)
        return len(gone)

    async def close(self) -> None:
        assert self.opened == self.closed, "a reader was not closed"

    def break_off(self) -> None:
        """Let the process of all uploads under way be gone, as after a crash."""
        self.broken_off = list(self._under_way)

    def end(self, upload: "MemoryUpload") -> None:
        if upload in self._under_way:
            self._under_way.remove(upload)
            self.ended += 1

    def keep(self, sha256: bytes, content: bytes) -> None:
        self.kept[sha256] = content
        self.kept_at_ms[sha256] = self._clock.now_ms()

    def _on_close(self) -> None:
        self.closed += 1


class MemoryUpload:
    """An image on its way; `data` is what was written."""

    def __init__(self, store: MemoryBlobStore) -> None:
        self.data = bytearray()
        self._store = store
        self._has_ended = False

    async def write(self, chunk: bytes) -> None:
        full_after = self._store.full_after
        if full_after is not None and self._store.used_bytes + len(chunk) > full_after:
            raise StorageFullError
        self.data += chunk

    async def read(self, start: int, size: int) -> bytes:
        return bytes(self.data[start : start + size])

    async def keep(self, sha256: bytes) -> None:
        self._has_ended = True
        self._store.keep(sha256, bytes(self.data))
        self._store.end(self)

    async def discard(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._store.end(self)


class MemoryBlob:
    """One reader of an image."""

    def __init__(
        self, store: MemoryBlobStore, content: bytes, on_close: Callable[[], None]
    ) -> None:
        self._store = store
        self._content = content
        self._on_close = on_close
        self._is_closed = False

    @property
    def size(self) -> int:
        return len(self._content)

    def read_now(self, start: int, size: int) -> bytes | None:
        assert not self._is_closed, "read after close"
        if self._store.waits or self._store.is_broken:
            return None
        return self._content[start : start + size]

    async def read(self, start: int, size: int) -> bytes:
        assert not self._is_closed, "read after close"
        if self._store.is_broken:
            raise StoreUnavailableError("the image's bytes cannot be read")
        return self._content[start : start + size]

    def close(self) -> None:
        assert not self._is_closed, "closed twice"
        self._is_closed = True
        self._on_close()
