"""Uploads the same image again and again, each time into another folder, and dies on the way.

The first time at its first call to the system that changes something, then at its second, and so
on, until one upload ends. Arguments: the folder of folders, `before` or `after` (the call).
"""

import asyncio
import fcntl
import hashlib
import itertools
import os
import signal
import sys
from pathlib import Path

from thingstead.storage.blobs.files import FileBlobStore

CONTENT = bytes(range(256)) * 400
_CALLS = ("open", "mkdir", "write", "utime", "fsync", "rename", "unlink", "close")


def _die_at(number: int, moment: str) -> None:
    numbers = itertools.count()

    def deadly(call):
        def wrapped(*arguments, **named):
            is_last = next(numbers) == number
            if is_last and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*arguments, **named)
            if is_last:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    for name in _CALLS:
        setattr(os, name, deadly(getattr(os, name)))
    fcntl.flock = deadly(fcntl.flock)


async def _upload(folder: Path, number: int, moment: str) -> None:
    store = FileBlobStore(folder)
    _die_at(number, moment)
    upload = await store.begin()
    await upload.write(CONTENT[:1_000])
    await upload.write(CONTENT[1_000:])
    await upload.keep(hashlib.sha256(CONTENT).digest())
    _tell(folder)
    await store.close()


def _tell(folder: Path) -> None:
    """Note that the publisher was told: from here on the image has to be there."""
    (folder / "told").touch()


def main() -> None:
    folders, moment = Path(sys.argv[1]), sys.argv[2]
    for number in itertools.count():
        folder = folders / f"{number:03}"
        child = os.fork()
        if not child:
            asyncio.run(_upload(folder, number, moment))
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            return


if __name__ == "__main__":
    main()
