"""A process that opens idle subscribers, says so, and keeps them until it is ended.

Each comes from an address of its own of 127.0.0.0/8: what a server keeps by address is counted
too. Reads one JSON object from the file that is named (`Asked`). Ends with 1 when one is lost.
"""

import asyncio
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvloop

from support.subscribers import Subscriber, open_subscriber

_AT_ONCE = 32
_ADDRESSES_A_NET = 250


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be held; the tokens are taken in turn."""

    kind: str
    tokens: list[str]
    port: int
    subscribers: int


async def hold(asked: Asked) -> None:
    """Hold the subscribers until one of them is lost."""
    waiting = iter(range(asked.subscribers))
    opened = await asyncio.gather(*(_open(asked, waiting) for _ in range(_AT_ONCE)))
    subscribers = list(itertools.chain.from_iterable(opened))
    print("ready", flush=True)
    await asyncio.wait([one.lost for one in subscribers], return_when=asyncio.FIRST_COMPLETED)
    sys.exit("a subscriber was lost")


async def _open(asked: Asked, waiting: Iterator[int]) -> list[Subscriber]:
    """Open one after the other, as long as there are any."""
    return [
        await open_subscriber(
            asked.kind,
            asked.tokens[number % len(asked.tokens)],
            number,
            port=asked.port,
            source=_address(number),
        )
        for number in waiting
    ]


def _address(number: int) -> str:
    net, host = divmod(number, _ADDRESSES_A_NET)
    return f"127.{1 + net // 250}.{net % 250}.{1 + host}"


def main() -> None:
    uvloop.run(hold(Asked(**json.loads(Path(sys.argv[1]).read_text()))))


if __name__ == "__main__":
    main()
