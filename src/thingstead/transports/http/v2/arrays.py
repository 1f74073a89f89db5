"""Long bare arrays: whole where they are one page, otherwise while their pages are read.

Old clients parse each piece that they receive alone (`thethings-v2.md` 2.3), so what fits into
one page goes out in one piece.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from thingstead.transports.http.answers import Answer, PiecewiseAnswer
from thingstead.transports.wire.values_out import encode

Pages = AsyncGenerator[Sequence[object], None]
"""The array's members, ready to encode, some at a time; no page is empty."""


async def array_answer(pages: Pages) -> Answer | PiecewiseAnswer:
    """Return an answer with all members as one array; closes the pages at its end."""
    # A list: CPython 3.11 takes a tuple here for the arguments of an exception.
    nothing: Sequence[object] = []
    first = await anext(pages, nothing)
    second = await anext(pages, None)
    if second is None:
        return Answer(200, b"[" + _members(first) + b"]")
    return PiecewiseAnswer(_pieces(first, second, pages))


async def _pieces(
    first: Sequence[object], second: Sequence[object], rest: Pages
) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield b"[" + _members(first)
        yield b"," + _members(second)
        async for page in rest:
            yield b"," + _members(page)
        yield b"]"


def _members(page: Sequence[object]) -> bytes:
    return encode(list(page))[1:-1]
