"""A real server on a real socket and real files, in the loop of the test."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.wire import Address
from thingstead import server as composition
from thingstead.bootstrap import Platform, open_platform
from thingstead.bootstrap import platform as composed
from thingstead.chores import look_after
from thingstead.features.apps.model import App, AppSettings
from thingstead.features.products.model import Product
from thingstead.features.things.model import NewThing
from thingstead.hashing.argon2 import Argon2Parameters
from thingstead.kernel.ids import ActivationCode
from thingstead.limit_settings import LimitSettings
from thingstead.listeners import bind, serve_roads
from thingstead.settings import Settings
from thingstead.transports.http.lane import WriteLane
from thingstead.transports.http.serving import open_listener

PATIENCE_SECONDS = 20
ROADS = ("mqtt", "mqtts", "coap", "udp")
# The suite comes from one address and asks for much that does not exist.
GENEROUS = LimitSettings(
    bad_tokens_per_minute=1_000_000,
    bad_codes_per_minute=1_000_000,
    bad_sessions_per_minute=1_000_000,
    registrations_per_hour=1_000_000,
    bad_logins_per_address=1_000_000,
    calls_per_second=1_000_000,
    call_burst=1_000_000,
    link_tries_per_hour=1_000_000,
    unlinks_per_thing=1_000_000,
    grants_per_hour=1_000_000,
    grants_per_address=1_000_000,
)
# Real hashes, but quick ones: what they cost is not what these tests are about.
QUICK_HASHES = Argon2Parameters(memory_kib=8, passes=1, lanes=1)


@dataclass
class Served:
    """What a test may know of the server it talks to."""

    address: Address
    platform: Platform
    product: Product
    has_lane: bool
    folder: Path
    taken: list[int] = field(default_factory=lambda: [0])
    ports: dict[str, int] = field(default_factory=dict)
    """Of each road beside HTTP that was asked for, by its scheme."""

    @property
    def taken_by_lane(self) -> int:
        """How many requests the direct lane has taken."""
        return self.taken[0]

    async def new_token(self) -> str:
        thing = await self.platform.things.create(self.product.id)
        assert thing is not None
        return thing.token

    async def new_thing(self) -> NewThing:
        thing = await self.platform.things.create(self.product.id)
        assert thing is not None
        return thing

    async def new_app(self, *resources: str, **settings: bool) -> App:
        return await self.platform.administration.apps.create(
            "suite", resources, AppSettings(**settings)
        )

    async def new_code(self) -> ActivationCode:
        async for codes in self.platform.products.create_codes(self.product.id, 1):
            return codes[0]
        raise AssertionError("no code was made")


@asynccontextmanager
async def served(
    folder: Path,
    *,
    has_lane: bool = True,
    limits: LimitSettings = GENEROUS,
    with_chores: bool = False,
    roads: tuple[str, ...] = (),
    **other: Any,
) -> AsyncIterator[Served]:
    """Serve a folder; `other` are further settings, `with_chores` lets mail go out.

    `roads`: those beside HTTP that are on, by scheme (`mqtt`, `mqtts`, `coap`, `udp`).
    """
    ports = {f"{scheme}_port": 0 for scheme in ROADS} | {
        f"{scheme}_port": free_port() for scheme in roads
    }
    settings = Settings(
        data=str(folder),
        host="127.0.0.1",
        port=0,
        direct_lane=has_lane,
        limits=limits,
        **(ports | other),
    )
    taken = [0]
    async with AsyncExitStack() as stack:
        original_parameters = composed.parameters_for_this_machine
        composed.parameters_for_this_machine = lambda: QUICK_HASHES
        try:
            platform = await stack.enter_async_context(open_platform(settings))
        finally:
            composed.parameters_for_this_machine = original_parameters
        if with_chores:
            await stack.enter_async_context(look_after(platform))
        bound = stack.enter_context(closing(bind(settings)))
        beside = await stack.enter_async_context(serve_roads(settings, platform, bound))
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        original = composition.WriteLane
        # The composition root names the class; only there can its requests be counted.
        composition.WriteLane = _counting(taken)
        try:
            http = composition.http_server(settings, platform, beside, on_started=url.set_result)
        finally:
            composition.WriteLane = original
        listener = open_listener(settings.host, settings.port)
        running = asyncio.create_task(http.run_until_stopped(listener))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.wait({running, url}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            # Ctrl-C belongs to whoever runs the tests.
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
            port = listener.getsockname()[1]
            product = await platform.products.create("suite")
            yield Served(
                Address("127.0.0.1", port),
                platform,
                product,
                has_lane,
                folder,
                taken,
                {scheme: ports[f"{scheme}_port"] for scheme in roads},
            )
        finally:
            http.stop()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await running
            listener.close()


def free_port() -> int:
    """A port that nobody uses, of TCP and UDP alike, because 0 turns a road off."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            with suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return int(port)


def _counting(taken: list[int]) -> type[WriteLane]:
    class CountingLane(WriteLane):
        def try_take(self, connection, data):
            is_taken = super().try_take(connection, data)
            taken[0] += is_taken
            return is_taken

    return CountingLane
