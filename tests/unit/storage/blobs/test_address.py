"""The setting that names a bucket."""

import sys

import pytest

from thingstead.storage.blobs.address import BucketAddress, parse_address
from thingstead.storage.blobs.files import FileBlobStore
from thingstead.storage.blobs.opening import open_blobs


def address(**named):
    defaults = {
        "bucket": "images",
        "prefix": "",
        "endpoint": None,
        "region": None,
        "has_path_style": False,
        "may_use_http": False,
    }
    return BucketAddress(**(defaults | named))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://images", address()),
        ("s3://images/", address()),
        ("s3://images/fleet/one/", address(prefix="fleet/one")),
        ("s3://images?region=eu-west-1", address(region="eu-west-1")),
        ("s3://my.images", address(bucket="my.images", has_path_style=True)),
        (
            "s3://images?endpoint=https://s3.example:9000/",
            address(endpoint="https://s3.example:9000", has_path_style=True),
        ),
        (
            "s3://images?endpoint=https://s3.example&path_style=false",
            address(endpoint="https://s3.example"),
        ),
        (
            "s3://images?endpoint=http%3A%2F%2Fminio&allow_http=true",
            address(endpoint="http://minio", has_path_style=True, may_use_http=True),
        ),
        (f"s3://{'a' * 63}", address(bucket="a" * 63)),
        (f"s3://images/{'a' * 256}", address(prefix="a" * 256)),
    ],
)
def test_an_address_is_read(url, expected):
    assert parse_address(url) == expected


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://images", "s3://"),
        ("s3:/images", "bucket"),
        ("s3://", "bucket"),
        ("s3://ab", "3 to 63"),
        (f"s3://{'a' * 64}", "3 to 63"),
        ("s3://images:9000", "bucket"),
        ("s3://images/a//b", "prefix"),
        ("s3://images/../other", "prefix"),
        ("s3://images/a%20b", "prefix"),
        (f"s3://images/{'a' * 257}", "256"),
        ("s3://images?colour=red", "only endpoint, region"),
        ("s3://images?region=a&region=b", "twice"),
        ("s3://images?region=", "region"),
        ("s3://images?region=eu_west", "region"),
        ("s3://images?path_style=yes", "path_style"),
        ("s3://images?endpoint=minio", "endpoint"),
        ("s3://images?endpoint=ftp://minio", "endpoint"),
        ("s3://images?endpoint=https://a:b", "endpoint"),
        ("s3://images?endpoint=https://minio%3Fa=b", "endpoint"),
        ("s3://images?endpoint=http://minio", "allow_http=true"),
        ("s3://images?region", "cannot be read"),
        ("s3://images#part", "#"),
    ],
)
def test_what_is_wrong_with_an_address_is_told(url, reason):
    with pytest.raises(ValueError, match=reason):
        parse_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://NAME:HUSH@images",
        "s3://images?endpoint=https://NAME:HUSH@minio",
        "s3://images?secret=HUSH",
        "s3://images?HUSH",
        "s3://[HUSH",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(url):
    with pytest.raises(ValueError, match=r".") as caught:
        parse_address(url)

    assert "HUSH" not in str(caught.value)


async def test_without_an_address_images_lie_in_files(tmp_path):
    store = open_blobs(tmp_path / "blobs", None)

    assert isinstance(store, FileBlobStore)
    await store.close()


def test_a_missing_library_is_named_with_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    for name in ("bucket", "s3"):
        monkeypatch.delitem(sys.modules, f"thingstead.storage.blobs.{name}", raising=False)

    with pytest.raises(ValueError, match=r'pip install "thingstead\[s3\]"'):
        open_blobs(tmp_path, "s3://images")
