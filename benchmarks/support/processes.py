"""Child processes: started on a core, watched for processor time, ended whatever happens.

Every server runs in a session of its own, so Ctrl-C reaches the benchmark only, which then
ends them in order. Read on in `servers.py`.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STOP_S = 20.0


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    core: int | None,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command on the core while the block runs; its stderr goes to `log`."""
    pinned = ["taskset", "-c", str(core), *command] if core is not None else [*command]
    with log.open("ab") as errors:
        process = subprocess.Popen(
            pinned,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    """End the process, by force after some seconds; twice is the same as once."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def end_in_order() -> None:
    """Have SIGTERM and Ctrl-C unwind the stack, so that no child and no data is left behind."""

    def leave(number: int, _frame: FrameType | None) -> None:
        # Once is enough: what is being cleaned up must not be interrupted again.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)


def first_line(process: subprocess.Popen[bytes], *, timeout_s: float, log: Path) -> bytes:
    """Return the first line that the process prints.

    Raises:
        RuntimeError: it ended or stayed silent; the text holds the end of its log.
    """
    output: IO[bytes] | None = process.stdout
    if output is None:
        raise RuntimeError("the process was started without a pipe")
    ready, _, _ = select.select([output], [], [], timeout_s)
    line = output.readline() if ready else b""
    if not line:
        raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text()[-2_000:]}")
    return line


class Lines:
    """The lines that a process prints, one by one, each awaited for a bounded time.

    Reads without a buffer of the standard library's, in which a second line would hide from
    `select`.
    """

    def __init__(self, process: subprocess.Popen[bytes], *, log: Path) -> None:
        if process.stdout is None:
            raise RuntimeError("the process was started without a pipe")
        self._process = process
        self._output = process.stdout.fileno()
        self._log = log
        self._rest = b""

    def next(self, *, timeout_s: float) -> bytes:
        """Return the next line.

        Raises:
            RuntimeError: it ended or stayed silent; the text holds the end of its log.
        """
        until = time.monotonic() + timeout_s
        while b"\n" not in self._rest:
            left = max(0.0, until - time.monotonic())
            ready, _, _ = select.select([self._output], [], [], left)
            piece = os.read(self._output, 65_536) if ready else b""
            if not piece:
                said = self._rest.decode(errors="replace") + self._log.read_text()[-2_000:]
                raise RuntimeError(f"{self._process.args!r} said no more:\n{said}")
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return line


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    assert_free(port)
    return port


def assert_free(port: int) -> None:
    """Raise RuntimeError if somebody listens there: a stale server would be measured instead."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise RuntimeError(f"port {port} is in use")


def wait_for_port(port: int, process: subprocess.Popen[bytes], *, log: Path) -> None:
    """Return once the process accepts connections.

    Raises:
        RuntimeError: it ended first, or took more than ten seconds.
    """
    until = time.monotonic() + 10.0
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text()[-2_000:]}")


def cpu_s(pid: int) -> float:
    """Return the processor time of a process, all its threads, and its children."""
    total = 0.0
    for one in [pid, *_descendants(pid)]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            # Fields 14 and 15 of proc(5), counted from the one behind the name.
            total += (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    return total


def memory_kib(pid: int) -> dict[str, int]:
    """Return resident memory of one process: in all, anonymous, and shared with files."""
    found = {"VmRSS": 0, "RssAnon": 0, "RssFile": 0}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in found:
            found[name] = int(rest.split()[0])
    return found


def written_bytes(pid: int) -> int:
    """Return how many bytes the process has sent towards the disk."""
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0


def socket_memory_kib() -> int:
    """Return what the buffers of all TCP sockets of the machine hold."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            return int(line.split()[-1]) * _PAGE_BYTES // 1_024
    return 0


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found + [deeper for child in found for deeper in _descendants(child)]
