"""The gateway on the event loop that servers run on, whose transports are of other classes."""

import asyncio

import uvloop

from support.in_process import served
from support.udp import UDPDevice
from thingstead.transports.udp.server import UDPServer, UDPServices


def test_the_gateway_works_on_the_loop_that_servers_run_on(tmp_path):
    async def talk():
        async with served(tmp_path / "folder") as running:
            platform = running.platform
            services = UDPServices(platform.devices, platform.things, platform.values)
            gateway = UDPServer(services, platform.clock)
            await gateway.start("127.0.0.1", 0)
            _, device = await asyncio.get_running_loop().create_datagram_endpoint(
                UDPDevice, remote_addr=("127.0.0.1", gateway.port)
            )
            answer = await device.ask(b"\x01" + (await running.new_token()).encode() + b"\x17")
            await gateway.drain()
            device.transport.close()
            return answer

    assert uvloop.run(talk()) == b"\x20"
