"""A server that answers as it is told, on a real socket, and a pace that needs no time."""

import asyncio
import json
from collections.abc import Callable

import pytest

from thingstead.simulation.http_client import HTTPClient, Origin

START_MS = 1_767_225_600_000
CREATED = b'HTTP/1.1 201 Created\r\nContent-Length: 20\r\n\r\n{"status":"created"}'


def refusal(status: int, message: str, *headers: str) -> bytes:
    body = json.dumps({"status": "error", "message": message})
    lines = [f"HTTP/1.1 {status} Refused", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


class ScriptedServer:
    """Answers requests in order from the script, then with 201; None hangs up instead."""

    def __init__(self) -> None:
        self.script: list[bytes | None] = []
        self.paths: list[str] = []
        self.bodies: list[dict[str, object]] = []
        self.connections = 0
        self.on_request: Callable[[], None] = lambda: None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None] | None] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head.decode(), reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        self.paths.append(head.split()[1])
        self.bodies.append(json.loads(await reader.readexactly(length)))
        self.on_request()
        answer = self.script.pop(0) if self.script else CREATED
        if answer is None:
            raise ConnectionResetError
        writer.write(answer)
        await writer.drain()


class FastPace:
    """Every simulated instant has come at once; the run ends after `waits` of them."""

    def __init__(self, waits: int = 0) -> None:
        self.left = waits
        self.pauses: list[float] = []
        self.may_pause = True

    def start_ms(self) -> int:
        return START_MS

    def real_ms(self, simulated_ms: int) -> int:
        return simulated_ms

    async def until(self, simulated_ms: int) -> bool:
        self.left -= 1
        return self.left >= 0

    async def pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return self.may_pause


@pytest.fixture(name="server")
async def _server():
    server = ScriptedServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(name="client")
async def _client(server):
    client = HTTPClient(Origin.of(server.url))
    yield client
    client.close()


@pytest.fixture(name="pace")
def _pace() -> FastPace:
    return FastPace()


@pytest.fixture(name="created")
def _created() -> bytes:
    return CREATED


@pytest.fixture(name="refused")
def _refused() -> Callable[..., bytes]:
    return refusal
