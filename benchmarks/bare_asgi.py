"""The bare reference: an ASGI application on uvicorn that reads the body and answers a constant.

What it costs is what uvicorn costs; the difference to it is what the platform itself costs.
"""

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Constant:
    """Answers everything alike."""

    def __init__(self, status: int, body: bytes) -> None:
        self._start = {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"Content-Type", b"application/json"),
                (b"Content-Length", str(len(body)).encode("ascii")),
                (b"Cache-Control", b"no-store"),
                (b"X-Content-Type-Options", b"nosniff"),
                (b"Referrer-Policy", b"no-referrer"),
                (b"Access-Control-Allow-Origin", b"*"),
            ],
        }
        self._body = {"type": "http.response.body", "body": body}

    async def __call__(self, _scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        while (await receive()).get("more_body", False):
            pass
        await send(self._start)
        await send(self._body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--status", type=int, required=True)
    parser.add_argument("--body", type=Path, required=True, help="file with the answer's body")
    given = parser.parse_args()
    uvicorn.run(
        Constant(given.status, given.body.read_bytes()),
        host="127.0.0.1",
        port=given.port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
