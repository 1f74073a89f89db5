"""What the command line does to downloads that are under way, as `docs/firmware.md` has it."""

import asyncio
import socket
from contextlib import asynccontextmanager, suppress

import pytest

from support.firmware import content_of
from support.wire import PATIENCE_SECONDS, request

OLD, NEW = content_of(5_000, seed=2), content_of(8_000_000)
STEP = 65_536


class SlowDownload:
    """A whole image on its way to a client whose system takes little at once."""

    def __init__(self, raw):
        self._raw = raw
        self.got = b""

    async def read(self):
        async with asyncio.timeout(PATIENCE_SECONDS):
            piece = await asyncio.get_running_loop().sock_recv(self._raw, STEP)
        self.got += piece
        return bool(piece)

    async def read_all(self):
        """Read as fast as it comes, until it is whole."""
        while len(self.got) < len(NEW):
            assert await self.read()

    async def read_slowly(self, meanwhile):
        """Read until the end, whatever that is, with much else between two pieces."""
        with suppress(ConnectionResetError):
            while await self.read():
                for _ in range(20):
                    await meanwhile()


@asynccontextmanager
async def slow_download(thing, firmware):
    """One whose head was read."""
    address = thing.server.address
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STEP)
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(raw, (address.host, address.port))
        await loop.sock_sendall(raw, request("GET", f"{thing.firmwares}/download/{firmware}"))
        download = SlowDownload(raw)
        while b"\r\n\r\n" not in download.got:
            assert await download.read()
        head, download.got = download.got.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nContent-Length: %d\r\n" % len(NEW) in head
        yield download


def revoke(station, firmware, _campaign):
    station.command("firmware", "revoke", firmware)


def cancel(station, _firmware, campaign):
    station.command("campaign", "cancel", campaign)


def revert(station, _firmware, campaign):
    station.command("campaign", "revert", campaign)


@pytest.mark.parametrize("end", [revoke, cancel, revert])
async def test_what_is_taken_back_is_cut_off_in_the_middle(station, end):
    station.publish(OLD, "1.0")
    thing, other = station.thing(), station.thing()
    firmware = station.publish(NEW, "2.0", "--draft")
    campaign = station.campaign(firmware)
    assert await thing.is_offered(firmware)

    async with slow_download(thing, firmware) as download:
        end(station, firmware, campaign)
        assert await thing.may_load(firmware, 404)
        assert await other.may_load(firmware, 404)
        await download.read_slowly(other.latest)

    assert len(download.got) < len(NEW)
    assert NEW.startswith(download.got)
    assert thing.kinds()[-1] == "begun"


async def test_a_pause_lets_those_finish_who_had_begun_and_nobody_begin(station):
    thing, other = station.thing(), station.thing()
    firmware = station.publish(NEW, "2.0", "--draft")
    assert await thing.is_told("no_firmware")
    campaign = station.campaign(firmware)
    assert await thing.is_offered(firmware)
    assert await other.is_offered(firmware)

    async with slow_download(thing, firmware) as download:
        station.command("campaign", "pause", campaign)
        assert await other.is_told("paused")
        assert await other.may_load(firmware, 404)
        assert await thing.may_load(firmware, 206)
        await download.read_all()
        station.command("campaign", "resume", campaign)
        assert await other.is_offered(firmware)

    assert download.got == NEW
    assert await other.may_load(firmware, 206)


async def test_what_is_deprecated_can_be_finished_and_not_begun(station):
    thing, other = station.thing(), station.thing()
    firmware = station.publish(OLD, "2.0")
    assert await thing.is_offered(firmware)
    assert await other.is_offered(firmware)
    assert (await thing.download(firmware, Range="bytes=0-99")).status == 206

    station.command("firmware", "deprecate", firmware)

    assert await other.is_offered()
    assert await other.may_load(firmware, 404)
    assert (await thing.download(firmware, Range="bytes=100-")).body == OLD[100:]
