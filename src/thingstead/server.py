"""One server process: start, drain, stop in reverse.

Joins the platform's services (`bootstrap/`) with the transports that serve them. Raises
the open-file limit, because each connection takes a file and the usual limit of 1,024 is met
long before any limit of ours.
"""

import asyncio
import fcntl
import gc
import logging
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from thingstead.bootstrap import Platform, open_platform
from thingstead.chores import look_after
from thingstead.first_start import FirstStart, first_start
from thingstead.kernel.errors import Category, ThingsteadError
from thingstead.listeners import MQTT_PATH, Roads, bind, mqtt_acceptor, serve_roads
from thingstead.routes import all_routes, socketio_of
from thingstead.settings import Settings
from thingstead.transports.http.app import Application
from thingstead.transports.http.lane import WriteLane
from thingstead.transports.http.protocol import DateLine, Edge, EdgeLimits, Sweeper
from thingstead.transports.http.router import Router
from thingstead.transports.http.serving import HTTPServer, Listening, open_listener
from thingstead.transports.http.v2.callers import Callers
from thingstead.transports.http.v2.limits import V2Limits
from thingstead.transports.http.v2.live.holders import Holders
from thingstead.transports.http.v2.live.socket import LiveSocketLimits
from thingstead.transports.http.v2.live.upgrade import LIVE_PATH, live_acceptor
from thingstead.transports.http.websockets import WebSocketAcceptor
from thingstead.transports.socketio.routes import PATH as SOCKETIO_PATH
from thingstead.transports.websocket import WebSocketLimits

_log = logging.getLogger(__name__)
_MANY_FILES = 65_536
_DEMO_SEED = 1
_LOCK_FILE = "serve.lock"


class FolderInUseError(ThingsteadError):
    """Another server uses the data folder."""

    category = Category.UNAVAILABLE
    code = "folder-in-use"
    message = "Another server uses the data folder"
    advice = "Stop the other server first, or name another folder with --data."


@dataclass(frozen=True, slots=True)
class Started:
    """A server that accepts requests: its addresses, and what its first start made, if it was.

    `roads`: the URL of each road beside HTTP that is on, by its scheme.
    """

    url: str
    first: FirstStart | None
    roads: dict[str, str]


async def serve(settings: Settings, *, on_started: Callable[[Started], None]) -> None:
    """Serve until SIGTERM or SIGINT; everything acknowledged is stored when this returns.

    Raises:
        OSError: the address cannot be listened on.
        ThingsteadError: the data folder cannot be used.
    """
    raise_open_file_limit()
    with only_server(settings.data_folder) as lock:

        def started(now: Started) -> None:
            lock.write(f"{now.url}\n")
            lock.flush()
            on_started(now)

        await _serve(settings, started)


def served_url(folder: Path) -> str | None:
    """Return the URL under which the folder's server last said that it is reached, if any did."""
    try:
        return (folder / _LOCK_FILE).read_text("utf-8").strip() or None
    except FileNotFoundError:
        return None


