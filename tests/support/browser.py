"""Chromium as people have it, on pages of an origin of their own.

The pages come from another port than the API's, so that every call is one across origins. The
browser is the system's; playwright only drives it, and nothing is downloaded.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from support.tools import CLIENTS

PATIENCE_SECONDS = 20
# It runs as root in containers; and nothing shall leave the machine.
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PAGE = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>Test</title>{}'
_LOG = "console.log = (...told) => tell({ type: 'log', data: told })"


@dataclass
class Tab:
    """A page, what its scripts told, and what the browser complained about."""

    page: Page
    origin: str
    told: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str = "/") -> None:
        await self.page.goto(self.origin + path)

    async def run(self, script: str, *arguments: object) -> Any:
        """What a function of `browser.js`, or any other, returns for the arguments."""
        return await self.page.evaluate(f"told => ({script})(...told)", list(arguments))

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.told.get()

    async def until(self, kind: str) -> dict[str, Any]:
        """The next document of that type; those before it are left out."""
        while (document := await self.next())["type"] != kind:
            pass
        return document

    async def logged(self) -> list[Any]:
        """What the page's next `console.log` was given."""
        return (await self.until("log"))["data"]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    found = shutil.which("chromium")
    assert found is not None
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def tab_of(browser: Browser, origin: str) -> AsyncIterator[Tab]:
    """A new tab that shares nothing with others; it is nowhere yet."""
    context = await browser.new_context()
    try:
        page = await context.new_page()
        tab = Tab(page, origin)

        def note(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"}:
                tab.complaints.append(message.text)

        page.on("console", note)
        page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        await page.expose_function("tell", tab.told.put_nowait)
        await page.add_init_script(_LOG)
        yield tab
    finally:
        await context.close()


def page_with(*scripts: str) -> bytes:
    """A page that loads the scripts; one that begins with `<` stands in it as it is."""
    tags = [one if one.startswith("<") else f'<script src="{one}"></script>' for one in scripts]
    return _PAGE.format("".join(tags)).encode()


def script(path: str) -> bytes:
    """A file below `tests/clients`."""
    return Path(CLIENTS, path).read_bytes()


@asynccontextmanager
async def origin_of(files: Mapping[str, bytes]) -> AsyncIterator[str]:
    """A web server of its own port for pages and scripts, by their paths."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
        body = files[path]
        kind = "text/javascript" if path.endswith(".js") else "text/html"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
