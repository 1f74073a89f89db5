"""Running the HTTP server: uvicorn with our protocol class, stopped in order.

Differs from `uvicorn.run` in what happens at the end: streams are told first, requests in
progress are answered, the process exits with 0 on SIGTERM (uvicorn raises the signal again),
and a second signal stops at once.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import uvicorn

from thingstead.transports.http.app import Application
from thingstead.transports.http.forwarding import TrustedPeers, TrustedProxies
from thingstead.transports.http.protocol import Edge, protocol_class

_BACKLOG = 2_048
_KEEP_ALIVE_OPTIONS = (
    ("TCP_KEEPIDLE", 60),
    ("TCP_KEEPINTVL", 15),
    ("TCP_KEEPCNT", 4),
    ("TCP_USER_TIMEOUT", 120_000),
)


@dataclass(frozen=True, slots=True)
class Listening:
    """How to serve a bound socket."""

    tls_cert: str | None = None
    tls_key: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    drain_s: int = 8


class HTTPServer(uvicorn.Server):
    """One listener; `run` returns when it has drained after a signal or `stop`."""

    def __init__(
        self,
        application: Application,
        edge: Edge,
        listening: Listening,
        *,
        on_started: Callable[[int], None],
        on_stopping: Callable[[], None],
    ) -> None:
        app: object = application
        if listening.trusted_proxies:
            edge = replace(edge, peers=TrustedPeers(listening.trusted_proxies))
            app = TrustedProxies(
                application,  # type: ignore[arg-type]  # Our scope type is wider.
                trusted_hosts=list(listening.trusted_proxies),
            )
        super().__init__(
            uvicorn.Config(
                app,  # type: ignore[arg-type]  # Our scope type is wider.
                http=protocol_class(edge),
                ws="none",
                lifespan="off",
                loop="none",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                backlog=_BACKLOG,
                ssl_certfile=listening.tls_cert,
                ssl_keyfile=listening.tls_key,
                timeout_graceful_shutdown=listening.drain_s,
            )
        )
        self._listening = listening
        self._on_started = on_started
        self._on_stopping = on_stopping

    async def run_until_stopped(self, listener: socket.socket) -> None:
        """Serve on a bound socket, which the caller closes."""
        await self.serve(sockets=[listener])

    def stop(self) -> None:
        """Begin to drain; the second call stops at once."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen and tell which port it became."""
        await super().startup(sockets)
        if sockets:
            self._on_started(sockets[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell the streams, then let uvicorn drain the rest."""
        self._on_stopping()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT, without raising them again afterwards."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        try:
            for number in signals:
                loop.add_signal_handler(number, self.stop)
        except (ValueError, RuntimeError):
            # Not on the main thread: whoever runs the server there stops it by `stop`.
            yield
            return
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


def _notice_dead_peers(listener: socket.socket) -> None:
    """Have connections end whose peer vanished without a word; they inherit these options.

    A stream to a device that lost its power would otherwise be kept for as long as the system
    repeats what it sent, a quarter of an hour on Linux.
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE_OPTIONS:
        # macOS lacks some of them.
        option = getattr(socket, name, None)
        if option is not None:
            listener.setsockopt(socket.IPPROTO_TCP, option, value)


def open_listener(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address; the caller closes it.

    Raises:
        OSError: the address is taken, or is none of this machine's.
    """
    family, kind, number, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, number)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _notice_dead_peers(listener)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003  # As the library has it.
    except OSError:
        listener.close()
        raise
    return listener
