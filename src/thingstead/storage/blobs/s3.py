"""Images in a bucket, with a bounded number of them as files on this machine.

The bucket is where they are kept: an upload counts when the bucket has it. Everything is read
from the files, which are fetched when they are first asked for and checked before anybody sees
them. The bucket, or the part of it below the prefix, must belong to this platform alone:
what no image of the platform names is deleted there.
"""

import asyncio
import hashlib
from contextlib import aclosing

from thingstead.kernel.clock import Clock, SystemClock
from thingstead.storage.blobs.bucket import Bucket
from thingstead.storage.blobs.failures import RETRY_AFTER_S, BucketUnavailableError
from thingstead.storage.blobs.files import FileBlobStore, FileUpload
from thingstead.storage.blobs.folder import digest_of, name_of
from thingstead.storage.blobs.readers import FileBlob

_CACHE_BYTES = 1024 * 1024 * 1024
_FETCHES = 4


class S3BlobStore:
    """Keeps images in a bucket; `files` holds at most `cache_bytes` of them, or a single one."""

    def __init__(
        self,
        bucket: Bucket,
        files: FileBlobStore,
        *,
        cache_bytes: int = _CACHE_BYTES,
        clock: Clock | None = None,
    ) -> None:
        self._bucket = bucket
        self._files = files
        self._cache_bytes = cache_bytes
        self._clock = clock or SystemClock()
        # Only this process's uses; of others the time when the file came counts.
        self._used_at_ms: dict[bytes, int] = {}
        self._fetching: dict[bytes, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(_FETCHES)

    async def begin(self) -> "S3Upload":
        """Begin an upload; it goes to a file first, because its digest is known at its end."""
        return S3Upload(await self._files.begin(), self._bucket, self)

    async def open(self, sha256: bytes) -> FileBlob:
        """Open an image, fetched from the bucket when there is no file of it.

        Raises:
            BucketUnavailableError: the bucket cannot be reached, has it not, or not unharmed.
            StoreUnavailableError: the file cannot be written or read.
            StorageFullError: there is no room for the file.
        """
        found = await self._files.find(sha256)
        if found is None:
            await asyncio.shield(self._fetch_of(sha256))
            found = await self._files.open(sha256)
        self._used_at_ms[sha256] = self._clock.now_ms()
        return found

    async def digests(self, *, older_than_ms: int) -> list[bytes]:
        """Return the digests of images that were stored in the bucket before that time."""
        found = []
        async for each in self._bucket.all():
            sha256 = digest_of(each.key)
            if sha256 is not None and each.stored_at_ms < older_than_ms:
                found.append(sha256)
        return found

    async def delete(self, sha256: bytes, *, older_than_ms: int | None = None) -> None:
        """Delete an image in the bucket and here; who has it open can still read it."""
        key = name_of(sha256)
        if older_than_ms is not None:
            stored = await self._bucket.find(key)
            if stored is not None and stored.stored_at_ms >= older_than_ms:
                return
        await self._bucket.delete(key)
        await self._files.delete(sha256)

    async def tidy(self) -> int:
        """Delete what broken-off uploads of processes that are gone left; return how many."""
        return await self._files.tidy()

    async def close(self) -> None:
        """Break fetches off and close everything; no reader may be left."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._files.close()

    async def make_room(self, newest: bytes) -> None:
        """Delete the files that were not used for longest, but not the newest."""
        entries = await self._files.entries()
        used = {
            each.sha256: max(each.kept_at_ms, self._used_at_ms.get(each.sha256, 0))
            for each in entries
        }
        self._used_at_ms = {each: at for each, at in self._used_at_ms.items() if each in used}
        total = sum(each.size for each in entries)
        for each in sorted(entries, key=lambda each: used[each.sha256]):
            if total <= self._cache_bytes:
                return
            if each.sha256 != newest:
                await self._files.delete(each.sha256)
                total -= each.size

    def _fetch_of(self, sha256: bytes) -> asyncio.Task[None]:
        """Return the one fetch of the image that all wait for."""
        task = self._fetching.get(sha256)
        if task is None:
            task = asyncio.create_task(self._fetch(sha256), name="fetch an image")
            self._fetching[sha256] = task
            task.add_done_callback(lambda done: self._on_fetched(sha256, done))
        return task

    def _on_fetched(self, sha256: bytes, task: asyncio.Task[None]) -> None:
        del self._fetching[sha256]
        if not task.cancelled():
            # Whoever waits is told; asking for it says that nobody needs to be.
            task.exception()

    async def _fetch(self, sha256: bytes) -> None:
        async with self._turn:
            upload = await self._files.begin()
            try:
                hashed = hashlib.sha256()
                async with aclosing(self._bucket.fetch(name_of(sha256))) as pieces:
                    async for piece in pieces:
                        hashed.update(piece)
                        await upload.write(piece)
                if hashed.digest() != sha256:
                    raise BucketUnavailableError("the bytes in the bucket are not the image's")
                await upload.keep(sha256)
            finally:
                await upload.discard()
            await self.make_room(sha256)


class S3Upload:
    """An image on its way: first into a file, then into the bucket."""

    def __init__(self, file: FileUpload, bucket: Bucket, store: S3BlobStore) -> None:
        self._file = file
        self._bucket = bucket
        self._store = store

    async def write(self, chunk: bytes) -> None:
        """Append bytes.

        Raises:
            StorageFullError: there is no room; `discard` is still to be called.
        """
        await self._file.write(chunk)

    async def read(self, start: int, size: int) -> bytes:
        """Return bytes that were written before."""
        return await self._file.read(start, size)

    async def keep(self, sha256: bytes) -> None:
        """Store it in the bucket; the file stays as the first copy.

        Raises:
            BucketUnavailableError: the bucket cannot be reached, or did not store all of it.
            StorageFullError: there is no room for the file.
        """
        key = name_of(sha256)
        await self._bucket.put(key, self._file.path)
        stored = await self._bucket.find(key)
        if stored is None or stored.size != self._file.written:
            raise BucketUnavailableError(
                "the bucket did not store the whole image", retry_after_s=RETRY_AFTER_S
            )
        await self._file.keep(sha256)
        await self._store.make_room(sha256)

    async def discard(self) -> None:
        """Leave no file behind; does nothing after `keep`, or a second time."""
        await self._file.discard()
