"""What every store of images promises."""

import asyncio
import hashlib
import time

import pytest

from doubles.blobs import MemoryBlobStore
from support.s3 import s3_server, set_credentials
from thingstead.kernel.errors import StoreUnavailableError
from thingstead.storage.blobs.opening import open_blobs

CONTENT = bytes(range(256)) * 40
AN_HOUR_MS = 3_600_000
# More than one part of an upload to a bucket.
LARGE = 6 * 1024 * 1024


@pytest.fixture(scope="session")
def server():
    with s3_server() as running:
        yield running


@pytest.fixture(params=["memory", "files", "s3"])
async def reopen(request, tmp_path, monkeypatch):
    """Opens the same images again, as another process would; for a bucket, without its copies."""
    opened = []
    memory = MemoryBlobStore()
    url = None
    if request.param == "s3":
        running = request.getfixturevalue("server")
        set_credentials(monkeypatch)
        url = running.url(running.make_bucket())

    def again():
        if request.param == "memory":
            return memory
        folder = tmp_path / (f"copy {len(opened)}" if url else "blobs")
        opened.append(open_blobs(folder, url))
        return opened[-1]

    yield again
    for store in opened:
        await store.close()


@pytest.fixture
def store(reopen):
    return reopen()


async def put(store, content=CONTENT):
    upload = await store.begin()
    for start in range(0, len(content), 1_000_000):
        await upload.write(content[start : start + 1_000_000])
    sha256 = hashlib.sha256(content).digest()
    await upload.keep(sha256)
    return sha256


async def whole(store, sha256):
    blob = await store.open(sha256)
    try:
        return await blob.read(0, blob.size)
    finally:
        blob.close()


def now_ms():
    return time.time_ns() // 1_000_000


async def test_what_was_kept_is_read_back(store):
    sha256 = await put(store)

    assert await whole(store, sha256) == CONTENT


async def test_another_process_reads_it_too(store, reopen):
    sha256 = await put(store)

    assert await whole(reopen(), sha256) == CONTENT


async def test_a_large_image_is_read_back(store, reopen):
    content = hashlib.shake_128(b"firmware").digest(LARGE)

    sha256 = await put(store, content)

    assert await whole(reopen(), sha256) == content


async def test_an_empty_image_is_read_back(store, reopen):
    sha256 = await put(store, b"")

    assert await whole(reopen(), sha256) == b""


async def test_an_open_image_tells_its_size(store):
    blob = await store.open(await put(store))

    assert blob.size == len(CONTENT)
    blob.close()


@pytest.mark.parametrize(
    ("start", "size"),
    [(0, 1), (0, 2_048), (5_000, 1_000), (10_239, 1), (0, 10_240)],
)
async def test_a_part_is_read(store, start, size):
    blob = await store.open(await put(store))

    assert await blob.read(start, size) == CONTENT[start : start + size]
    assert blob.read_now(start, size) in {CONTENT[start : start + size], None}
    blob.close()


@pytest.mark.parametrize(
    ("start", "size", "expected"),
    [(10_239, 2, CONTENT[-1:]), (0, 99_999, CONTENT), (10_240, 5, b""), (99_999, 5, b"")],
)
async def test_at_the_end_there_is_less(store, start, size, expected):
    blob = await store.open(await put(store))

    assert await blob.read(start, size) == expected
    assert blob.read_now(start, size) in {expected, None}
    blob.close()


async def test_one_that_was_never_kept_cannot_be_opened(store):
    with pytest.raises(StoreUnavailableError):
        await store.open(hashlib.sha256(CONTENT).digest())


async def test_nobody_sees_an_upload_before_it_is_kept(store):
    upload = await store.begin()
    await upload.write(CONTENT)

    with pytest.raises(StoreUnavailableError):
        await store.open(hashlib.sha256(CONTENT).digest())
    assert await store.digests(older_than_ms=now_ms() + AN_HOUR_MS) == []
    await upload.discard()


async def test_nobody_sees_a_discarded_upload(store):
    upload = await store.begin()
    await upload.write(CONTENT)

    await upload.discard()
    await upload.discard()

    with pytest.raises(StoreUnavailableError):
        await store.open(hashlib.sha256(CONTENT).digest())


