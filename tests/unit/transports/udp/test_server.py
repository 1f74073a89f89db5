"""The gateway's bounds, on stores in memory and a socket that only notes what is sent."""

import asyncio
import hashlib
import hmac
import logging

import pytest

from doubles.device_rig import Rig
from thingstead.features.products.model import ProductChange
from thingstead.features.values.model import Window
from thingstead.kernel.budget import Rate
from thingstead.kernel.errors import StoreUnavailableError
from thingstead.transports.udp.server import UDPLimits, UDPServer, UDPServices, _Protocol

PRIVATE = ("192.168.1.7", 5_000)
# Nothing is sent there: the socket is a double.
PUBLIC = ("8.8.8.8", 5_000)
FEW = UDPLimits(bad=Rate(per_second=1, burst=2), in_progress=3, drain_seconds=5)


class NotingTransport(asyncio.DatagramTransport):
    """Notes what would go out."""

    def __init__(self):
        super().__init__()
        self.sent = []
        self.is_closed = False

    def sendto(self, data, addr=None):
        self.sent.append((data, addr))

    def close(self):
        self.is_closed = True


class Gateway:
    def __init__(self, limits=FEW):
        self.rig = Rig()
        services = UDPServices(self.rig.devices, self.rig.things, self.rig.values)
        self.server = UDPServer(services, self.rig.clock, limits)
        self.transport = self.server._transport = NotingTransport()

    def send(self, data, peer=PRIVATE):
        self.server.receive(self.transport, data, peer)

    async def answers(self):
        """What was answered to all that was sent."""
        while self.server._tasks:
            await asyncio.wait(self.server._tasks)
        answers = [data[0] for data, _ in self.transport.sent]
        self.transport.sent.clear()
        return answers

    async def ask(self, data, peer=PRIVATE):
        self.send(data, peer)
        answers = await self.answers()
        return answers[0] if answers else None

    async def product(self, codes=3, **change):
        return await self.rig.product(codes=codes, **change)

    async def token(self, product):
        return (await self.rig.things.create(product.id)).token


@pytest.fixture
def gateway():
    return Gateway()


def by_device(product, payload=b"\x17", device=b"4D9F7C", product_hash=None):
    number = product.id.to_bytes(2, "big")
    secret = (product_hash or product.hash).encode()
    return b"\x00\x02" + number + secret + bytes([len(device)]) + device + payload


def by_token(token, payload=b"\x17"):
    return b"\x01" + token.encode() + payload


def counts(gateway):
    found = gateway.server.counts
    return found.received, found.stored, found.refused, found.dropped


async def test_an_answer_is_one_byte_to_who_asked(gateway):
    gateway.send(by_token(await gateway.token(await gateway.product())), ("192.168.1.9", 777))
    while gateway.server._tasks:
        await asyncio.wait(gateway.server._tasks)

    assert gateway.transport.sent == [(b"\x20", ("192.168.1.9", 777))]


async def test_what_becomes_of_datagrams_is_counted(gateway):
    product = await gateway.product()
    await gateway.ask(by_device(product))
    await gateway.ask(b"\x07")
    await gateway.ask(b"")

    assert counts(gateway) == (3, 1, 1, 1)


async def test_as_many_as_may_are_in_progress_and_the_next_one_is_dropped(gateway):
    datagram = by_device(await gateway.product())

    for _ in range(FEW.in_progress + 1):
        gateway.send(datagram)

    assert await gateway.answers() == [0x20] * FEW.in_progress
    assert counts(gateway) == (4, 3, 0, 1)
    assert await gateway.ask(datagram) == 0x20


async def test_a_datagram_may_have_as_many_bytes_and_no_more():
    gateway = Gateway(UDPLimits(datagram_bytes=60))
    token = await gateway.token(await gateway.product())

    assert await gateway.ask(by_token(token, b"\x17" * 16)) == 0x20
    assert await gateway.ask(by_token(token, b"\x17" * 17)) == 0x05


async def test_the_limits_that_hold_without_others():
    limits = UDPLimits()

    assert (limits.datagram_bytes, limits.in_progress) == (8_192, 1_000)
    assert (limits.bad.burst, round(limits.bad.per_second * 60)) == (20, 20)


async def test_wrong_datagrams_of_one_address_are_not_answered_for_ever(gateway):
    got = [await gateway.ask(b"\x07") for _ in range(3)]

    assert got == [0x01, 0x01, None]
    assert await gateway.ask(b"\x07", ("192.168.1.8", 5_000)) == 0x01


async def test_wrong_hashes_cost_their_address_as_elsewhere(gateway):
    datagram = by_device(await gateway.product(), product_hash="A" * 14)

    assert [await gateway.ask(datagram) for _ in range(3)] == [0x02, 0x02, None]


async def test_a_right_datagram_is_taken_from_an_address_that_sent_wrong_ones(gateway):
    product = await gateway.product()
    for _ in range(3):
        await gateway.ask(b"\x07")
        await gateway.ask(by_device(product, product_hash="A" * 14))

    assert await gateway.ask(by_device(product)) == 0x20


