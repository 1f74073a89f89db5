"""An image for the things of a fleet, published before a server starts; and nginx with its file."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from support import processes
from support.fleet import Fleet
from support.servers import Running
from thingstead.bootstrap import open_administration
from thingstead.features.firmware.model import NewFirmware
from thingstead.settings import Settings

VERSION = "1.0.0"
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is offered to all things of the fleet; `file` has its bytes."""

    id: str
    size: int
    file: Path

    def target(self, token: str) -> str:
        """Return where a thing downloads it."""
        return f"/v2/things/{token}/firmwares/download/{self.id}"


def publish(things: Fleet, size: int) -> Image:
    """Publish random bytes to the product of the fleet."""
    content = random.Random(1).randbytes(size)
    folder = things.data.parent / f"{things.data.name}-image"
    folder.mkdir()
    file = folder / "image.bin"
    file.write_bytes(content)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, _CHUNK_BYTES):
            yield content[start : start + _CHUNK_BYTES]

    async def work() -> str:
        async with open_administration(Settings(data=str(things.data))) as administration:
            thing = await administration.things.get(things.things[0])
            new = NewFirmware(
                product_id=thing.product_id, mcu="main", version=VERSION, filename=file.name
            )
            published = await administration.publishing.publish(new, chunks())
        return str(published.id)

    return Image(asyncio.run(work()), size, file)


@contextlib.contextmanager
def nginx(folder: Path, image: Image, *, core: int, name: str = "nginx") -> Iterator[Running]:
    """Serve the image's file under every path, by nginx with one worker on the core."""
    folder.mkdir()
    port = processes.free_port()
    log = folder / "error.log"
    log.touch()
    configuration = folder / "nginx.conf"
    user = "user root;\n" if Path("/proc/self").stat().st_uid == 0 else ""
    places = "\n".join(
        f"  {kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration.write_text(f"""{user}daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {folder}/nginx.pid;
error_log {log};
events {{ worker_connections 4096; }}
http {{
  access_log off;
  server_tokens off;
  keepalive_requests 1000000000;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=16;
  default_type application/octet-stream;
{places}
  server {{
    listen 127.0.0.1:{port};
    root {image.file.parent};
    location / {{ try_files /{image.file.name} =404; }}
  }}
}}
""")
    with processes.running(
        ["nginx", "-p", str(folder), "-c", str(configuration)], core=core, log=log
    ) as process:
        processes.wait_for_port(port, process, log=log)
        yield Running(name, port, process.pid, log)
