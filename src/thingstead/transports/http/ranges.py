"""Byte ranges (RFC 9110, section 14): which bytes of a representation a request asks for.

Pure: text and a size in, spans out. What is malformed, in other units, or more than a
well-meaning client would ask for is ignored, as section 14.2 allows, so that such a request costs
no more than a plain one. Read on in `images.py`, which answers with the spans.
"""

import re
from dataclasses import dataclass

from thingstead.transports.http.refusals import RangeNotSatisfiableError

MOST_PARTS = 16
"""So many parts an answer has at most, once overlapping ones are joined."""
MOST_RANGES = 128
"""So many ranges are looked at; a header that lists more is ignored unread."""

_RANGE = re.compile(rb"[ \t]*([0-9]*)-([0-9]*)[ \t]*")
_UNIT = b"bytes="


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes from `start` up to `end`, which is the first one that is not meant."""

    start: int
    end: int


def spans_of(header: bytes | None, size: int) -> tuple[Span, ...] | None:
    """Return the spans that the header asks for, None for the whole.

    Several come in the order of the request; those that overlap or touch are joined, in the place
    of the first of them.

    Raises:
        RangeNotSatisfiableError: no part of any range exists.
    """
    if header is None or header[: len(_UNIT)].lower() != _UNIT or size == 0:
        return None
    specs = header[len(_UNIT) :]
    if specs.count(b",") >= MOST_RANGES:
        return None
    spans: list[Span] = []
    is_empty = True
    for spec in specs.split(b","):
        if not spec.strip(b" \t"):
            # RFC 9110, 5.6.1.2: empty members of a list are skipped.
            continue
        is_empty = False
        found = _RANGE.fullmatch(spec)
        if found is None or not _is_range(found[1], found[2]):
            return None
        span = _span(found[1], found[2], size)
        if span is not None:
            spans.append(span)
    if is_empty:
        return None
    if not spans:
        raise RangeNotSatisfiableError(size)
    joined = _joined(spans)
    return None if len(joined) > MOST_PARTS else joined


def _is_range(first: bytes, last: bytes) -> bool:
    """Return whether the two can be a range; compared as text, for they may have any length."""
    if not first or not last:
        return bool(first or last)
    first, last = first.lstrip(b"0"), last.lstrip(b"0")
    return (len(first), first) <= (len(last), last)


def _span(first: bytes, last: bytes, size: int) -> Span | None:
    if not first:
        wanted = _number(last, size)
        return Span(size - wanted, size) if wanted else None
    start = _number(first, size)
    if start >= size:
        return None
    return Span(start, _number(last, size - 1) + 1 if last else size)


def _number(digits: bytes, most: int) -> int:
    """Return the number, or `most` when it is larger; reads no more digits than that has."""
    digits = digits.lstrip(b"0")
    if len(digits) > len(str(most)):
        return most
    return min(int(digits or b"0"), most)


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    if len(spans) == 1:
        return (spans[0],)
    # Of each joined span: its place in the request, start and end.
    joined: list[tuple[int, int, int]] = []
    for place, span in sorted(enumerate(spans), key=lambda entry: entry[1].start):
        if joined and span.start <= joined[-1][2]:
            before, start, end = joined[-1]
            joined[-1] = (min(before, place), start, max(end, span.end))
        else:
            joined.append((place, span.start, span.end))
    return tuple(Span(start, end) for _, start, end in sorted(joined))
