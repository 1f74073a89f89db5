"""Files that change, or cannot be read, while they are published."""

import os

import pytest

from thingstead.cli.firmware import _CHUNK_BYTES, _chunks
from thingstead.features.firmware.errors import UnusableImageError


async def read(file, advance=lambda _: None):
    return b"".join([chunk async for chunk in _chunks(file, advance)])


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "station.bin"
    path.write_bytes(b"x" * 10)
    return path


async def test_a_file_is_read_whole_and_from_where_it_stands(path):
    with path.open("rb") as file:
        assert await read(file) == b"x" * 10
    with path.open("rb") as file:
        file.seek(4)

        assert await read(file) == b"x" * 6


@pytest.mark.parametrize("change", [-1, 1])
async def test_a_file_that_somebody_still_writes_is_refused(path, change):
    size = 2 * _CHUNK_BYTES
    os.truncate(path, size)

    with path.open("rb") as file, pytest.raises(UnusableImageError, match="changed while"):
        await read(file, lambda _: os.truncate(path, size + change))


async def test_a_file_that_cannot_be_read_is_blamed_itself(path):
    with path.open("ab") as file, pytest.raises(UnusableImageError, match="cannot be read"):
        await read(file)
