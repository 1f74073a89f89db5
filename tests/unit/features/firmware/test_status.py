"""What things say about their updates, in hawkBit's words and plain ones."""

import pytest

from thingstead.features.firmware.errors import InvalidStatusError
from thingstead.features.firmware.status import (
    MAX_DETAIL_CHARACTERS,
    Execution,
    Result,
    Status,
    parse_status,
    printable,
)


@pytest.mark.parametrize("word", list(Execution))
def test_every_word_is_understood(word):
    assert parse_status(word.value).execution is word


@pytest.mark.parametrize(
    ("word", "execution", "result"),
    [
        ("success", Execution.CLOSED, Result.SUCCESS),
        ("succeeded", Execution.CLOSED, Result.SUCCESS),
        ("failed", Execution.CLOSED, Result.FAILURE),
        ("failure", Execution.CLOSED, Result.FAILURE),
        ("downloading", Execution.DOWNLOAD, Result.NONE),
        ("cancelled", Execution.CANCELED, Result.NONE),
        (" Installing ", Execution.INSTALLING, Result.NONE),
    ],
)
def test_plain_words_are_understood(word, execution, result):
    assert parse_status(word) == Status(execution, result)


def test_the_result_of_hawkbit_is_taken_apart():
    status = parse_status(
        "proceeding", {"finished": "none", "progress": {"cnt": 1, "of": 4}}, None, ["one", "two"]
    )

    assert status == Status(Execution.PROCEEDING, Result.NONE, 25, "one; two")


def test_a_result_said_goes_before_that_of_the_word():
    assert parse_status("success", "failure").result is Result.FAILURE


@pytest.mark.parametrize(
    ("progress", "per_cent"),
    [
        (None, None),
        (0, 0),
        (99.9, 99),
        (250, 100),
        ({"cnt": 2, "of": 2}, 100),
        ({"cnt": 3, "of": 2}, 100),
        ({"cnt": 2}, None),
        ({"of": 2}, None),
        ({}, None),
        ({"cnt": 2, "of": 0}, None),
        ({"cnt": 1e15, "of": 5e-324}, 100),
    ],
)
def test_progress_is_per_cent(progress, per_cent):
    assert parse_status("download", None, progress).progress == per_cent


def test_progress_goes_before_that_of_the_result():
    status = parse_status("download", {"progress": {"cnt": 1, "of": 4}}, 50)

    assert status.progress == 50


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ((None,), "state"),
        ((1,), "state"),
        (("asleep",), "state"),
        (("closed", "well"), "result"),
        (("closed", 1), "result"),
        (("closed", {"finished": "well"}), "result"),
        (("download", None, -1), "progress"),
        (("download", None, 1e16), "progress"),
        (("download", None, True), "progress"),
        (("download", None, "half"), "progress"),
        (("download", None, float("nan")), "progress"),
        (("download", None, {"cnt": "1", "of": 2}), "progress"),
        (("closed", None, None, 1), "details"),
        (("closed", None, None, [1]), "details"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(members, named):
    with pytest.raises(InvalidStatusError, match=f"{named}:"):
        parse_status(*members)


def test_details_are_cut_at_their_limit():
    most = MAX_DETAIL_CHARACTERS

    assert parse_status("closed", None, None, "a" * most).details == "a" * most
    assert parse_status("closed", None, None, "a" * (most + 1)).details == "a" * most


def test_what_cannot_be_printed_becomes_a_blank():
    assert printable("one\x1b[31m\r\n two\u202e") == "one [31m two"


def test_a_very_long_text_costs_no_more_than_a_long_one():
    assert printable("\x00" * 10_000_000 + "a") == ""