async def test_discarding_what_was_kept_does_nothing(store):
    upload = await store.begin()
    await upload.write(CONTENT)
    sha256 = hashlib.sha256(CONTENT).digest()
    await upload.keep(sha256)

    await upload.discard()

    assert await whole(store, sha256) == CONTENT


async def test_an_upload_can_be_read_while_it_grows(store):
    upload = await store.begin()
    await upload.write(CONTENT[:3_000])
    first = await upload.read(2_990, 100)
    await upload.write(CONTENT[3_000:])

    assert first == CONTENT[2_990:3_000]
    assert await upload.read(2_990, 100) == CONTENT[2_990:3_090]
    await upload.discard()


async def test_reading_an_upload_does_not_move_where_it_is_written(store):
    upload = await store.begin()
    await upload.write(b"one")
    await upload.read(0, 2)
    await upload.write(b"two")
    sha256 = hashlib.sha256(b"onetwo").digest()

    await upload.keep(sha256)

    assert await whole(store, sha256) == b"onetwo"


async def test_the_same_bytes_twice_are_kept_once(store):
    first = await put(store)
    second = await put(store)

    assert first == second
    assert await store.digests(older_than_ms=now_ms() + AN_HOUR_MS) == [first]
    assert await whole(store, first) == CONTENT


async def test_the_same_bytes_may_be_on_their_way_twice_at_once(store):
    sha256, _ = await asyncio.gather(put(store), put(store))

    assert await whole(store, sha256) == CONTENT


async def test_many_may_open_an_image_at_once(store, reopen):
    sha256 = await put(store)
    other = reopen()

    blobs = await asyncio.gather(*(other.open(sha256) for _ in range(20)))

    parts = await asyncio.gather(*(blob.read(100, 50) for blob in blobs))
    assert parts == [CONTENT[100:150]] * 20
    for blob in blobs:
        blob.close()


async def test_who_closes_an_image_closes_it_for_nobody_else(store):
    sha256 = await put(store)
    first, second = await store.open(sha256), await store.open(sha256)

    first.close()

    assert await second.read(0, 10) == CONTENT[:10]
    second.close()


async def test_a_deleted_image_cannot_be_opened(store, reopen):
    sha256 = await put(store)

    await store.delete(sha256)

    for each in (store, reopen()):
        with pytest.raises(StoreUnavailableError):
            await each.open(sha256)


async def test_who_has_a_deleted_image_open_can_still_read_it(store):
    sha256 = await put(store)
    blob = await store.open(sha256)

    await store.delete(sha256)

    assert await blob.read(0, len(CONTENT)) == CONTENT
    blob.close()


async def test_deleting_what_is_not_there_does_nothing(store):
    await store.delete(hashlib.sha256(CONTENT).digest())
    await store.delete(hashlib.sha256(CONTENT).digest(), older_than_ms=now_ms())


async def test_a_deleted_image_can_be_kept_again(store):
    sha256 = await put(store)
    await store.delete(sha256)

    await put(store)

    assert await whole(store, sha256) == CONTENT


async def test_only_digests_of_older_images_are_told(store):
    sha256 = await put(store)
    kept_at_ms = getattr(store, "kept_at_ms", {}).get(sha256, now_ms())

    assert await store.digests(older_than_ms=kept_at_ms - AN_HOUR_MS) == []
    assert await store.digests(older_than_ms=kept_at_ms + AN_HOUR_MS) == [sha256]


async def test_an_image_that_was_kept_since_then_is_not_deleted(store):
    sha256 = await put(store)
    kept_at_ms = getattr(store, "kept_at_ms", {}).get(sha256, now_ms())

    await store.delete(sha256, older_than_ms=kept_at_ms - AN_HOUR_MS)
    is_there_still = await whole(store, sha256) == CONTENT
    await store.delete(sha256, older_than_ms=kept_at_ms + AN_HOUR_MS)

    assert is_there_still
    with pytest.raises(StoreUnavailableError):
        await store.open(sha256)


async def test_tidying_leaves_uploads_that_are_under_way(store):
    upload = await store.begin()
    await upload.write(CONTENT)

    tidied = await store.tidy()
    sha256 = hashlib.sha256(CONTENT).digest()
    await upload.keep(sha256)

    assert tidied == 0
    assert await whole(store, sha256) == CONTENT
