"""Images in files of one folder.

Three layers: `folder.py` knows names, locks and flushing, `readers.py` shares open files, and
this module puts both behind the ports, with everything that waits for a disk in a thread.
"""

import asyncio
import os
import threading
from functools import partial
from pathlib import Path

from thingstead.kernel.errors import StoreUnavailableError
from thingstead.storage.blobs.folder import BlobFolder, Entry
from thingstead.storage.blobs.readers import (
    FileBlob,
    InstantReader,
    OpenFiles,
    read_up_to,
)
from thingstead.storage.blobs.workers import Workers

_READERS = 4
# One for each download that the server may have under way, and as many again for other roads.
_MOST_READS = 8_192
_WRITERS = 2
_MOST_WRITES = 256


class FileUpload:
    """An image on its way in a file of its own, which goes when this process does."""

    def __init__(self, folder: BlobFolder, workers: Workers, path: Path, descriptor: int) -> None:
        self.path = path
        self._folder = folder
        self._workers = workers
        self._descriptor: int | None = descriptor
        self._written = 0
        # A cancelled call leaves a thread behind that still writes; nobody may close the file
        # under it, because its number could belong to another file then.
        self._lock = threading.Lock()

    @property
    def written(self) -> int:
        """How many bytes were written."""
        return self._written

    async def write(self, chunk: bytes) -> None:
        """Append bytes.

        Raises:
            StorageFullError: there is no room; `discard` is still to be called.
            StoreUnavailableError: the disk refuses.
        """
        await self._workers.run(lambda: self._write(chunk))

    async def read(self, start: int, size: int) -> bytes:
        """Return bytes that were written before."""
        return await self._workers.run(lambda: self._read(start, size))

    async def keep(self, sha256: bytes) -> None:
        """Make it durable under its digest.

        Raises:
            StorageFullError: there is no room; nothing is kept.
            StoreUnavailableError: the disk refuses.
        """
        await self._workers.run(lambda: self._keep(sha256))

    async def discard(self) -> None:
        """Leave nothing behind; does nothing after `keep`, or a second time."""
        # Who is cancelled calls this, and may be cancelled again meanwhile.
        await asyncio.shield(asyncio.ensure_future(self._workers.run(self._discard)))

    def _write(self, chunk: bytes) -> None:
        with self._lock:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(self._open(), rest) :]
            self._written += len(chunk)

    def _read(self, start: int, size: int) -> bytes:
        with self._lock:
            return read_up_to(self._open(), start, size)

    def _keep(self, sha256: bytes) -> None:
        with self._lock:
            self._folder.keep(self.path, self._open(), sha256)
            self._close()

    def _discard(self) -> None:
        with self._lock:
            if self._descriptor is not None:
                self.path.unlink(missing_ok=True)
                self._close()

    def _open(self) -> int:
        if self._descriptor is None:
            raise StoreUnavailableError("the upload has ended")
        return self._descriptor

    def _close(self) -> None:
        os.close(self._open())
        self._descriptor = None


class FileBlobStore:
    """Keeps images in a folder that other processes may use at the same time."""

    def __init__(self, folder: Path) -> None:
        self._folder = BlobFolder(folder)
        self._files = OpenFiles()
        self._instant = InstantReader()
        self._readers = Workers("read-images", threads=_READERS, most=_MOST_READS)
        self._writers = Workers("write-images", threads=_WRITERS, most=_MOST_WRITES)

    async def begin(self) -> FileUpload:
        """Begin an upload.

        Raises:
            StorageFullError: there is no room.
            StoreUnavailableError: the folder cannot be written to.
        """
        path, descriptor = await self._writers.run(self._folder.begin, unwanted=_undo)
        return FileUpload(self._folder, self._writers, path, descriptor)

    async def open(self, sha256: bytes) -> FileBlob:
        """Open an image.

        Raises:
            StoreUnavailableError: it is not there, or cannot be read.
        """
        found = await self.find(sha256)
        if found is None:
            raise StoreUnavailableError("the bytes of the image are missing")
        return found

    async def find(self, sha256: bytes) -> FileBlob | None:
        """Open an image; None when it is not there.

        Raises:
            StoreUnavailableError: it cannot be read.
        """
        file = self._files.take(sha256)
        if file is None:
            opened = await self._readers.run(
                partial(self._folder.open, sha256), unwanted=_close_again
            )
            if opened is None:
                return None
            file = self._files.add(sha256, *opened)
        return FileBlob(file, self._files, self._readers, self._instant)

    async def digests(self, *, older_than_ms: int) -> list[bytes]:
        """Return the digests of images that were kept before that time."""
        return [each.sha256 for each in await self.entries() if each.kept_at_ms < older_than_ms]

    async def entries(self) -> list[Entry]:
        """Return what is known about all images without opening them."""
        return await self._writers.run(self._folder.entries)

    async def delete(self, sha256: bytes, *, older_than_ms: int | None = None) -> None:
        """Delete an image; who has it open can still read it."""
        await self._writers.run(partial(self._folder.delete, sha256, older_than_ms=older_than_ms))
        self._files.forget(sha256)

    async def tidy(self) -> int:
        """Delete what broken-off uploads of processes that are gone left; return how many."""
        return await self._writers.run(self._folder.tidy)

    async def close(self) -> None:
        """Close everything; no reader may be left."""
        self._files.close()
        await self._readers.close()
        await self._writers.close()


def _undo(begun: tuple[Path, int]) -> None:
    """Take back an upload that nobody waits for any more."""
    path, descriptor = begun
    path.unlink(missing_ok=True)
    os.close(descriptor)


def _close_again(opened: tuple[int, int] | None) -> None:
    if opened is not None:
        os.close(opened[0])
