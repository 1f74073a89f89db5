"""Whether a client reads a long answer fast enough to be worth its memory.

It must not know connections. Read on in `lifetime.py`, which measures and acts.
"""

import asyncio
import contextlib
import fcntl
import math
import socket
import struct
import termios
from typing import Final

_UNSENT_BYTES: Final = 128 * 1024
"""Enough that a fast client is never waited for; the kernel would take megabytes for a slow one."""


class Pace:
    """Compares what a client took with what it has to take, one span of time after the other.

    `looks_at`: when the present span ends, in seconds of the loop's clock.
    """

    __slots__ = ("_bytes_per_second", "_seconds", "_taken_bytes", "looks_at")

    def __init__(self, bytes_per_second: int, seconds: float, now: float) -> None:
        self._bytes_per_second = bytes_per_second
        self._seconds = seconds
        self._taken_bytes = 0
        self.looks_at = now + seconds

    def is_kept(self, taken_bytes: int, now: float) -> bool:
        """Return whether enough was taken since the span began, and begin the next one.

        `taken_bytes`: of the whole answer. To be called at the end of the span, or later.
        """
        seconds = self._seconds + max(0.0, now - self.looks_at)
        wanted = math.ceil(seconds * self._bytes_per_second)
        is_kept = taken_bytes - self._taken_bytes >= wanted
        self._taken_bytes = taken_bytes
        self.looks_at = now + self._seconds
        return is_kept


def keep_little_unsent(transport: asyncio.Transport) -> None:
    """Have the system take no more than a little ahead of what it can send to the client.

    A thousand clients that read nothing would otherwise fill gigabytes of the kernel's memory
    (tcp(7), TCP_NOTSENT_LOWAT). Systems that cannot do so are left as they are.
    """
    connected = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if connected is None or option is None or connected.family == socket.AF_UNIX:
        return
    with contextlib.suppress(OSError):
        connected.setsockopt(socket.IPPROTO_TCP, option, _UNSENT_BYTES)


def untaken_bytes(transport: asyncio.Transport) -> int:
    """Return how much of what was written the client's system has not confirmed yet.

    The kernel's buffers hold megabytes for a fast peer, so that a slow one seems to take nothing
    for minutes and then much at once. Where the system does not tell (Linux does), they count as
    empty.
    """
    waiting = transport.get_write_buffer_size()
    connected = transport.get_extra_info("socket")
    if connected is None:
        return waiting
    try:
        answer = fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return waiting
    return waiting + int(struct.unpack("i", answer)[0])


def is_reset(transport: asyncio.Transport) -> bool:
    """Return whether the client's system has ended the connection, which no event may tell.

    Once a client has closed its sending side nothing is read any more; that it has left, and not
    only ended its request, then shows where its system refuses what it is sent.
    """
    connected = transport.get_extra_info("socket")
    if connected is None:
        return False
    try:
        return bool(connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    except OSError:
        return True
