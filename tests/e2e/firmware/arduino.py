"""The updaters of the Arduino world, byte for byte as their sources send and read.

`ESP8266HTTPUpdate::handleUpdate` (esp8266/Arduino) and `HTTPUpdate::handleUpdate`
(espressif/arduino-esp32) on `HTTPClient` with `useHTTP10(true)`, and `Update` behind them.
"""

import asyncio
import hashlib
from dataclasses import dataclass, field

from support.wire import PATIENCE_SECONDS, connect

MAGIC = 0xE9
NO_UPDATES, OK = "no updates", "ok"
_FREE_SPACE = 1_310_720
_ESP8266 = (
    ("x-ESP8266-Chip-ID", "1234567"),
    ("x-ESP8266-STA-MAC", "5C:CF:7F:00:00:01"),
    ("x-ESP8266-AP-MAC", "5E:CF:7F:00:00:01"),
    ("x-ESP8266-free-space", str(_FREE_SPACE)),
    ("x-ESP8266-sketch-size", "408640"),
    ("x-ESP8266-sketch-md5", "@MD5@"),
    ("x-ESP8266-chip-size", "4194304"),
    ("x-ESP8266-sdk-version", "2.2.2-dev(38a443e)"),
    ("x-ESP8266-mode", "sketch"),
)
_ESP32 = (
    ("Cache-Control", "no-cache"),
    ("x-ESP32-STA-MAC", "24:0A:C4:00:00:01"),
    ("x-ESP32-AP-MAC", "24:0A:C4:00:00:02"),
    ("x-ESP32-free-space", str(_FREE_SPACE)),
    ("x-ESP32-sketch-size", "800000"),
    ("x-ESP32-sketch-md5", "@MD5@"),
    ("x-ESP32-sketch-sha256", "AB" * 32),
    ("x-ESP32-chip-size", "4194304"),
    ("x-ESP32-sdk-version", "v5.1.4"),
    ("x-ESP32-mode", "sketch"),
)
FAMILIES = {"ESP8266": _ESP8266, "ESP32": _ESP32}


@dataclass
class Board:
    """Runs `sketch`, and boots into what it has flashed."""

    family: str
    sketch: bytes
    version: str
    """What the program passes to the updater; nothing when empty."""
    flashes: int = 0
    broken_flashes: int = 0
    """How often it boots the old program although everything was written."""
    heads: list[bytes] = field(default_factory=list)

    def request(self, host: str, path: str) -> bytes:
        headers = [*FAMILIES[self.family]]
        if self.version:
            headers.append((f"x-{self.family}-version", self.version))
        lines = [
            f"GET {path} HTTP/1.0",
            f"Host: {host}",
            f"User-Agent: {self.family}-http-Update",
            "Connection: close",
            *(f"{name}: {value}" for name, value in headers),
        ]
        text = "".join(f"{line}\r\n" for line in lines) + "\r\n"
        return text.replace("@MD5@", hashlib.md5(self.sketch).hexdigest()).encode()

    async def update(self, address, path, *, new_version):
        """What the updater returns; when that is `ok` the board has restarted."""
        async with connect(address) as wire, asyncio.timeout(PATIENCE_SECONDS):
            await wire.send(self.request(f"{address.host}:{address.port}", path))
            code, length, md5 = await self._read_head(wire.reader)
            if code == 304:
                return NO_UPDATES
            if code in {403, 404}:
                return f"failed: {code}"
            if code != 200:
                return "failed: wrong HTTP code"
            if length <= 0:
                return "failed: server did not report size"
            if length > _FREE_SPACE:
                return "failed: not enough space"
            image = await wire.reader.readexactly(length)
            assert await wire.reader.read() == b"", "more than its length came"
        if image[0] != MAGIC:
            return "failed: magic header"
        if md5 and (len(md5) != 32 or hashlib.md5(image).hexdigest() != md5):
            return "failed: MD5"
        self.flashes += 1
        if self.broken_flashes:
            self.broken_flashes -= 1
        else:
            self.sketch = image
            self.version = new_version if self.version else ""
        return OK

    async def _read_head(self, reader) -> tuple[int, int, str]:
        """`HTTPClient::handleHeaderResponse`; -1 is the size of what has no Content-Length."""
        code, length, md5 = -1, -1, ""
        head = b""
        while line := (raw := await reader.readline()).decode("latin-1").strip():
            head += raw
            name, _, value = line.partition(":")
            if line.startswith("HTTP/1."):
                code = int(line[9:].split(" ")[0])
            elif name.lower() == "content-length":
                length = int(value)
            elif name.lower() == "x-md5":
                md5 = value.strip()
            assert name.lower() != "transfer-encoding", "the updater cannot read this"
        self.heads.append(head)
        return code, length, md5
