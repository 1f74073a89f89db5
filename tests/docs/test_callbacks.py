"""The pages about callbacks and UDP say what the program does."""

import asyncio
import json
import re
from pathlib import Path

from support.in_process import served
from thingstead.features.devices.decoding import parse_decoder
from thingstead.transports.udp.server import UDPServer, UDPServices
from thingstead.transports.udp.statuses import Status

DOCS = Path(__file__).parents[2] / "docs"
CALLBACKS = (DOCS / "callbacks.md").read_text("utf-8")
UDP = (DOCS / "udp.md").read_text("utf-8")


def test_the_examples_of_the_decoder_decode_so():
    rows = re.findall(r"^\| `([^`]+)` \| `([0-9a-f]+)` \| `(\{.*\})` \|$", CALLBACKS, re.M)

    decoded = [parse_decoder(text).decode(bytes.fromhex(data)) for text, data, _ in rows]

    assert decoded == [json.loads(values) for _, _, values in rows]
    assert len(rows) == 5


def test_every_status_byte_that_is_sent_is_explained():
    explained = re.findall(r"^\| `([0-9a-f]{2})` \|", UDP, re.M)

    assert sorted(explained) == sorted(f"{status:02x}" for status in Status)


async def test_the_udp_example_works(tmp_path, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", UDP, re.S)
    async with served(tmp_path / "folder") as server:
        platform = server.platform
        services = UDPServices(platform.devices, platform.things, platform.values)
        gateway = UDPServer(services, platform.clock)
        await gateway.start("127.0.0.1", 0)
        program = example.replace("THING_TOKEN", await server.new_token())
        program = program.replace("localhost", "127.0.0.1").replace("28399", str(gateway.port))

        await asyncio.to_thread(exec, program, {})
        await gateway.drain()

    assert capsys.readouterr().out == "stored\n"
