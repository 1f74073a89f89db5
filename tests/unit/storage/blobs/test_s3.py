"""What images in a bucket promise beyond what every store does."""

import asyncio
import hashlib
import logging

import obstore
import pytest

from support.s3 import KEY_ID, SECRET, s3_server, set_credentials
from thingstead.kernel.errors import StoreUnavailableError
from thingstead.storage.blobs.address import parse_address
from thingstead.storage.blobs.bucket import Bucket
from thingstead.storage.blobs.failures import BucketUnavailableError
from thingstead.storage.blobs.files import FileBlobStore
from thingstead.storage.blobs.folder import name_of
from thingstead.storage.blobs.s3 import S3BlobStore

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).digest()


@pytest.fixture(scope="module")
def server():
    with s3_server() as running:
        yield running


class CountingBucket(Bucket):
    """Counts what is fetched; everything goes to the real server."""

    fetched = 0

    def __init__(self, address):
        super().__init__(address)
        self.has_begun = asyncio.Event()

    async def fetch(self, key):
        self.fetched += 1
        self.has_begun.set()
        async for piece in super().fetch(key):
            yield piece


@pytest.fixture
def bucket(server, monkeypatch):
    set_credentials(monkeypatch)
    return CountingBucket(parse_address(server.url(server.make_bucket())))


@pytest.fixture
async def open_store(bucket, tmp_path):
    """Opens the images with a cache of its own, as on another machine."""
    opened = []

    def new(to=bucket, **named):
        opened.append(S3BlobStore(to, FileBlobStore(tmp_path / str(len(opened))), **named))
        return opened[-1]

    yield new
    for store in opened:
        await store.close()


async def put(store, content=CONTENT):
    upload = await store.begin()
    try:
        await upload.write(content)
        sha256 = hashlib.sha256(content).digest()
        await upload.keep(sha256)
    finally:
        await upload.discard()
    return sha256


async def look(store, sha256):
    """Open the image, look at its beginning, close it."""
    blob = await store.open(sha256)
    try:
        return await blob.read(0, 10)
    finally:
        blob.close()


def cached(folder):
    return {
        bytes.fromhex(each.parent.name + each.name)
        for each in folder.glob("??/*")
        if each.is_file()
    }


async def test_who_published_an_image_fetches_it_not(open_store, bucket):
    store = open_store()

    await look(store, await put(store))

    assert bucket.fetched == 0


async def test_all_who_wait_share_one_fetch(open_store, bucket):
    await put(open_store())
    other = open_store()

    found = await asyncio.gather(*(look(other, DIGEST) for _ in range(50)))

    assert found == [CONTENT[:10]] * 50
    assert bucket.fetched == 1


async def test_who_gives_up_waiting_stops_it_for_nobody_else(open_store, bucket):
    await put(open_store())
    other = open_store()
    impatient = asyncio.create_task(look(other, DIGEST))
    patient = asyncio.create_task(look(other, DIGEST))
    await bucket.has_begun.wait()

    impatient.cancel()

    assert await patient == CONTENT[:10]
    assert bucket.fetched == 1


async def test_what_was_fetched_is_not_fetched_again(open_store, bucket):
    await put(open_store())
    other = open_store()

    for _ in range(3):
        await look(other, DIGEST)

    assert bucket.fetched == 1


async def test_closing_breaks_a_fetch_off_and_leaves_nothing(open_store, bucket, tmp_path):
    await put(open_store())
    other = open_store()
    waiting = asyncio.create_task(look(other, DIGEST))
    await bucket.has_begun.wait()

    await other.close()
    await asyncio.gather(waiting, return_exceptions=True)

    assert list((tmp_path / "1" / "incoming").glob("*")) == []


async def test_bytes_that_are_not_the_images_are_shown_to_nobody(open_store, bucket, tmp_path):
    await obstore.put_async(bucket._store, name_of(DIGEST), b"\1" + CONTENT[1:])
    store = open_store()

    with pytest.raises(BucketUnavailableError):
        await store.open(DIGEST)

    assert cached(tmp_path / "0") == set()
    assert list((tmp_path / "0" / "incoming").glob("*")) == []


async def test_after_a_failed_fetch_the_next_one_may_succeed(open_store, bucket):
    store = open_store()
    with pytest.raises(BucketUnavailableError):
        await store.open(DIGEST)
    await put(open_store())

    assert await look(store, DIGEST) == CONTENT[:10]


@pytest.mark.parametrize(("cache_bytes", "stay"), [(3_000, 3), (2_999, 2)])
async def test_only_so_many_bytes_stay_on_this_machine(open_store, tmp_path, cache_bytes, stay):
    store = open_store(cache_bytes=cache_bytes)

    for number in range(3):
        await put(store, bytes([number]) * 1_000)

    assert len(cached(tmp_path / "0")) == stay


