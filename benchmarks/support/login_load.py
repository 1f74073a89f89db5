"""Running the clients that log in (`login_clients.py`) beside whatever else is measured."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support import processes
from support.machine import REPOSITORY
from support.people import People
from support.servers import Running

RIGHT, WRONG, UNKNOWN = "right password", "wrong password", "unknown account"
_STATUS = {RIGHT: 200, WRONG: 401, UNKNOWN: 401}
_ONCE_S = 600.0

Sent = tuple[str, int, str]
"""Kind, the status that answers it, and the body."""


@dataclass(slots=True)
class LogIns:
    """Clients that log in; the rest is filled when their block has ended."""

    pid: int
    seconds: float = 0.0
    taken_ms: dict[str, list[float]] = field(default_factory=dict)
    busy: int = 0
    unexpected: dict[str, int] = field(default_factory=dict)
    lost: int = 0

    @property
    def per_s(self) -> float:
        """Log-ins that were answered in a second, 503 not counted."""
        return sum(len(taken) for taken in self.taken_ms.values()) / self.seconds


def sent_by(owners: People, kind: str) -> list[Sent]:
    """Return one log-in of that kind for each user; unknown addresses are as long as theirs."""
    logins: list[Sent] = []
    for user in owners.users:
        email = user.email if kind != UNKNOWN else user.email.replace("user", "none")
        password = user.password if kind == RIGHT else user.password.replace("long", "same")
        body = json.dumps({"email": email, "password": password, "app": owners.app_id})
        logins.append((kind, _STATUS[kind], body))
    return logins


@contextlib.contextmanager
def logging_in(
    server: Running, logins: Sequence[Sent], *, clients: int, folder: Path, core: int
) -> Iterator[LogIns]:
    """Have the clients log in while the block runs; leaves when all of them have their answers."""
    with _clients(server, logins, folder, core, ("--clients", str(clients))) as process:
        running = LogIns(process.pid)
        yield running
        process.send_signal(signal.SIGTERM)
        _fill(running, processes.first_line(process, timeout_s=90.0, log=folder / "logins.log"))


def one_after_the_other(
    server: Running, logins: Sequence[Sent], *, folder: Path, core: int
) -> LogIns:
    """Log in once with each, each after the answer to the one before."""
    with _clients(server, logins, folder, core, ("--clients", "1", "--once")) as process:
        done = LogIns(process.pid)
        _fill(done, processes.first_line(process, timeout_s=_ONCE_S, log=folder / "logins.log"))
    return done


@contextlib.contextmanager
def _clients(
    server: Running, logins: Sequence[Sent], folder: Path, core: int, flags: tuple[str, ...]
) -> Iterator[subprocess.Popen[bytes]]:
    file, log = folder / "logins.json", folder / "logins.log"
    file.write_text(json.dumps(logins))
    command = [
        sys.executable,
        str(REPOSITORY / "benchmarks" / "support" / "login_clients.py"),
        *("--port", str(server.port), "--logins", str(file), *flags),
    ]
    with processes.running(command, core=core, log=log) as process:
        processes.first_line(process, timeout_s=20.0, log=log)
        yield process


def _fill(running: LogIns, line: bytes) -> None:
    told = json.loads(line)
    running.seconds = told["seconds"]
    running.taken_ms = told["taken_ms"]
    running.busy = told["busy"]
    running.unexpected = told["unexpected"]
    running.lost = told["lost"]
