"""The same rounds with MQTT: QoS 1 in sessions that are kept, sent again after each kill.

What was not acknowledged is sent again with its packet id and the mark of a duplicate. So
every value has to be stored exactly once, whether the server's clock or the client dated it.
"""

import asyncio
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

from e2e.durability.checker import check_file, compare, read_back
from e2e.durability.load import Ledger, Sent
from e2e.durability.rounds import LIMITS, Report, make_things
from support.in_process import free_port
from support.mqtt import Client, connection, thing_topic
from support.process import ServerProcess, server_process
from thingstead.transports.mqtt.codec import Connack, Puback, Publish

_WINDOW = 16
_KEYS = ("temperature", "humidity", "state")
_MOST_VALUES = 5


@dataclass
class MQTTWriter:
    """A device with a session of its own that writes until it breaks."""

    name: str
    token: str
    level: int
    ledger: Ledger
    chance: random.Random
    under_way: dict[int, Sent] = field(default_factory=dict)
    count: int = 0
    has_session: bool = False

    async def write_until_it_breaks(self, port: int) -> None:
        try:
            async with connection(port, self.level) as client:
                if not await self._begin(client):
                    return
                while True:
                    while len(self.under_way) < _WINDOW:
                        await self._send_next(client)
                    if not await self._hear(client):
                        return
        except OSError:
            return

    async def send_again(self, port: int) -> None:
        """Send again what is in doubt, until nothing is."""
        async with connection(port, self.level) as client:
            assert await self._begin(client)
            while self.under_way:
                assert await self._hear(client)
            await client.leave()

    async def _begin(self, client: Client) -> bool:
        try:
            answer: Connack = await client.connect(
                self.name,
                token=self.token,
                is_clean=False,
                expiry_s=3_600 if self.level == 5 else None,
            )
        except AssertionError:
            # It was killed before it could answer.
            return False
        assert answer.reason == 0
        assert answer.is_session_present == self.has_session or not self.has_session
        self.has_session = True
        for packet_id, sent in self.under_way.items():
            await client.send(self._packet(packet_id, sent, is_duplicate=True))
        return True

    async def _send_next(self, client: Client) -> None:
        self.count += 1
        count = self.chance.randint(1, _MOST_VALUES)
        keys = [self.chance.choice(_KEYS) for _ in range(count)]
        sent = Sent(
            self.token,
            tuple(
                (key, f"{self.name}:{self.count}:{position}:{count}:{key}", None)
                for position, key in enumerate(keys)
            ),
        )
        # Ids are used again soon, as devices do that count few.
        packet_id = next(number for number in range(1, 100) if number not in self.under_way)
        self.under_way[packet_id] = sent
        self.ledger.sent.append(sent)
        await client.send(self._packet(packet_id, sent))

    def _packet(self, packet_id: int, sent: Sent, *, is_duplicate: bool = False) -> Publish:
        body = {"values": [{"key": key, "value": text} for key, text, _ in sent.values]}
        return Publish(
            thing_topic(sent.token),
            json.dumps(body).encode(),
            1,
            is_duplicate=is_duplicate,
            packet_id=packet_id,
        )

    async def _hear(self, client: Client) -> bool:
        packet = await client.next()
        if packet is None:
            return False
        assert isinstance(packet, Puback), packet
        assert packet.reason == 0
        self.ledger.acknowledged.append(self.under_way.pop(packet.packet_id))
        return True


async def kill_mqtt_and_check(
    folder: Path, *, rounds: int, seed: int, writers: int = 8
) -> list[Report]:
    """Run the rounds; everything written in all of them is checked after each."""
    chance = random.Random(seed)
    ledger = Ledger()
    tokens = make_things(folder)
    devices = [
        MQTTWriter(f"m{number}", tokens[number % len(tokens)], 4 + number % 2, ledger, chance)
        for number in range(writers)
    ]
    reports = []
    for _ in range(rounds):
        port = free_port()
        flags = ("--mqtt-port", str(port))
        with server_process(folder, *flags, env=LIMITS) as server:
            await _load_and_kill(server, port, devices, chance)
        with server_process(folder, *flags, env=LIMITS) as server:
            for device in devices:
                await device.send_again(port)
            rows = await read_back(server.address, tokens)
            server.stop()
        assert not ledger.in_doubt
        reports.append(Report(check_file(folder, ledger), compare(rows, ledger)))
    return reports


async def _load_and_kill(
    server: ServerProcess, port: int, devices: list[MQTTWriter], chance: random.Random
) -> None:
    loading = [asyncio.create_task(device.write_until_it_breaks(port)) for device in devices]
    # The moment of the kill is the round's input, not something that it waits for.
    await asyncio.sleep(chance.uniform(0.2, 1.5))
    server.kill()
    async with asyncio.timeout(60):
        await asyncio.gather(*loading)
