"""A process that begins many downloads, says so, and takes a little of each every second.

Each comes from an address of its own of 127.0.0.0/8. It asks the kernel for small buffers, so
that what the server has sent stays with the server. Reads one JSON object from the file that is
named (`Asked`). Runs until it is ended; ends with 1 when a download is over before that.
"""

import json
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_RECEIVE_BUFFER_BYTES = 4_096
_OPEN_S = 30.0
_ADDRESSES_A_NET = 250


@dataclass(frozen=True, slots=True)
class Asked:
    """What to download; the targets are taken in turn."""

    port: int
    targets: list[str]
    downloads: int
    bytes_per_s: int


def main() -> None:
    asked = Asked(**json.loads(Path(sys.argv[1]).read_text()))
    downloads = [_begin(asked, number) for number in range(asked.downloads)]
    for download in downloads:
        begin = download.recv(1_024)
        if not begin.startswith(b"HTTP/1.1 200 "):
            sys.exit(f"a download was refused: {begin!r}")
        download.settimeout(0)
    print("ready", flush=True)
    while True:
        begun = time.monotonic()
        for download in downloads:
            _take(download, asked.bytes_per_s)
        time.sleep(max(0.0, begun + 1.0 - time.monotonic()))


def _begin(asked: Asked, number: int) -> socket.socket:
    download = socket.socket()
    download.settimeout(_OPEN_S)
    download.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    net, host = divmod(number, _ADDRESSES_A_NET)
    download.bind((f"127.1.{net}.{1 + host}", 0))
    download.connect(("127.0.0.1", asked.port))
    target = asked.targets[number % len(asked.targets)]
    download.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{asked.port}\r\n\r\n".encode())
    return download


def _take(download: socket.socket, size: int) -> None:
    left = size
    while left > 0:
        try:
            piece = download.recv(left)
        except BlockingIOError:
            return
        if not piece:
            sys.exit("a download was closed")
        left -= len(piece)


if __name__ == "__main__":
    main()
