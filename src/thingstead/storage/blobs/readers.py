"""Open files of images, shared by all who read the same one, and reading from them.

A device that takes an image in pieces of 2 kB makes a thousand requests for it. None of them
opens a file: all readers of an image share one, and the last few stay open when their readers
are gone. What lies in memory already is read on the event loop, everything else in a thread.
"""

import errno
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass

from thingstead.kernel.errors import StoreUnavailableError
from thingstead.storage.blobs.failures import RETRY_AFTER_S
from thingstead.storage.blobs.workers import Workers

_MOST_IDLE = 32
_BUFFER_BYTES = 256 * 1024
# A kernel or file system without it, and a filter of system calls that does not know it.
_NOT_POSSIBLE = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM})
_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)


@dataclass(slots=True, eq=False)
class OpenFile:
    """One open file; `holders` are its readers and the reads in threads."""

    sha256: bytes
    descriptor: int
    size: int
    holders: int = 0


class OpenFiles:
    """The open files by digest, at most `most_idle` of them without a reader.

    Threads use it too: who was cancelled leaves a thread behind that still reads.
    """

    def __init__(self, most_idle: int = _MOST_IDLE) -> None:
        self._most_idle = most_idle
        self._files: dict[bytes, OpenFile] = {}
        self._idle: OrderedDict[bytes, OpenFile] = OrderedDict()
        self._is_closed = False
        self._lock = threading.Lock()

    def take(self, sha256: bytes) -> OpenFile | None:
        """Return the open file, held; None when it is not open."""
        with self._lock:
            file = self._files.get(sha256)
            if file is not None:
                self._idle.pop(sha256, None)
                file.holders += 1
            return file

    def add(self, sha256: bytes, descriptor: int, size: int) -> OpenFile:
        """Return the file, held; it is looked after from now on."""
        with self._lock:
            file = self._files.get(sha256)
            if file is None:
                file = OpenFile(sha256, descriptor, size)
                if not self._is_closed:
                    self._files[sha256] = file
            else:
                # Somebody else opened it at the same time.
                os.close(descriptor)
                self._idle.pop(sha256, None)
            file.holders += 1
            return file

    def hold(self, file: OpenFile) -> None:
        """Keep it open until `release`; the caller holds it already."""
        with self._lock:
            file.holders += 1

    def release(self, file: OpenFile) -> None:
        """Give it back; call it once for each time it was held."""
        with self._lock:
            file.holders -= 1
            if file.holders:
                return
            if self._files.get(file.sha256) is not file:
                os.close(file.descriptor)
                return
            self._idle[file.sha256] = file
            if len(self._idle) > self._most_idle:
                self._close_idle(next(iter(self._idle)))

    def forget(self, sha256: bytes) -> None:
        """Have the next reader open it anew."""
        with self._lock:
            if sha256 in self._idle:
                self._close_idle(sha256)
            self._files.pop(sha256, None)

    def close(self) -> None:
        """Close all; those with a reader, as soon as that is done."""
        with self._lock:
            self._is_closed = True
            for sha256 in list(self._idle):
                self._close_idle(sha256)
            self._files.clear()

    def _close_idle(self, sha256: bytes) -> None:
        file = self._idle.pop(sha256)
        del self._files[sha256]
        os.close(file.descriptor)


class InstantReader:
    """Reads what the kernel has in memory; for one thread.

    Linux alone can be asked to give bytes only if they are there (`RWF_NOWAIT`, preadv2(2)).
    Elsewhere, and on file systems that cannot, the answer is always None: handing a read to a
    thread costs some 50 µs, while one on the event loop that waits for a disk stops everybody.
    """

    def __init__(self) -> None:
        self._is_possible = _NOWAIT is not None
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))

    def read(self, descriptor: int, start: int, size: int) -> bytes | None:
        """Return exactly `size` bytes; None when not all of them are there at once."""
        if not self._is_possible or _NOWAIT is None:
            return None
        buffer = self._buffer if size <= _BUFFER_BYTES else memoryview(bytearray(size))
        piece = buffer[:size]
        try:
            count = os.preadv(descriptor, [piece], start, _NOWAIT)
        except OSError as exc:
            self._is_possible = exc.errno not in _NOT_POSSIBLE
            return None
        return bytes(piece) if count == size else None


class FileBlob:
    """One reader of an image in a file."""

    def __init__(
        self, file: OpenFile, files: OpenFiles, workers: Workers, instant: InstantReader
    ) -> None:
        self._file = file
        self._files = files
        self._workers = workers
        self._instant = instant
        self._is_closed = False

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self._file.size

    def read_now(self, start: int, size: int) -> bytes | None:
        """Return bytes if that needs no waiting for a disk, otherwise None."""
        wanted = min(size, self._file.size - start)
        if wanted <= 0:
            return b""
        return self._instant.read(self._file.descriptor, start, wanted)

    async def read(self, start: int, size: int) -> bytes:
        """Return bytes; fewer than `size` only at the end.

        Raises:
            StoreUnavailableError: they cannot be read.
            OverloadedError: too many reads wait for the disk.
        """
        wanted = min(size, self._file.size - start)
        if wanted <= 0:
            return b""
        # Who is cancelled may close this reader while the thread still reads.
        self._files.hold(self._file)
        return await self._workers.run(
            lambda: self._read(start, wanted), at_end=lambda: self._files.release(self._file)
        )

    def close(self) -> None:
        """Say that this reader is done."""
        if not self._is_closed:
            self._is_closed = True
            self._files.release(self._file)

    def _read(self, start: int, wanted: int) -> bytes:
        try:
            return _read_whole(self._file.descriptor, start, wanted)
        except (StoreUnavailableError, OSError):
            # Published again or put back from a copy, it may be whole: not with this file.
            self._files.forget(self._file.sha256)
            raise


def read_up_to(descriptor: int, start: int, size: int) -> bytes:
    """Return bytes; fewer than `size` only at the end of the file. Waits for the disk."""
    pieces: list[bytes] = []
    while size:
        piece = os.pread(descriptor, size, start)
        if not piece:
            break
        pieces.append(piece)
        start += len(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _read_whole(descriptor: int, start: int, wanted: int) -> bytes:
    found = read_up_to(descriptor, start, wanted)
    if len(found) < wanted:
        raise StoreUnavailableError(
            "the file of an image is shorter than it was", retry_after_s=RETRY_AFTER_S
        )
    return found
