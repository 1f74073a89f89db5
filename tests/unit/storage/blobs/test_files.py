"""What images in files promise beyond what every store does."""

import asyncio
import fcntl
import hashlib
import os
import threading
from pathlib import Path

import pytest

from thingstead.kernel.errors import OverloadedError, StoreUnavailableError
from thingstead.storage.blobs import readers
from thingstead.storage.blobs.files import FileBlobStore
from thingstead.storage.blobs.folder import name_of
from thingstead.storage.blobs.readers import OpenFiles
from thingstead.storage.blobs.workers import Workers

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).digest()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "blobs"


@pytest.fixture
async def store(folder):
    store = FileBlobStore(folder)
    yield store
    await store.close()


async def put(store, content=CONTENT):
    upload = await store.begin()
    await upload.write(content)
    sha256 = hashlib.sha256(content).digest()
    await upload.keep(sha256)
    return sha256


def place(folder, sha256=DIGEST):
    return folder / name_of(sha256)


def parts(folder):
    return sorted((folder / "incoming").glob("*"))


def open_files(under):
    """How many files below the folder this process has open."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        try:
            found += each.readlink().is_relative_to(under)
        except FileNotFoundError:
            continue
    return found


async def test_an_image_lies_under_its_digest(store, folder):
    await put(store)

    assert place(folder).read_bytes() == CONTENT
    assert place(folder) == folder / DIGEST.hex()[:2] / DIGEST.hex()[2:]
    assert parts(folder) == []


async def test_bytes_are_flushed_before_they_get_their_name_and_the_folders_after(
    store, folder, monkeypatch
):
    done = []
    really_flush, really_rename = os.fsync, os.rename

    def flush(descriptor):
        done.append(("flush", Path(f"/proc/self/fd/{descriptor}").readlink()))
        really_flush(descriptor)

    def rename(old, new):
        done.append(("rename", Path(new)))
        really_rename(old, new)

    upload = await store.begin()
    await upload.write(CONTENT)
    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "rename", rename)
    await upload.keep(DIGEST)

    assert done == [
        ("flush", upload.path),
        ("rename", place(folder)),
        ("flush", place(folder).parent),
        ("flush", folder / "incoming"),
        ("flush", folder),
    ]


async def test_only_the_owner_may_look(store, folder):
    await put(store)
    upload = await store.begin()

    modes = {path: path.stat().st_mode & 0o777 for path in folder.rglob("*")}

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    await upload.discard()


async def test_looking_for_images_makes_nothing(store, folder):
    assert await store.digests(older_than_ms=2**50) == []
    assert await store.tidy() == 0
    with pytest.raises(StoreUnavailableError):
        await store.open(DIGEST)
    await store.delete(DIGEST)

    assert not folder.exists()


async def test_what_is_no_image_is_left_alone(store, folder):
    await put(store)
    (folder / "ab").mkdir(exist_ok=True)
    (folder / "incoming" / "notes.txt").touch()
    (folder / "zz").mkdir()
    for name in ("ab/short", "README", f"zz/{'0' * 62}", f"ab/{'0' * 61}G"):
        (folder / name).touch()

    tidied = await store.tidy()

    assert tidied == 0
    assert await store.digests(older_than_ms=2**50) == [DIGEST]
    assert (folder / "incoming" / "notes.txt").exists()


async def test_a_link_in_an_images_place_is_not_followed(store, folder, tmp_path):
    await put(store, b"another")
    (tmp_path / "secret").write_bytes(CONTENT)
    place(folder).parent.mkdir(exist_ok=True)
    place(folder).symlink_to(tmp_path / "secret")

    with pytest.raises(StoreUnavailableError):
        await store.open(DIGEST)


async def test_a_folder_in_an_images_place_is_no_image(store, folder):
    place(folder).mkdir(parents=True)

    with pytest.raises(StoreUnavailableError):
        await store.open(DIGEST)


async def test_a_folder_that_cannot_be_made_is_told_without_its_path(tmp_path):
    (tmp_path / "file").touch()
    store = FileBlobStore(tmp_path / "file" / "blobs")

    with pytest.raises(StoreUnavailableError) as caught:
        await store.begin()

    assert str(tmp_path) not in str(caught.value)
    await store.close()


async def test_what_has_ended_takes_nothing_more(store):
    upload = await store.begin()
    await upload.write(CONTENT)
    await upload.keep(DIGEST)

    for call in (upload.write(b"more"), upload.read(0, 1), upload.keep(DIGEST)):
        with pytest.raises(StoreUnavailableError):
            await call


async def test_a_closed_store_refuses(folder):
    store = FileBlobStore(folder)
    await store.close()

    with pytest.raises(StoreUnavailableError):
        await store.begin()


async def test_an_upload_that_somebody_tidies_as_it_begins_begins_anew(store, folder, monkeypatch):
    really_lock = fcntl.flock
    taken = []

    def lock(descriptor, operation):
        if not taken:
            taken.extend(parts(folder))
            taken[0].unlink()
        return really_lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", lock)

    await put(store)

    assert len(taken) == 1
    assert place(folder).read_bytes() == CONTENT


async def test_an_upload_that_can_never_be_locked_is_refused(store, folder, monkeypatch):
    def refuse(_descriptor, _operation):
        raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", refuse)

    with pytest.raises(StoreUnavailableError):
        await store.begin()

    assert open_files(folder) == 0


async def test_keeping_again_makes_an_image_young(store, folder):
    await put(store)
    os.utime(place(folder), (1, 1))

    await put(store)

    assert await store.digests(older_than_ms=2_000) == []


async def test_an_upload_that_took_long_is_young_when_it_is_kept(store):
    upload = await store.begin()
    await upload.write(CONTENT)
    os.utime(upload.path, (1, 1))

    await upload.keep(DIGEST)

    assert await store.digests(older_than_ms=2_000) == []


async def test_publishing_again_mends_a_damaged_file(store, folder):
    await put(store)
    (await store.open(DIGEST)).close()
    os.truncate(place(folder), 100)
    damaged = await store.open(DIGEST)
    with pytest.raises(StoreUnavailableError):
        await damaged.read(0, len(CONTENT))
    damaged.close()

    await put(store)

    mended = await store.open(DIGEST)
    assert await mended.read(0, len(CONTENT)) == CONTENT
    mended.close()


async def test_a_file_that_became_shorter_is_never_read_short(store, folder):
    await put(store)
    blob = await store.open(DIGEST)
    os.truncate(place(folder), 5_000)

    assert blob.read_now(4_990, 20) is None
    with pytest.raises(StoreUnavailableError):
        await blob.read(4_990, 20)
    with pytest.raises(StoreUnavailableError):
        await blob.read(6_000, 20)
    assert await blob.read(4_990, 10) == CONTENT[4_990:5_000]
    blob.close()


async def test_thousands_of_readers_one_after_the_other_open_the_file_once(
    store, folder, monkeypatch
):
    await put(store)
    opened = []
    really_open = store._folder.open
    monkeypatch.setattr(
        store._folder, "open", lambda sha256: opened.append(sha256) or really_open(sha256)
    )

    for _ in range(2_000):
        blob = await store.open(DIGEST)
        await blob.read(0, 10) if not _ % 500 else blob.read_now(0, 2_048)
        blob.close()

    assert opened == [DIGEST]


async def test_simultaneous_readers_share_one_file(store, folder):
    await put(store)

    blobs = await asyncio.gather(*(store.open(DIGEST) for _ in range(50)))

    assert open_files(folder) == 1
    for blob in blobs:
        blob.close()


async def test_closing_a_reader_twice_takes_the_file_from_nobody(store):
    await put(store)
    first, second = await store.open(DIGEST), await store.open(DIGEST)

    first.close()
    first.close()
    await store.delete(DIGEST)

    assert await second.read(0, 5) == CONTENT[:5]
    second.close()


@pytest.mark.parametrize(("images", "still_open"), [(32, 32), (33, 32)])
async def test_only_some_files_stay_open_without_a_reader(store, folder, images, still_open):
    for number in range(images):
        sha256 = await put(store, b"image %d" % number)
        (await store.open(sha256)).close()

    assert open_files(folder) == still_open


async def test_the_file_that_was_not_read_for_longest_is_closed_first(tmp_path):
    files = OpenFiles(most_idle=2)
    for name in (b"a", b"b"):
        files.release(files.add(name, os.open(tmp_path, os.O_RDONLY), 1))
    files.release(files.take(b"a"))

    files.release(files.add(b"c", os.open(tmp_path, os.O_RDONLY), 1))

    assert files.take(b"b") is None
    files.release(files.take(b"a"))
    files.release(files.take(b"c"))
    files.close()
    assert open_files(tmp_path) == 0


async def test_a_deleted_image_takes_no_room_when_its_last_reader_is_gone(store, folder):
    await put(store)
    blob = await store.open(DIGEST)
    (await store.open(DIGEST)).close()
    await store.delete(DIGEST)
    while_open = open_files(folder)

    blob.close()

    assert while_open == 1
    assert open_files(folder) == 0


async def test_closing_the_store_leaves_no_file_open(folder):
    store = FileBlobStore(folder)
    await put(store)
    blob = await store.open(DIGEST)
    (await store.open(await put(store, b"another"))).close()

    await store.close()
    blob.close()

    assert open_files(folder) == 0


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="this system cannot read so")
async def test_what_lies_in_memory_is_read_at_once(store):
    await put(store)
    blob = await store.open(DIGEST)
    await blob.read(0, len(CONTENT))

    assert blob.read_now(1_000, 2_048) == CONTENT[1_000:3_048]
    blob.close()


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="this system cannot read so")
@pytest.mark.parametrize("more", [0, 1])
async def test_more_than_the_shared_buffer_holds_is_read_at_once_too(store, more):
    size = readers._BUFFER_BYTES + more
    content = hashlib.shake_128(b"large").digest(size)
    blob = await store.open(await put(store, content))
    await blob.read(0, size)

    assert blob.read_now(0, size) == content
    blob.close()


async def test_without_the_system_call_everything_is_read_in_a_thread(store, monkeypatch):
    await put(store)
    monkeypatch.setattr(readers, "_NOWAIT", None)
    blob = await store.open(DIGEST)

    assert blob.read_now(0, 10) is None
    assert await blob.read(0, 10) == CONTENT[:10]
    blob.close()


@pytest.mark.parametrize("code", sorted(readers._NOT_POSSIBLE))
async def test_a_system_that_cannot_is_asked_once(store, monkeypatch, code):
    await put(store)
    asked = []

    def refuse(*arguments):
        asked.append(arguments)
        raise OSError(code, "not here")

    monkeypatch.setattr(os, "preadv", refuse)
    blob = await store.open(DIGEST)

    assert [blob.read_now(0, 10), blob.read_now(0, 10)] == [None, None]
    assert len(asked) == 1
    blob.close()


async def test_what_is_not_in_memory_now_may_be_later(store, monkeypatch):
    await put(store)
    blob = await store.open(DIGEST)
    await blob.read(0, len(CONTENT))
    really_read = os.preadv
    answers = [BlockingIOError(11, "not now"), 5, None]

    def read(descriptor, buffers, *rest):
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer if answer is not None else really_read(descriptor, buffers, *rest)

    monkeypatch.setattr(os, "preadv", read)

    # The second answer is what the system gives when only the first bytes are there.
    assert [blob.read_now(0, 10) for _ in range(2)] == [None, None]
    monkeypatch.undo()
    assert blob.read_now(0, 10) in {CONTENT[:10], None}
    blob.close()


async def test_a_cancelled_read_closes_the_file_only_when_its_thread_is_done(
    store, folder, monkeypatch
):
    await put(store)
    blob = await store.open(DIGEST)
    has_begun, may_end = threading.Event(), threading.Event()
    really_read = os.pread
    found = []

    def read(*arguments):
        has_begun.set()
        may_end.wait(10)
        found.append(really_read(*arguments))
        return found[0]

    monkeypatch.setattr(os, "pread", read)
    task = asyncio.create_task(blob.read(0, 10))
    await asyncio.to_thread(has_begun.wait, 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    blob.close()
    await store.delete(DIGEST)
    while_reading = open_files(folder)
    may_end.set()
    await store._readers.close()

    assert while_reading == 1
    assert found == [CONTENT[:10]]
    assert open_files(folder) == 0


@pytest.mark.parametrize("kind", ["begin", "open"])
async def test_who_gives_up_waiting_leaves_no_file_open(store, folder, monkeypatch, kind):
    await put(store)
    has_begun, may_end = threading.Event(), threading.Event()
    really_do = getattr(store._folder, kind)

    def slowly(*arguments):
        has_begun.set()
        may_end.wait(10)
        return really_do(*arguments)

    monkeypatch.setattr(store._folder, kind, slowly)
    task = asyncio.create_task(store.begin() if kind == "begin" else store.open(DIGEST))
    await asyncio.to_thread(has_begun.wait, 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    may_end.set()
    await store.close()

    assert open_files(folder) == 0
    assert parts(folder) == []


async def test_discarding_waits_for_a_write_that_was_cancelled(store, folder, monkeypatch):
    upload = await store.begin()
    has_begun, may_end = threading.Event(), threading.Event()
    really_write = os.write

    def write(*arguments):
        has_begun.set()
        may_end.wait(10)
        return really_write(*arguments)

    monkeypatch.setattr(os, "write", write)
    task = asyncio.create_task(upload.write(CONTENT))
    await asyncio.to_thread(has_begun.wait, 10)
    task.cancel()
    discarding = asyncio.create_task(upload.discard())
    await asyncio.gather(task, return_exceptions=True)
    while_writing = open_files(folder)
    may_end.set()
    await discarding

    assert while_writing == 1
    assert open_files(folder) == 0
    assert parts(folder) == []


@pytest.mark.parametrize(("waiting", "is_refused"), [(1, False), (2, True)])
async def test_only_some_calls_wait_for_the_disk(waiting, is_refused):
    workers = Workers("test", threads=1, most=2)
    may_end = threading.Event()
    ended = []
    tasks = [
        asyncio.create_task(workers.run(may_end.wait, at_end=lambda: ended.append(True)))
        for _ in range(waiting)
    ]
    await asyncio.sleep(0)

    further = asyncio.create_task(workers.run(int, at_end=lambda: ended.append(False)))
    await asyncio.sleep(0)
    ended_already = list(ended)
    may_end.set()
    results = await asyncio.gather(*tasks, further, return_exceptions=True)

    assert isinstance(results[-1], OverloadedError) == is_refused
    assert ended_already == ([False] if is_refused else [])
    await workers.close()
    assert len(ended) == waiting + 1
