"""Why a connection ended is told, even to a client that is still sending."""

import pytest

from support.mqtt import connected
from thingstead.transports.mqtt.codec import Disconnect, Reason

pytestmark = pytest.mark.asyncio(loop_scope="module")

# More than the server reads in a turn, so that it closes with bytes unread.
UNREAD = b"\x00" * 20_000_000


async def test_the_reason_arrives_although_the_client_goes_on_sending(port):
    async with connected(port, 5, "talker") as client:
        client.wire.writer.transport.pause_reading()
        await client.wire.write(UNREAD)
        client.wire.writer.transport.resume_reading()

        told = await client.expect(Disconnect)

    assert told.reason == Reason.MALFORMED_PACKET
