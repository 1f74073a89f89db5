"""An S3-compatible server of others' making (moto) in a process of its own."""

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.request import Request, urlopen

KEY_ID = "AKIAOFATEST"
SECRET = "the secret that no log may hold"  # It opens nothing.

_PROGRAM = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.disable()
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@dataclass
class S3Server:
    """A server that runs; it checks no signatures."""

    endpoint: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def make_bucket(self) -> str:
        name = f"images-{next(self._numbers)}"
        with urlopen(Request(f"{self.endpoint}/{name}", method="PUT")):
            return name

    def url(self, bucket: str, prefix: str = "fleet") -> str:
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}&allow_http=true&region=us-east-1"


@contextmanager
def s3_server() -> Iterator[S3Server]:
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            port = int(process.stdout.readline())
            yield S3Server(f"http://127.0.0.1:{port}")
        finally:
            process.kill()


def set_credentials(monkeypatch) -> None:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("NO_PROXY", "127.0.0.1"),
    ):
        monkeypatch.setenv(name, value)
