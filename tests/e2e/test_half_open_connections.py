"""5,000 MQTT clients that never introduce themselves cost little and keep nobody out."""

import asyncio
import os
import resource
from pathlib import Path

import pytest

from support.in_process import free_port
from support.mqtt import connected, resource_topic
from support.process import server_process

COUNT = 5_000
HALF_A_CONNECT = b"\x10\x0d\x00\x04MQTT\x04"
MOST_GROWTH_BYTES = 25 * 1024 * 1024


def resident_bytes(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def _many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < COUNT + 500:
        pytest.skip(f"at most {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, COUNT + 500), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_many_files")
async def test_half_open_connections_cost_little_and_are_cut_off(tmp_path):
    port = free_port()
    with server_process(tmp_path / "folder", "--mqtt-port", str(port)) as server:
        async with connected(port, 5) as client:
            await client.publish(resource_topic(server.token), b"1")
        before = resident_bytes(server.process.pid)
        silent = []
        for begin in range(0, COUNT, 100):
            silent += await asyncio.gather(
                *(
                    asyncio.open_connection("127.0.0.1", port)
                    for _ in range(begin, min(begin + 100, COUNT))
                )
            )
        for _, writer in silent[::2]:
            writer.write(HALF_A_CONNECT)
        async with connected(port, 5) as client:
            await client.publish(resource_topic(server.token), b"2")
        during = resident_bytes(server.process.pid)
        async with asyncio.timeout(30):
            ends = await asyncio.gather(*(reader.read() for reader, _ in silent))
        async with connected(port, 5) as client:
            await client.publish(resource_topic(server.token), b"3")
        after = resident_bytes(server.process.pid)
        for _, writer in silent:
            writer.close()

    assert ends == [b""] * COUNT
    assert during - before < MOST_GROWTH_BYTES
    assert after - before < MOST_GROWTH_BYTES
