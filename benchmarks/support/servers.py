"""The servers that are measured, pinned to the same core: ours, nginx, bare uvicorn, Mosquitto.

All answer on 127.0.0.1 over connections that stay. nginx gives its answer from memory with a
head of the same size as ours, so that both send the same number of bytes.
"""

import contextlib
import http.client
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from support import processes
from support.machine import REPOSITORY

_PIECE_BYTES = 3_000  # nginx takes no longer word in its configuration than one buffer
_START_S = 60.0
# Debian puts it where the PATH of plain users does not look.
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
# The limits that the benchmarks raise; README.md names them.
RAISED_LIMITS = {
    "THINGSTEAD_LIMITS_WRITES_PER_SECOND": "100000",
    "THINGSTEAD_LIMITS_WRITE_BURST": "100000",
}
# Their usual ports may be taken, and HTTP alone is measured unless a benchmark says otherwise.
_ROADS_OFF = {"THINGSTEAD_MQTT_PORT": "0", "THINGSTEAD_COAP_PORT": "0"}


@dataclass(frozen=True, slots=True)
class Running:
    """A server that accepts requests."""

    name: str
    port: int
    pid: int
    log: Path

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Given:
    """An answer as it came: status, body, and the length of its head."""

    status: int
    body: bytes
    head_bytes: int


@contextlib.contextmanager
def thingstead(
    data: Path,
    *,
    core: int | None,
    name: str = "thingstead",
    environment: Mapping[str, str] | None = None,
    flags: tuple[str, ...] = (),
) -> Iterator[Running]:
    """Serve a data folder with the rate limits raised; drained and stopped at the end.

    MQTT and CoAP are off unless the environment or a flag turns them on.
    """
    log = data.parent / f"{data.name}.log"
    command = [
        sys.executable,
        *("-m", "thingstead", "serve", "--data", str(data)),
        *("--host", "127.0.0.1", "--port", "0", "--json", *flags),
    ]
    settings = {**_ROADS_OFF, **RAISED_LIMITS, **(environment or {})}
    with processes.running(command, core=core, log=log, environment=settings) as process:
        ready = json.loads(processes.first_line(process, timeout_s=_START_S, log=log))
        yield Running(name, int(ready["url"].rpartition(":")[2]), process.pid, log)


@contextlib.contextmanager
def nginx(folder: Path, answer: Given, *, core: int, name: str = "nginx") -> Iterator[Running]:
    """Serve one answer from memory by nginx with one worker on the core."""
    folder.mkdir()
    port = processes.free_port()
    log = folder / "error.log"
    log.touch()
    configuration = folder / "nginx.conf"
    padding = 0
    for _ in range(2):
        configuration.write_text(_nginx_configuration(folder, port, answer, padding))
        with processes.running(
            ["nginx", "-p", str(folder), "-c", str(configuration)], core=core, log=log
        ) as process:
            processes.wait_for_port(port, process, log=log)
            given = ask(port, "GET", "/")
            if given.head_bytes == answer.head_bytes:
                yield Running(name, port, process.pid, log)
                return
        # The first start told how much is missing; a header of that length makes it equal.
        padding = answer.head_bytes - given.head_bytes
    raise RuntimeError(f"nginx cannot give a head of {answer.head_bytes} bytes")


@contextlib.contextmanager
def bare_asgi(
    folder: Path, answer: Given, *, core: int, name: str = "bare uvicorn"
) -> Iterator[Running]:
    """Serve one answer by an ASGI application that does nothing, on uvicorn."""
    folder.mkdir()
    port = processes.free_port()
    log = folder / "error.log"
    body = folder / "body"
    body.write_bytes(answer.body)
    command = [
        sys.executable,
        str(REPOSITORY / "benchmarks" / "bare_asgi.py"),
        *("--port", str(port), "--status", str(answer.status), "--body", str(body)),
    ]
    with processes.running(command, core=core, log=log) as process:
        processes.wait_for_port(port, process, log=log)
        yield Running(name, port, process.pid, log)


@contextlib.contextmanager
def mosquitto(folder: Path, *, core: int, name: str = "Mosquitto") -> Iterator[Running]:
    """Serve MQTT by Mosquitto, which keeps nothing and logs nothing."""
    folder.mkdir()
    port = processes.free_port()
    log = folder / "error.log"
    log.touch()
    configuration = folder / "mosquitto.conf"
    # Without a user to become, it becomes one who may not read the folder.
    user = "user root\n" if Path("/proc/self").stat().st_uid == 0 else ""
    configuration.write_text(
        f"{user}listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
        "log_dest none\nset_tcp_nodelay true\n"
        "max_inflight_messages 1000\nmax_queued_messages 100000\n"
    )
    command = [MOSQUITTO, "-c", str(configuration)]
    with processes.running(command, core=core, log=log) as process:
        processes.wait_for_port(port, process, log=log)
        yield Running(name, port, process.pid, log)


def ask(
    port: int, method: str, target: str, body: bytes | None = None, *, session: str | None = None
) -> Given:
    """Make one request, with a session's token if one is given."""
    headers = {"Content-Type": "application/json"}
    if session is not None:
        headers["Authorization"] = session
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10.0)
    try:
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        lines = [f"HTTP/1.1 {response.status} {response.reason}"]
        lines += [f"{name}: {value}" for name, value in response.getheaders()]
        head = sum(len(line) + 2 for line in lines) + 2
        return Given(response.status, response.read(), head)
    finally:
        connection.close()


def _nginx_configuration(folder: Path, port: int, answer: Given, padding: int) -> str:
    text = answer.body.decode("ascii").replace("\\", "\\\\").replace("'", "\\'")
    pieces = [text[at : at + _PIECE_BYTES] for at in range(0, len(text), _PIECE_BYTES)]
    variables = "".join(f"    set $p{at} '{piece}';\n" for at, piece in enumerate(pieces))
    whole = "".join(f"${{p{at}}}" for at in range(len(pieces)))
    # "X-Pad: " and the line end are nine bytes.
    header = f"    add_header X-Pad {'x' * (padding - 9)} always;\n" if padding > 9 else ""
    places = "\n".join(
        f"  {kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if Path("/proc/self").stat().st_uid == 0 else ""
    return f"""{user}daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  server_tokens off;
  keepalive_requests 1000000000;
  default_type application/json;
{places}
  server {{
    listen 127.0.0.1:{port};
{variables}{header}    location / {{ return {answer.status} "{whole}"; }}
  }}
}}
"""
