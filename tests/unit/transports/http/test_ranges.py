"""Ranges: compared with a slow reference that thinks in single bytes (RFC 9110, section 14)."""

import random

import pytest

from support.range_reference import UNSATISFIABLE, reference
from thingstead.transports.http import ranges
from thingstead.transports.http.ranges import MOST_PARTS, MOST_RANGES, Span, spans_of
from thingstead.transports.http.refusals import RangeNotSatisfiableError

SIZE = 100


def spans(header, size=SIZE):
    try:
        found = spans_of(header, size)
    except RangeNotSatisfiableError:
        return UNSATISFIABLE
    return None if found is None else [(span.start, span.end) for span in found]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"bytes=0-0", [(0, 1)]),
        (b"bytes=0-99", [(0, 100)]),
        (b"bytes=10-19", [(10, 20)]),
        (b"bytes=90-", [(90, 100)]),
        (b"bytes=90-4000", [(90, 100)]),
        (b"bytes=99-99", [(99, 100)]),
        (b"bytes=-1", [(99, 100)]),
        (b"bytes=-500", [(0, 100)]),
        (b"BYTES=1-2", [(1, 3)]),
        (b"bytes= 1-2 ,\t5-6", [(1, 3), (5, 7)]),
        (b"bytes=,1-2,,", [(1, 3)]),
        (b"bytes=50-60,1-2", [(50, 61), (1, 3)]),
        (b"bytes=0-10,5-20", [(0, 21)]),
        (b"bytes=0-10,11-20", [(0, 21)]),
        (b"bytes=50-60,1-2,55-70", [(50, 71), (1, 3)]),
        (b"bytes=1-2,200-300", [(1, 3)]),
        (b"bytes=00000000000000000000000000000001-2", [(1, 3)]),
    ],
)
def test_ranges_are_read(header, expected):
    assert spans(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"bytes",
        b"bytes=",
        b"bytes=,",
        b"bytes=-",
        b"bytes=a-b",
        b"bytes=1",
        b"bytes=1-2-3",
        b"bytes=--1",
        b"bytes=+1-2",
        b"bytes=1 -2",
        b"bytes=1-2;3-4",
        b"bytes=2-1",
        b"bytes=1-2,9-8",
        b"bytes=0x1-2",
        b"bytes=\xb2-3",
        b"bytes =0-1",
        b"lines=0-1",
        b" bytes=0-1",
        b"bytes=%d-%d" % (10**40, 10**39),
    ],
)
def test_what_is_malformed_or_in_other_units_is_ignored(header):
    assert spans(header) is None


@pytest.mark.parametrize(
    "header",
    [
        b"bytes=100-",
        b"bytes=100-200",
        b"bytes=-0",
        b"bytes=100-,500-600,-0",
        b"bytes=%d-" % 10**40,
        b"bytes=%d-%d" % (10**39, 10**40),
        b"bytes=" + b"9" * 15_000 + b"-",
    ],
)
def test_what_does_not_exist_is_not_satisfiable(header):
    assert spans(header) == UNSATISFIABLE


def test_number_of_any_length_is_clamped():
    assert spans(b"bytes=1-" + b"9" * 15_000) == [(1, 100)]
    assert spans(b"bytes=-" + b"9" * 15_000) == [(0, 100)]


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_random_headers_mean_what_the_reference_says(size):
    dice = random.Random(size)
    tokens = ["-", "-", ",", ",", " ", "0", "1", "5", "6", "12", "99", "100", "101", "7-8", "a"]
    for _ in range(3_000):
        header = "bytes=" + "".join(dice.choices(tokens, k=dice.randint(1, 9)))

        assert spans(header.encode(), size) == reference(header.encode(), size, MOST_PARTS), header


def test_random_lists_of_ranges_mean_what_the_reference_says():
    dice = random.Random(9110)
    for _ in range(300):
        count = dice.randint(1, 24)
        specs = []
        for _ in range(count):
            start = dice.randint(0, SIZE + 10)
            specs.append(
                dice.choice([f"{start}-{start + dice.randint(0, 3)}", f"{start}-", f"-{start}"])
            )
        header = ("bytes=" + ",".join(specs)).encode()

        assert spans(header) == reference(header, SIZE, MOST_PARTS), header


@pytest.mark.parametrize(("count", "is_whole"), [(MOST_PARTS, False), (MOST_PARTS + 1, True)])
def test_so_many_parts_are_given_and_no_more(count, is_whole):
    header = b"bytes=" + b",".join(b"%d-%d" % (at * 2, at * 2) for at in range(count))

    found = spans(header)

    assert (found is None) is is_whole
    assert is_whole or len(found) == count


@pytest.mark.parametrize(("count", "is_whole"), [(MOST_RANGES, False), (MOST_RANGES + 1, True)])
def test_so_many_ranges_are_looked_at_and_no_more(count, is_whole):
    header = b"bytes=" + b",".join([b"0-"] * count)

    assert spans(header) == (None if is_whole else [(0, SIZE)])


def test_bomb_of_ranges_is_not_even_taken_apart(monkeypatch):
    looked_at = []

    class Counting:
        def fullmatch(self, spec):
            looked_at.append(spec)

    monkeypatch.setattr(ranges, "_RANGE", Counting())

    assert spans(b"bytes=" + b"0-," * 5_000) is None
    assert looked_at == []


def test_representation_without_bytes_is_answered_whole():
    assert spans_of(b"bytes=0-", 0) is None


def test_span_is_a_value():
    assert spans_of(b"bytes=3-4", SIZE) == (Span(3, 5),)
