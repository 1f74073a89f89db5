"""A download that is cut 500 times at random bytes, and goes on each time where it stopped."""

import hashlib
import random

import pytest

from support.firmware import content_of
from support.wire import connect, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

CUTS = 500
SIZE = 1_048_576
CONTENT = content_of(SIZE)
PATIENCE_SECONDS = 60


async def fetch_some(address, path, have, etag, most):
    """Ask for the rest on a connection of its own, take at most `most` bytes, and cut it."""
    headers = {"Range": f"bytes={len(have)}-"}
    if etag:
        headers["If-Range"] = etag
    async with connect(address) as wire:
        await wire.send(request("GET", path, headers=headers))
        head = await wire.read_head()
        assert head.status == 206
        assert head.get("Content-Range") == f"bytes {len(have)}-{SIZE - 1}/{SIZE}"
        assert int(head.get("Content-Length")) == SIZE - len(have)
        left = min(most, SIZE - len(have))
        while left:
            piece = await wire.reader.read(left)
            assert piece
            have += piece
            left -= len(piece)
    return head.get("ETag")


async def test_image_is_the_same_after_500_cuts_at_random_bytes(fleet, device):
    dice = random.Random(500)
    firmware = await fleet.publish(CONTENT)
    path = f"{device.firmwares}/download/{firmware.id}"
    have, etag = bytearray(), None
    for cut in range(CUTS):
        # Sometimes a lot, sometimes a byte or nothing at all, and always enough for the others.
        room = SIZE - len(have) - (CUTS - cut)
        most = min(room, dice.choice([0, 1, 100, 2_048, 4_000, dice.randint(0, 20_000)]))
        etag = await fetch_some(fleet.server.address, path, have, etag, most)
    await fetch_some(fleet.server.address, path, have, etag, SIZE)

    assert hashlib.sha256(have).digest() == firmware.digests.sha256


async def test_new_image_under_a_new_id_is_never_mixed_with_the_old_one(fleet, device):
    old = await fleet.publish(CONTENT, "1")
    etag = (await device.download(old, "HEAD")).get("ETag")
    new = await fleet.publish(content_of(SIZE, seed=9), "2")

    got = await device.download(new, headers={"Range": "bytes=500000-", "If-Range": etag})

    assert got.status == 200
    assert hashlib.sha256(got.body).digest() == new.digests.sha256
