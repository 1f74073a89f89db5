import asyncio

import pytest

from thingstead.kernel.errors import OverloadedError
from thingstead.transports.coap.blocks import Block, KeptAnswer, KeptAnswers, Uploads, read_block
from thingstead.transports.coap.limits import CoAPLimits
from thingstead.transports.coap.refusals import (
    IncompleteUploadError,
    InvalidTargetError,
    UploadTooLargeError,
)

LIMITS = CoAPLimits(upload_bytes=64, uploads=2, upload_seconds=60, kept_answer_bytes=100)


def add(uploads, number, *, peer="peer", key="key", more=True, size=16, now=0.0, most=64):
    block = Block(number, more, 0)
    return uploads.add(peer, key, block, b"x" * size, most=most, now=now)


def test_block_option_is_read():
    assert read_block(b"") == Block(0, has_more=False, size_exponent=0)
    assert read_block(b"\x1e") == Block(1, has_more=True, size_exponent=6)
    assert read_block(b"\xff\xff\xf6") == Block(0xFFFFF, has_more=False, size_exponent=6)
    with pytest.raises(InvalidTargetError, match="reserved"):
        read_block(b"\x07")


def test_body_is_whole_with_its_last_block():
    uploads = Uploads(LIMITS)

    assert add(uploads, 0) is None
    assert add(uploads, 1) is None
    assert add(uploads, 2, more=False, size=3) == b"x" * 35
    assert len(uploads) == 0


def test_first_block_begins_anew():
    uploads = Uploads(LIMITS)
    add(uploads, 0)
    add(uploads, 1)

    assert add(uploads, 0) is None
    assert add(uploads, 1, more=False, size=1) == b"x" * 17


@pytest.mark.parametrize("number", [0, 2, 3])
def test_block_that_does_not_follow_is_incomplete(number):
    uploads = Uploads(LIMITS)
    if number:
        add(uploads, 0)

    with pytest.raises(IncompleteUploadError):
        add(uploads, number or 1)


def test_unfinished_body_is_forgotten_after_its_time():
    uploads = Uploads(LIMITS)
    add(uploads, 0, now=0.0)
    add(uploads, 1, now=59.9)

    assert add(uploads, 2, now=119.8) is None
    with pytest.raises(IncompleteUploadError):
        add(uploads, 3, now=179.8)


def test_bodies_of_one_peer_together_have_a_limit():
    uploads = Uploads(LIMITS)
    for number in range(3):
        add(uploads, number, key="one")
    add(uploads, 0, key="two")

    with pytest.raises(UploadTooLargeError, match="of one peer at once"):
        add(uploads, 1, key="two")
    assert add(uploads, 3, key="one", more=False) == b"x" * 64


def test_body_has_a_limit_of_its_own():
    uploads = Uploads(LIMITS)
    add(uploads, 0, most=20)

    with pytest.raises(UploadTooLargeError, match="at most 20 bytes"):
        add(uploads, 1, size=5, more=False, most=20)


def test_so_many_are_unfinished_and_no_more():
    uploads = Uploads(LIMITS)
    add(uploads, 0, peer="one", key="one")
    add(uploads, 0, peer="two", key="two")

    with pytest.raises(OverloadedError):
        add(uploads, 0, peer="three", key="three")
    assert add(uploads, 0, peer="three", key="three", more=False) == b"x" * 16
    assert add(uploads, 0, peer="three", key="three", now=60.0) is None


def kept(size):
    return KeptAnswer(b"x" * size, 50)


def test_answers_are_kept_in_so_many_bytes():
    answers = KeptAnswers(LIMITS)
    answers.keep("one", kept(50), 0.0)
    answers.keep("two", kept(50), 0.0)
    assert len(answers) == 2

    answers.keep("three", kept(1), 0.0)

    assert answers.find("one", 0.0) is None
    assert answers.find("two", 0.0) is not None


def test_so_many_answers_are_kept():
    answers = KeptAnswers(CoAPLimits(kept_answers=2))
    for key in ("one", "two", "three"):
        answers.keep(key, kept(1), 0.0)

    assert len(answers) == 2
    assert answers.find("one", 0.0) is None


def test_answer_is_kept_for_its_time():
    answers = KeptAnswers(LIMITS)
    answers.keep("one", kept(1), 0.0)

    assert answers.find("one", 59.9) is not None
    assert answers.find("one", 60.0) is None


def test_later_answer_replaces_the_one_before():
    answers = KeptAnswers(LIMITS)
    answers.keep("one", kept(100), 0.0)
    answers.keep("one", kept(99), 0.0)

    found = answers.find("one", 0.0)
    assert found is not None
    assert len(found.body) == 99


async def test_who_waits_for_the_fetching_is_told_once_it_ends():
    answers = KeptAnswers(LIMITS)
    answer = kept(1)
    answer.fetched = asyncio.get_running_loop().create_future()
    answers.keep("one", answer, 0.0)

    answers.release_all()
    answers.release_all()

    assert answer.fetched.done()
