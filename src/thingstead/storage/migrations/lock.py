"""One migration at a time in a data folder, whatever the number of processes.

The lock belongs to an open file, so the system releases it when its process ends, however it
ends; the file itself stays. Threads of one process exclude one another too.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thingstead.kernel.errors import StoreUnavailableError

LOCK_NAME = ".migrate.lock"
_LOOK_EVERY_S = 0.05


@contextmanager
def migration_lock(folder: Path, *, timeout_s: float = 600.0) -> Iterator[None]:
    """Hold the folder's lock within the block; waits, so never on the event loop.

    Raises:
        StoreUnavailableError: another process held the lock for all of `timeout_s`.
    """
    descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _wait(descriptor, time.monotonic() + timeout_s)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            if time.monotonic() >= until:
                raise StoreUnavailableError("another process is still migrating") from exc
            time.sleep(_LOOK_EVERY_S)
        else:
            return
