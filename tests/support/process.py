"""`thingstead` as the processes that users run: the server, and commands beside it."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from support.wire import Address

PATIENCE_SECONDS = 30
# Servers of several tests run at once, and these have fixed ports unless told otherwise.
OFF = {"THINGSTEAD_MQTT_PORT": "0", "THINGSTEAD_COAP_PORT": "0"}
PROGRAM = (sys.executable, "-m", "thingstead")


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of ours, then with the changes."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("THINGSTEAD_")}
    return kept | OFF | dict(changes or {})


@dataclass
class ServerProcess:
    """A server that has told its URL; ended by the fixture or test that started it."""

    process: "subprocess.Popen[bytes]"
    ready: dict[str, str]
    folder: Path
    errors: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.ready["url"]

    @property
    def address(self) -> Address:
        parts = urlsplit(self.url)
        assert parts.port is not None
        host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
        return Address(host or "", parts.port)

    @property
    def token(self) -> str:
        return self.ready["token"]

    @property
    def code(self) -> str:
        return self.ready["activationCode"]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the server and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """End the whole process group at once, as a power cut ends a process."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)

    def logged(self) -> str:
        return self.errors.read_text("utf-8")

    def command(self, *words: str) -> object:
        """What a command beside the running server prints as JSON.

        `words`: group and command first; after `--` an id may begin with a hyphen.
        """
        options = ("--data", str(self.folder), "--json")
        return command(*words[:2], *options, *words[2:], env=self.settings)


def command(*words: str, env: Mapping[str, str] | None = None) -> object:
    """What a command prints as JSON; it must succeed."""
    done = run(*words, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run(*words: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """A command that ended by itself."""
    return subprocess.run(
        [*PROGRAM, *words],
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@contextmanager
def server_process(
    folder: Path,
    *flags: str,
    env: Mapping[str, str] | None = None,
    around: tuple[str, ...] = (),
) -> Iterator[ServerProcess]:
    """A server on a free port of 127.0.0.1; `around` is a program that runs it, as strace."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    errors = folder.with_name(f"{folder.name}.stderr")
    host = () if "--host" in flags else ("--host", "127.0.0.1")
    port = () if "--port" in flags else ("--port", "0")
    words = [*around, *PROGRAM, "serve", "--data", str(folder), "--json", *host, *port, *flags]
    settings = dict(env or {})
    with (
        errors.open("ab") as log,
        subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(settings),
            start_new_session=True,
        ) as process,
    ):
        try:
            ready = json.loads(_first_line(process, errors))
            yield ServerProcess(process, ready, folder, errors, settings)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(PATIENCE_SECONDS)


def _first_line(process: "subprocess.Popen[bytes]", errors: Path) -> bytes:
    assert process.stdout is not None
    until = time.monotonic() + PATIENCE_SECONDS
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            left = until - time.monotonic()
            assert left > 0, "the server did not start in time"
            assert selector.select(left), "the server did not start in time"
            piece = os.read(process.stdout.fileno(), 65_536)
            assert piece, f"the server ended: {errors.read_text('utf-8')}"
            line += piece
    return line
