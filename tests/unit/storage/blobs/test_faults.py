"""Full disks, and processes that are killed while they store an image."""

import asyncio
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from thingstead.kernel.errors import StorageFullError, StoreUnavailableError
from thingstead.storage.blobs.files import FileBlobStore

HERE = Path(__file__).parent
PATIENCE_S = 60
CONTENT = bytes(range(256)) * 400
DIGEST = hashlib.sha256(CONTENT).digest()

_FULL_AFTER = """
import asyncio, hashlib, resource, sys
from pathlib import Path
from thingstead.kernel.errors import StorageFullError
from thingstead.storage.blobs.files import FileBlobStore

async def main():
    store = FileBlobStore(Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    upload = await store.begin()
    try:
        for _ in range(10):
            await upload.write(bytes(10_000))
        await upload.keep(hashlib.sha256(bytes(100_000)).digest())
        print("kept")
    except StorageFullError:
        print("full")
    await upload.discard()
    await store.close()

asyncio.run(main())
"""


def files(folder):
    return sorted(each for each in folder.rglob("*") if each.is_file() and each.name != "lock")


@pytest.mark.parametrize(("most", "told"), [(100_000, "kept"), (99_999, "full")])
def test_a_disk_that_is_full_is_told_and_nothing_stays_behind(tmp_path, most, told):
    ran = subprocess.run(
        [sys.executable, "-c", _FULL_AFTER, str(tmp_path), str(most)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )

    assert ran.stdout.strip() == told
    assert len(files(tmp_path)) == (told == "kept")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this user may mount nothing")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


async def fill(upload):
    for _ in range(20):
        await upload.write(CONTENT)


async def test_a_small_disk_goes_on_serving_when_it_is_full(small_disk):
    store = FileBlobStore(small_disk / "blobs")
    first = await store.begin()
    await first.write(CONTENT)
    await first.keep(DIGEST)
    second = await store.begin()

    with pytest.raises(StorageFullError):
        await fill(second)
    blob = await store.open(DIGEST)
    served = await blob.read(0, len(CONTENT))
    blob.close()
    await second.discard()

    assert served == CONTENT
    assert [each.stat().st_size for each in files(small_disk)] == [len(CONTENT)]
    third = await store.begin()
    await third.write(CONTENT)
    await third.discard()
    await store.close()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_whoever_is_killed_while_storing_leaves_all_or_nothing(tmp_path, moment):
    command = [sys.executable, str(HERE / "dying_upload.py"), str(tmp_path), moment]
    await asyncio.to_thread(subprocess.run, command, timeout=PATIENCE_S, check=True)
    folders = sorted(tmp_path.iterdir())
    outcomes = []

    for folder in folders:
        store = FileBlobStore(folder)
        was_told = (folder / "told").exists()
        tidied = await store.tidy()
        assert tidied <= 1
        assert list((folder / "incoming").glob("*")) == []
        assert await store.tidy() == 0
        outcomes.append((was_told, await _content(store)))
        await store.close()

    # Whole or not there, in this order; and there whenever somebody was told that it is kept.
    assert {content for _, content in outcomes} == {None, CONTENT}
    assert [content is not None for _, content in outcomes] == sorted(
        content is not None for _, content in outcomes
    )
    assert all(content == CONTENT for was_told, content in outcomes if was_told)
    assert [was_told for was_told, _ in outcomes].count(True) >= 1
    assert len(outcomes) > 15


async def _content(store):
    try:
        blob = await store.open(DIGEST)
    except StoreUnavailableError:
        assert await store.digests(older_than_ms=2**50) == []
        return None
    try:
        return await blob.read(0, blob.size)
    finally:
        blob.close()


_LIVING = """
import asyncio, sys
from pathlib import Path
from thingstead.storage.blobs.files import FileBlobStore

async def main():
    upload = await FileBlobStore(Path(sys.argv[1])).begin()
    await upload.write(b"half")
    print("begun", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


@pytest.fixture
def end_other_process(tmp_path):
    """Another process in the middle of an upload; a call kills it."""
    with subprocess.Popen(
        [sys.executable, "-c", _LIVING, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()

        def end():
            process.kill()
            process.wait(PATIENCE_S)

        yield end
        end()


async def test_a_living_upload_of_another_process_is_left_alone(tmp_path, end_other_process):
    store = FileBlobStore(tmp_path)

    while_it_lives = await store.tidy()
    end_other_process()
    when_it_is_gone = await store.tidy()

    assert (while_it_lives, when_it_is_gone) == (0, 1)
    assert files(tmp_path) == []
    await store.close()
