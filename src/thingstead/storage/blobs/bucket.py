"""A bucket of an S3-compatible store, through obstore (a binding of Rust's object_store).

Credentials come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or from the
role of the machine or container that AWS's other variables name. They are never logged.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from thingstead.storage.blobs.address import BucketAddress
from thingstead.storage.blobs.failures import RETRY_AFTER_S, BucketUnavailableError

if TYPE_CHECKING:
    # It is there for type checkers only.
    from obstore.store import S3Config

# A whole image of 1 GiB takes a quarter of an hour at 10 Mbit/s.
_WHOLE_S = 15 * 60
_SHORT_S = 60
_RETRIES = 3
_PART_BYTES = 5 * 1024 * 1024
_PARTS_AT_ONCE = 2
_CHUNK_BYTES = 256 * 1024
_REASON_CHARACTERS = 600

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """An object of the bucket; the key is without the prefix."""

    key: str
    size: int
    stored_at_ms: int


class Bucket:
    """Puts, fetches, lists and deletes objects below the prefix; every call is bounded in time.

    All methods raise `BucketUnavailableError` when the bucket cannot be reached or refuses.
    """

    def __init__(self, address: BucketAddress) -> None:
        """Connect to nothing yet.

        Raises:
            ValueError: address or environment cannot be used.
        """
        self._name = address.bucket
        try:
            self._store = _store(address)
        except BaseError as exc:
            raise ValueError(f"the bucket cannot be used: {_reason(exc)}") from None

    async def put(self, key: str, path: Path) -> None:
        """Store the file's bytes under the key; in place of what was there."""
        async with self._bounded(_WHOLE_S):
            await obstore.put_async(
                self._store,
                key,
                path,
                chunk_size=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )

    async def fetch(self, key: str) -> AsyncGenerator[bytes, None]:
        """Give the object's bytes out in pieces of some 256 KiB."""
        async with self._bounded(_WHOLE_S):
            found = await obstore.get_async(self._store, key)
            pieces = aiter(found.stream(min_chunk_size=_CHUNK_BYTES))
        while True:
            async with self._bounded(_SHORT_S):
                piece = await anext(pieces, None)
            if piece is None:
                return
            yield bytes(piece)

    async def find(self, key: str) -> Stored | None:
        """Return size and time of the object; None when it is not there."""
        async with self._bounded(_SHORT_S):
            try:
                found = await obstore.head_async(self._store, key)
            except FileNotFoundError:
                return None
        return Stored(key, found["size"], _ms(found["last_modified"]))

    async def all(self) -> AsyncIterator[Stored]:
        """Give all objects out, page after page."""
        pages = aiter(obstore.list(self._store))
        while True:
            async with self._bounded(_SHORT_S):
                page = await anext(pages, None)
            if page is None:
                return
            for each in page:
                yield Stored(each["path"], each["size"], _ms(each["last_modified"]))

    async def delete(self, key: str) -> None:
        """Delete the object; one that is not there is deleted already."""
        async with self._bounded(_SHORT_S):
            try:
                await obstore.delete_async(self._store, key)
            except FileNotFoundError:
                return

    @asynccontextmanager
    async def _bounded(self, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except (PermissionDeniedError, UnauthenticatedError) as exc:
            raise self._unavailable("the bucket refuses the credentials", exc) from exc
        except FileNotFoundError as exc:
            raise self._unavailable("the bucket, or the image in it, is missing", exc) from exc
        except (BaseError, OSError) as exc:
            raise self._unavailable("the bucket cannot be reached", exc) from exc

    def _unavailable(self, what: str, exc: Exception) -> BucketUnavailableError:
        _log.warning("bucket %s: %s: %s", self._name, what, _reason(exc))
        return BucketUnavailableError(what, retry_after_s=RETRY_AFTER_S)


def _store(address: BucketAddress) -> S3Store:
    endpoint = address.endpoint
    if endpoint is not None and not address.has_path_style:
        # The library takes the host as it is when the bucket shall stand in its name.
        scheme, _, host = endpoint.partition("://")
        endpoint = f"{scheme}://{address.bucket}.{host}"
    config: S3Config = {"virtual_hosted_style_request": not address.has_path_style}
    if endpoint is not None:
        config["endpoint"] = endpoint
    if address.region is not None:
        config["region"] = address.region
    return S3Store(
        address.bucket,
        prefix=address.prefix or None,
        config=config,
        client_options={
            "allow_http": address.may_use_http,
            "connect_timeout": timedelta(seconds=5),
            "read_timeout": timedelta(seconds=30),
            "timeout": timedelta(seconds=_WHOLE_S),
        },
        retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=30)},
    )


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)


def _reason(exc: Exception) -> str:
    """Return the beginning of the error's first line.

    What a server answered follows in angle brackets; Amazon repeats the key's id there, and the
    text that should have been signed.
    """
    return str(exc).partition("\n")[0].partition("<")[0][:_REASON_CHARACTERS]
