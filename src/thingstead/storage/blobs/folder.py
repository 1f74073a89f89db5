"""The folder of images on the disk: whole files under their digests, and what is on its way.

`incoming/NAME.part` is an upload under way; its process holds a lock (flock) on it, so one
without a lock is left over from a process that is gone. `ab/cdef…` (64 hexadecimal digits
altogether) is a whole image: it is flushed before it gets that name, and then the folders are.
Several processes may use the folder at once. Everything here waits for the disk: call it in a
thread.
"""

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from thingstead.kernel.errors import StoreUnavailableError

_INCOMING = "incoming"
_PART = ".part"
_LOCK = "lock"
_FOLDER_NAME = re.compile(r"[0-9a-f]{2}")
_FILE_NAME = re.compile(r"[0-9a-f]{62}")
_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """One whole image; the time is when it was kept last."""

    sha256: bytes
    size: int
    kept_at_ms: int


def name_of(sha256: bytes) -> str:
    """Return where an image lies, in the folder or in a bucket."""
    text = sha256.hex()
    return f"{text[:2]}/{text[2:]}"


def digest_of(name: str) -> bytes | None:
    """Return the digest of an image that lies there; None for what is no image's name."""
    folder, _, file = name.partition("/")
    if not _FOLDER_NAME.fullmatch(folder) or not _FILE_NAME.fullmatch(file):
        return None
    return bytes.fromhex(folder + file)


class BlobFolder:
    """Images in a folder, which is made when the first upload begins."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / _INCOMING

    def begin(self) -> tuple[Path, int]:
        """Return path and open file of a new upload, locked as long as the file is open."""
        # One after the other: folders that are made on the way to one get the usual mode.
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._incoming.mkdir(mode=0o700, exist_ok=True)
        for _ in range(_ATTEMPTS):
            # mkstemp makes the file with mode 0600.
            descriptor, name = tempfile.mkstemp(dir=self._incoming, suffix=_PART)
            # Between these two lines another process may have taken it for left over.
            if _lock_now(descriptor) and _is_still_there(name, descriptor):
                return Path(name), descriptor
            os.close(descriptor)
        raise StoreUnavailableError("no upload could be begun")

    def keep(self, path: Path, descriptor: int, sha256: bytes) -> None:
        """Give an upload its final name, durably; it takes the place of the same image.

        Bytes that were damaged on the disk are so mended by publishing them again.
        """
        place = self._folder / name_of(sha256)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        os.utime(descriptor)
        _flush(descriptor)
        with self._locked():
            path.rename(place)
        for folder in (place.parent, self._incoming, self._folder):
            _flush_folder(folder)

    def open(self, sha256: bytes) -> tuple[int, int] | None:
        """Return the open file of an image and its size; None when it is not there."""
        try:
            descriptor = os.open(
                self._folder / name_of(sha256), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
            )
        except FileNotFoundError:
            return None
        status = os.fstat(descriptor)
        if S_ISREG(status.st_mode):
            return descriptor, status.st_size
        os.close(descriptor)
        return None

    def delete(self, sha256: bytes, *, older_than_ms: int | None) -> None:
        """Delete an image, but not one that was kept at or after the time."""
        place = self._folder / name_of(sha256)
        if not place.exists():
            return
        with self._locked():
            try:
                if older_than_ms is None or _kept_at_ms(place.stat()) < older_than_ms:
                    place.unlink()
            except FileNotFoundError:
                return
        _flush_folder(place.parent)

    def entries(self) -> list[Entry]:
        """Return all images, in no order."""
        found = []
        for folder in _listed(self._folder):
            if not _FOLDER_NAME.fullmatch(folder.name):
                continue
            for file in _listed(Path(folder)):
                sha256 = digest_of(f"{folder.name}/{file.name}")
                if sha256 is None:
                    continue
                try:
                    status = file.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                found.append(Entry(sha256, status.st_size, _kept_at_ms(status)))
        return found

    def tidy(self) -> int:
        """Delete uploads whose processes are gone; return how many."""
        parts = [Path(each) for each in _listed(self._incoming) if each.name.endswith(_PART)]
        return sum(map(_is_deleted, parts))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from renaming and deleting meanwhile."""
        descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _is_deleted(part: Path) -> bool:
    """Delete the part unless its process lives; return whether it did."""
    try:
        descriptor = os.open(part, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        if not _lock_now(descriptor):
            return False
        part.unlink()
    except FileNotFoundError:
        # It was kept or discarded in this moment.
        return False
    finally:
        os.close(descriptor)
    return True


def _lock_now(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still_there(name: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(Path(name).stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in the folder; nothing when it is not there, or no folder."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _kept_at_ms(status: os.stat_result) -> int:
    return status.st_mtime_ns // 1_000_000


def _flush(descriptor: int) -> None:
    """Return when the bytes are on the disk; on macOS only this call waits for the disk itself."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, full)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
