"""What the errors of files and buckets mean to the platform.

Texts name no path and no address: they may end up with a device. The original error is the cause.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from thingstead.kernel.errors import StorageFullError, StoreUnavailableError

RETRY_AFTER_S = 2
# EFBIG: a limit of the process or of the file system; freeing or allowing room helps there too.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class BucketUnavailableError(StoreUnavailableError):
    """The bucket that keeps the images did not take the request."""

    code = "bucket-unavailable"
    message = "The store of images is not available"
    advice = (
        "Check the setting `blobs`, the bucket, and the server's AWS_* environment variables;"
        " the server's log has the reason."
    )


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise the system's errors from the block as the platform's, the original as their cause.

    Raises:
        StorageFullError: there is no room.
        StoreUnavailableError: files cannot be read or written for another reason.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise StorageFullError from exc
        raise StoreUnavailableError(
            f"the bytes of images: {exc.strerror or 'no reason given'}",
            retry_after_s=RETRY_AFTER_S,
        ) from exc