async def test_what_was_not_used_for_longest_goes_first(open_store, bucket, tmp_path):
    clock = Ticks()
    store = open_store(cache_bytes=2_000, clock=clock)
    first, second = [await put(store, bytes([number]) * 1_000) for number in range(2)]
    await look(store, second)
    await look(store, first)

    third = await put(store, b"\2" * 1_000)

    assert cached(tmp_path / "0") == {first, third}
    assert await look(store, second) == b"\1" * 10
    assert bucket.fetched == 1


async def test_an_image_larger_than_the_cache_is_served_all_the_same(open_store, tmp_path):
    await put(open_store())
    small = open_store(cache_bytes=100)

    assert await look(small, DIGEST) == CONTENT[:10]
    assert cached(tmp_path / "1") == {DIGEST}


async def test_the_images_lie_below_the_prefix(open_store, bucket):
    await put(open_store())

    pages = [page async for page in obstore.list(bucket._store)]

    assert [each["path"] for page in pages for each in page] == [name_of(DIGEST)]
    assert bucket._store.prefix == "fleet"


async def test_other_objects_in_the_bucket_are_no_images(open_store, bucket):
    await obstore.put_async(bucket._store, "ab/notes.txt", b"text")

    assert await open_store().digests(older_than_ms=2**50) == []


async def test_a_bucket_that_stores_less_than_it_got_is_noticed(open_store, bucket, monkeypatch):
    async def put_less(key, _path):
        await obstore.put_async(bucket._store, key, CONTENT[:-1])

    monkeypatch.setattr(bucket, "put", put_less)
    store = open_store()

    with pytest.raises(BucketUnavailableError):
        await put(store)

    monkeypatch.undo()


async def test_a_missing_bucket_is_told_and_nothing_stays_behind(
    open_store, server, tmp_path, monkeypatch
):
    store = open_store(Bucket(parse_address(server.url("nobodys-bucket"))))

    with pytest.raises(BucketUnavailableError, match="missing"):
        await put(store)

    assert cached(tmp_path / "0") == set()
    assert list((tmp_path / "0" / "incoming").glob("*")) == []


async def test_a_server_that_is_not_there_is_told_with_advice(open_store, caplog, monkeypatch):
    set_credentials(monkeypatch)
    url = "s3://images?endpoint=http://127.0.0.1:1&allow_http=true"
    store = open_store(Bucket(parse_address(url)))

    with caplog.at_level(logging.DEBUG), pytest.raises(BucketUnavailableError) as caught:
        await store.open(DIGEST)

    assert isinstance(caught.value, StoreUnavailableError)
    assert "AWS_" in caught.value.advice
    assert "127.0.0.1" not in str(caught.value)
    assert "bucket images" in caplog.text
    assert SECRET not in caplog.text
    assert KEY_ID not in caplog.text


_REFUSAL = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nConnection: close\r\n\r\n"
    b"<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>" + KEY_ID.encode() + b"</AWSAccess"
)


async def test_refused_credentials_are_told_and_never_logged(open_store, caplog, monkeypatch):
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_REFUSAL)
        writer.close()
        await writer.wait_closed()

    set_credentials(monkeypatch)
    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as refusing:
        port = refusing.sockets[0].getsockname()[1]
        url = f"s3://images?endpoint=http://127.0.0.1:{port}&allow_http=true"
        store = open_store(Bucket(parse_address(url)))

        with caplog.at_level(logging.DEBUG), pytest.raises(BucketUnavailableError, match="refuses"):
            await store.open(DIGEST)

    assert "403" in caplog.text
    assert SECRET not in caplog.text
    assert KEY_ID not in caplog.text


def test_the_bucket_may_stand_in_the_name_of_the_host(monkeypatch):
    set_credentials(monkeypatch)

    bucket = Bucket(parse_address("s3://images?endpoint=https://s3.example&path_style=false"))

    assert bucket._store.config["endpoint"] == "https://images.s3.example"


def test_an_environment_that_cannot_be_used_is_told(monkeypatch):
    set_credentials(monkeypatch)
    monkeypatch.setenv("AWS_CHECKSUM_ALGORITHM", "crc7")

    with pytest.raises(ValueError, match="the bucket cannot be used"):
        Bucket(parse_address("s3://images"))


class Ticks:
    """A clock that goes on with every look at it, after all files of the test were made."""

    def __init__(self):
        self._at_ms = 2**45

    def now_ms(self):
        self._at_ms += 1
        return self._at_ms

    def monotonic(self):
        return self._at_ms / 1_000