@contextmanager
def only_server(folder: Path) -> Iterator[TextIO]:
    """Keep a second server off the data folder: neither would hear of the other's writes.

    Yields the file that is locked, emptied: what is written there others may read.

    Raises:
        FolderInUseError: another server holds it. The lock ends with its process.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(
        os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "w"
    ) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise FolderInUseError(str(folder)) from exc
        lock.truncate()
        yield lock


async def _serve(settings: Settings, on_started: Callable[[Started], None]) -> None:
    for file in (settings.tls_cert, settings.tls_key):
        if file is not None:
            # The TLS library does not say which file it could not read; this does.
            await asyncio.to_thread(Path(file).read_bytes)
    # Bound before anything is made, so that a port that is taken does not use the first start up.
    listener = open_listener(settings.host, settings.port)
    # Links in mails name the port, which is not known before when any free one will do.
    settings = replace(settings, port=listener.getsockname()[1])
    async with AsyncExitStack() as stack:
        stack.enter_context(closing(listener))
        bound = stack.enter_context(closing(bind(settings)))
        platform = await stack.enter_async_context(open_platform(settings))
        await stack.enter_async_context(look_after(platform))
        first = await first_start(platform)
        roads = await stack.enter_async_context(serve_roads(settings, platform, bound))
        server = http_server(
            settings,
            platform,
            roads,
            on_started=lambda url: on_started(Started(url, first, roads.urls)),
        )
        if settings.demo:
            # Only those who watch the demo pay for it in memory.
            from thingstead.simulation.demo import run_demo  # noqa: PLC0415

            demo = asyncio.create_task(run_demo(platform, seed=_DEMO_SEED))
            demo.add_done_callback(_log_failure)
            stack.callback(demo.cancel)
        calm_collector()
        await server.run_until_stopped(listener)


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("the simulated fleet stopped", exc_info=task.exception())


def http_server(
    settings: Settings,
    platform: Platform,
    roads: Roads | None = None,
    *,
    on_started: Callable[[str], None],
) -> HTTPServer:
    """Return the HTTP server of a platform, not yet listening; it tells its URL when it is."""
    limits = settings.limits
    date = DateLine()
    edge_limits = _edge_limits(settings)
    lane = None
    if settings.direct_lane:
        lane = WriteLane(
            platform.things,
            platform.values,
            date,
            max_body_bytes=limits.write_bytes,
            edge_limits=edge_limits,
        )

    sweeper = Sweeper()
    socketio = socketio_of(settings, platform, sweeper)

    def stop() -> None:
        if roads is not None:
            roads.stop()
        socketio.server.stop()
        platform.live.stop()

    edge = Edge(
        limits=edge_limits,
        lane=lane,
        date=date,
        sweeper=sweeper,
        upgrades={
            LIVE_PATH: _live_acceptor(platform, sweeper),
            SOCKETIO_PATH: socketio.acceptor(sweeper),
            **({} if roads is None else {MQTT_PATH: mqtt_acceptor(roads, sweeper)}),
        },
    )
    return HTTPServer(
        Application(
            Router(all_routes(settings, platform, socketio)),
            Callers(platform.people.sessions).has_session,
        ),
        edge,
        Listening(
            settings.tls_cert,
            settings.tls_key,
            settings.trusted_proxy,
            limits.drain_seconds,
        ),
        on_started=lambda port: on_started(settings.url(port)),
        on_stopping=stop,
    )


def _live_acceptor(platform: Platform, sweeper: Sweeper) -> WebSocketAcceptor:
    callers = Callers(platform.people.sessions, platform.people.tickets)
    holders = Holders(callers, platform.things, platform.streams)
    return live_acceptor(
        holders, sweeper, limits=LiveSocketLimits(), socket_limits=WebSocketLimits()
    )


def calm_collector() -> None:
    """Have the garbage collector look seldom, and not at what the start left.

    Requests leave hardly any cycles, but make many objects that survive a moment. With the
    interpreter's defaults its full collections made a p99 of 40 ms where it is 4 ms without
    (benchmarks/README.md, read path).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def raise_open_file_limit() -> None:
    """Raise the limit of open files as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, _MANY_FILES)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):
        # macOS refuses values over its own kernel limit although it calls the limit infinite.
        _log.debug("the open-file limit stays at %d", soft)


def _edge_limits(settings: Settings) -> EdgeLimits:
    limits = settings.limits
    # Either may be the largest of all; some blanks around it are forgiven.
    document_bytes = max(limits.document_bytes, limits.settings_bytes) + V2Limits().slack_bytes
    return EdgeLimits(
        max_target_bytes=limits.target_bytes,
        max_head_bytes=limits.head_bytes,
        max_headers=limits.headers,
        max_body_bytes=max(limits.write_bytes, limits.object_bytes, document_bytes),
        max_connections=limits.connections,
        max_connections_per_address=limits.connections_per_address,
        head_seconds=limits.head_seconds,
        body_seconds=limits.body_seconds,
        keep_alive_seconds=limits.idle_seconds,
    )
