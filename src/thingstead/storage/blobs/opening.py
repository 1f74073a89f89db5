"""Which store keeps the images, by the setting `blobs`."""

from pathlib import Path

from thingstead.features.firmware.ports import BlobStore
from thingstead.storage.blobs.address import parse_address
from thingstead.storage.blobs.files import FileBlobStore

# Beside the images of a platform that kept them in files before: those must not look like copies
# that can be fetched again.
_CACHE = "cache"


def open_blobs(folder: Path, url: str | None) -> BlobStore:
    """Return the store; nothing is read, made or connected to yet.

    `folder` holds the images, or with an address of a bucket copies of what is asked for.

    Raises:
        ValueError: the address cannot be read, or what it needs is not installed.
    """
    if url is None:
        return FileBlobStore(folder)
    address = parse_address(url)
    try:
        from thingstead.storage.blobs.bucket import Bucket  # noqa: PLC0415  # It is optional.
        from thingstead.storage.blobs.s3 import S3BlobStore  # noqa: PLC0415
    except ModuleNotFoundError as exc:
        if exc.name != "obstore":
            raise
        raise ValueError('s3:// needs one more package: pip install "thingstead[s3]"') from exc
    return S3BlobStore(Bucket(address), FileBlobStore(folder / _CACHE))