async def test_a_device_id_without_a_key_is_taken_from_private_addresses_only(gateway):
    product = await gateway.product()

    assert await gateway.ask(by_device(product), PUBLIC) == 0x06
    assert await gateway.ask(by_device(product), PRIVATE) == 0x20
    assert await gateway.rig.unused(product) == 2


async def test_a_token_is_taken_from_anywhere(gateway):
    token = await gateway.token(await gateway.product())

    assert await gateway.ask(by_token(token), PUBLIC) == 0x20


async def with_key(gateway):
    product = await gateway.product()
    product = await gateway.rig.products.change(product.id, ProductChange(), has_new_udp_key=True)
    return product, gateway.rig.products.udp_key(product).encode("ascii")


def signed(payload, key):
    return payload + hmac.new(key, payload, hashlib.sha1).digest()


@pytest.mark.parametrize("peer", [PUBLIC, PRIVATE], ids=["public", "private"])
async def test_with_a_key_every_datagram_must_be_signed(gateway, peer):
    product, key = await with_key(gateway)
    token = await gateway.token(product)

    unsigned = [
        await gateway.ask(by_device(product, b"\x17" * 30), peer),
        await gateway.ask(by_token(token, b"\x17" * 30), peer),
    ]

    assert unsigned == [0x06, 0x06]
    assert await gateway.rig.unused(product) == 3
    assert await gateway.ask(by_device(product, signed(b"\x17", key)), peer) == 0x20
    assert await gateway.ask(by_token(token, signed(b"\x17", key)), peer) == 0x20


async def test_wrong_signatures_cost_their_address(gateway):
    product, _ = await with_key(gateway)

    got = [await gateway.ask(by_device(product, b"\x17" * 30)) for _ in range(3)]

    assert got == [0x06, 0x06, None]


async def test_only_the_payload_is_stored_and_not_its_signature(gateway):
    product, key = await with_key(gateway)

    await gateway.ask(by_device(product, signed(b"\x17\x13", key)))

    [thing] = [new.thing async for new in gateway.rig.things.all(product.id)]
    reading = await gateway.rig.values.read(thing, "data", Window())
    assert [row[0] for row in reading.rows] == ["1713"]


async def test_an_outage_is_answered_as_such(gateway):
    token = await gateway.token(await gateway.product())

    def broken(_write):
        raise StoreUnavailableError

    gateway.rig.values_store.append = broken

    assert await gateway.ask(by_token(token)) == 0x00


async def test_a_fault_of_ours_is_answered_logged_once_a_second_and_ends_nothing(gateway, caplog):
    token = await gateway.token(await gateway.product())
    append = gateway.rig.values_store.append

    def faulty(_write):
        raise ZeroDivisionError

    gateway.rig.values_store.append = faulty
    with caplog.at_level(logging.ERROR):
        assert [await gateway.ask(by_token(token)) for _ in range(3)] == [0x00] * 3
        gateway.rig.clock.advance(1)
        await gateway.ask(by_token(token))

    assert len(caplog.records) == 2
    assert token not in caplog.text
    gateway.rig.values_store.append = append
    assert await gateway.ask(by_token(token)) == 0x20


async def test_what_is_not_stored_in_time_is_not_answered():
    gateway = Gateway(UDPLimits(patience_seconds=0))
    token = await gateway.token(await gateway.product())
    gateway.rig.values_store.append = lambda _write: asyncio.get_running_loop().create_future()

    assert await gateway.ask(by_token(token)) is None
    assert counts(gateway) == (1, 0, 0, 1)


async def test_nothing_is_answered_while_the_system_takes_nothing(gateway):
    datagram = by_token(await gateway.token(await gateway.product()))

    protocol = _Protocol(gateway.server)
    protocol.pause_writing()
    assert await gateway.ask(datagram) is None
    protocol.resume_writing()

    assert await gateway.ask(datagram) == 0x20
    assert gateway.server.counts.stored == 2


async def test_draining_answers_what_was_taken_and_takes_nothing_more(gateway):
    datagram = by_token(await gateway.token(await gateway.product()))
    gateway.send(datagram)

    await gateway.server.drain()
    gateway.send(datagram)

    assert await gateway.answers() == [0x20]
    assert gateway.transport.is_closed
    assert counts(gateway) == (2, 1, 0, 1)


async def test_draining_does_not_wait_for_ever():
    gateway = Gateway(UDPLimits(drain_seconds=0))
    token = await gateway.token(await gateway.product())
    gateway.rig.values_store.append = lambda _write: asyncio.get_running_loop().create_future()
    gateway.send(by_token(token))

    await gateway.server.drain()

    assert gateway.transport.is_closed
    assert not gateway.server._tasks
    assert await gateway.answers() == []


async def test_draining_twice_or_before_the_start_changes_nothing(gateway):
    await gateway.server.drain()
    await gateway.server.drain()

    assert gateway.transport.is_closed
