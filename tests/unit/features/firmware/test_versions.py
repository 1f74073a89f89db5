"""Which version is newer, and what may be the name of one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.features.firmware.errors import InvalidFirmwareError
from thingstead.features.firmware.versions import (
    check_mcu,
    check_version,
    is_same,
    version_key,
)

numbers = st.lists(st.integers(0, 10**20), min_size=1, max_size=6)
identifier = st.from_regex(r"[0-9A-Za-z-]{1,8}", fullmatch=True)
versionish = st.text("0123456789.-+~vVabrc _", max_size=20)
anything = st.text(max_size=40) | versionish


def dotted(parts):
    return ".".join(map(str, parts))


@given(st.lists(anything, min_size=3, max_size=3))
def test_every_two_texts_have_one_order_and_every_three_a_consistent_one(texts):
    first, second, third = sorted(map(version_key, texts))

    assert first <= second <= third
    assert first <= third
    assert (first < second) + (second < first) + (first == second) == 1


@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_no_text_whatsoever_is_too_much(text):
    assert version_key(text) == version_key(text)
    assert is_same(text, text)


@pytest.mark.parametrize(
    "text", ["9" * 100_000, "1." * 50_000, "-" * 100_000, "v", "", "\0", "\ud800", "1.٣", "²"]
)
def test_hostile_texts_have_a_place_in_the_order(text):
    assert version_key(text) != version_key("1.2.3")
    assert (version_key(text) < version_key("1.2.3")) != (version_key("1.2.3") < version_key(text))


def test_more_digits_than_python_reads_are_a_larger_number():
    assert version_key("1" + "0" * 10_000) > version_key("9" * 10_000)


def test_the_examples_of_semver_are_in_its_order():
    # https://semver.org/spec/v2.0.0.html, 11
    newer = ["1.0.0", "2.0.0", "2.1.0", "2.1.1"]
    older = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
    ]

    assert sorted(newer[::-1] + older[::-1], key=version_key) == older + newer


@given(st.integers(0), st.integers(0))
def test_whole_numbers_are_ordered_by_number(one, other):
    assert (version_key(str(one)) < version_key(str(other))) == (one < other)


def test_ten_is_newer_than_nine():
    assert version_key("10") > version_key("9")
    assert version_key("1.10") > version_key("1.9")


@given(numbers, numbers)
def test_numbers_are_compared_from_the_left(one, other):
    length = max(len(one), len(other))
    padded = [parts + [0] * (length - len(parts)) for parts in (one, other)]

    assert (version_key(dotted(one)) < version_key(dotted(other))) == (padded[0] < padded[1])


@given(numbers, st.lists(identifier, min_size=1, max_size=4), st.sampled_from("-~"))
def test_a_pre_release_comes_before_its_release(parts, before, mark):
    release = dotted(parts)

    assert version_key(f"{release}{mark}{'.'.join(before)}") < version_key(release)


@pytest.mark.parametrize("mark", "-~")
def test_a_pre_release_comes_after_the_release_before(mark):
    assert version_key("1.1") < version_key(f"1.2{mark}rc.1") < version_key(f"1.2{mark}rc.2")


@given(numbers, st.text(max_size=20))
def test_what_follows_a_plus_sign_is_ignored(parts, build):
    assert is_same(dotted(parts), f"{dotted(parts)}+{build.strip()}")


@pytest.mark.parametrize("text", ["1.2", "1.2.0", "v1.2", "V1.2.0.0", " 1.2\n", "01.002", "1.2+7"])
def test_forms_of_one_version_are_the_same(text):
    assert is_same(text, "1.2")


@pytest.mark.parametrize("text", ["1.2-0", "1.2.0.1", "12", "1.2.", ".1.2", "1..2", "1_2", ""])
def test_others_are_not(text):
    assert not is_same(text, "1.2")


@given(anything.filter(lambda text: version_key(text)[0] == 0))
def test_what_cannot_be_read_is_older_than_everything_that_can(text):
    assert version_key(text) < version_key("0-0")


@pytest.mark.parametrize("text", ["build9", "1.2.3rc1", "1.2-", "1.2-a..b", "1,2", "version 3"])
def test_what_cannot_be_read_is_said_to_be_so(text):
    assert version_key(text)[0] == 0


def test_what_cannot_be_read_is_ordered_by_its_runs_of_digits():
    assert version_key("build10") > version_key("build9")
    assert version_key("build-b2") > version_key("build-a10")


def test_unreadable_texts_are_the_same_version_only_when_they_are_equal():
    assert not is_same("build1", "build01")
    assert is_same("build1", "build1")


@pytest.mark.parametrize("text", ["3", "1.2.3-rc.1+b_7~x", "a" * 64])
def test_versions_of_up_to_64_characters_may_be_used(text):
    check_version(text)


@pytest.mark.parametrize(
    "text", ["", "a" * 65, "-1", ".1", "1/2", "1 2", "1\n", "1\0", "ä", "1%2", "٣"]
)
def test_other_versions_may_not(text):
    with pytest.raises(InvalidFirmwareError, match=r"version: 1 to 64 of letters"):
        check_version(text)


def test_the_refusal_names_what_was_checked():
    with pytest.raises(InvalidFirmwareError, match="min_version: 1 to 64"):
        check_version("", "min_version")


@pytest.mark.parametrize("text", ["m", "ESP32-S3", "main.board_2", "a" * 64])
def test_names_of_mcus_of_up_to_64_characters_may_be_used(text):
    check_mcu(text)


@pytest.mark.parametrize("text", ["", "a" * 65, "_a", "a+b", "a~b", "a/b", "a b", "a\n", "µ"])
def test_other_names_of_mcus_may_not(text):
    with pytest.raises(InvalidFirmwareError, match=r"mcu: 1 to 64 of letters"):
        check_mcu(text)
