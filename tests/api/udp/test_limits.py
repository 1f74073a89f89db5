"""What wrong datagrams may cost, at n and n + 1, on a gateway that was started with it."""

import asyncio

from doubles.clock import ManualClock
from support.in_process import served
from support.udp import UDPDevice
from thingstead.limit_settings import LimitSettings
from thingstead.limits import udp_limits
from thingstead.transports.udp.server import UDPServer, UDPServices


async def test_wrong_datagrams_of_one_address_in_a_minute(tmp_path):
    async with served(tmp_path / "folder") as server:
        platform = server.platform
        services = UDPServices(platform.devices, platform.things, platform.values)
        limits = udp_limits(LimitSettings(bad_tokens_per_minute=2))
        gateway = UDPServer(services, ManualClock(), limits)
        await gateway.start("127.0.0.1", 0)
        _, device = await asyncio.get_running_loop().create_datagram_endpoint(
            UDPDevice, remote_addr=("127.0.0.1", gateway.port)
        )
        right = b"\x01" + (await server.new_token()).encode() + b"\x17"

        got = [await device.ask(b"\x07") for _ in range(2)]
        device.transport.sendto(b"\x07")
        got.append(await device.ask(right))

        assert got == [b"\x01", b"\x01", b"\x20"]
        await gateway.drain()
        assert gateway.counts.dropped == 1
        assert device.answers.empty()
        device.transport.close()
