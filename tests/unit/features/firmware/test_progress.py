"""How far an update has come: properties of every sequence, and the steps that matter."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingstead.features.firmware.meanings import Terms, What
from thingstead.features.firmware.model import UNDER_WAY, Update, UpdateState
from thingstead.features.firmware.progress import is_blocked, step
from thingstead.features.firmware.versions import version_key
from thingstead.kernel.ids import FirmwareId, ProductId, ThingId

S = UpdateState
TERMS = Terms("1.3", version_key("1.3"), attempts=3, grace_ms=30_000)
NEW = Update(
    thing_id=ThingId("thing"),
    firmware_id=FirmwareId("image"),
    product_id=ProductId(1),
    mcu="main",
    state=S.WAITING,
    changed_at_ms=1,
)
HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from(What), st.integers(0, 100_000), st.sampled_from(["", "1.2", "words"])
    ),
    max_size=60,
)


def in_state(state: UpdateState, **members: object) -> Update:
    return replace(NEW, state=state, reason="as it is", **members)


def live(happenings, attempts: int = 3) -> list[tuple[Update, What, object]]:
    """Return each happening with the update before it and the step after it."""
    update, now_ms, lived = NEW, 1_000, []
    terms = replace(TERMS, attempts=attempts)
    for what, wait_ms, detail in happenings:
        now_ms += wait_ms
        taken = step(update, what, terms, now_ms=now_ms, detail=detail)
        lived.append((update, what, taken))
        if taken is not None:
            update = replace(taken.update, revision=update.revision + 1)
    return lived


@given(HAPPENINGS, st.integers(1, 4))
def test_whatever_happens_every_state_is_defined_and_explained(happenings, attempts):
    for before, _, taken in live(happenings, attempts):
        if taken is None:
            continue
        assert taken.update.state in UpdateState
        assert taken.update.reason
        assert taken.update.revision == before.revision
        assert taken.events
        assert all(
            event.detail and event.at_ms == taken.update.changed_at_ms for event in taken.events
        )


@given(HAPPENINGS, st.integers(1, 4))
def test_failures_never_shrink_but_by_release(happenings, attempts):
    for before, what, taken in live(happenings, attempts):
        if taken is not None and what is not What.RELEASED:
            assert before.failures <= taken.update.failures <= before.failures + 1


@given(HAPPENINGS, st.integers(1, 4))
def test_after_too_many_failures_nothing_is_offered_or_fetched_until_release(happenings, attempts):
    for before, what, taken in live(happenings, attempts):
        if before.state is S.BLOCKED and taken is not None:
            assert what in (What.RELEASED, What.RUNS_IT)
        if taken is not None and before.state in (S.WAITING, S.FAILED):
            assert before.failures < attempts or taken.update.state not in (
                S.OFFERED,
                S.DOWNLOADING,
            )


@given(HAPPENINGS, st.integers(1, 4))
def test_an_update_is_blocked_exactly_when_it_fails_too_often(happenings, attempts):
    for _, _, taken in live(happenings, attempts):
        if taken is not None and taken.update.state is S.BLOCKED:
            assert taken.update.failures >= attempts
            assert [event.kind for event in taken.events] == ["failed", "blocked"]


@given(HAPPENINGS)
def test_success_needs_a_report_and_then_a_proof(happenings):
    for before, what, taken in live(happenings):
        if taken is None:
            continue
        if taken.update.state is S.REPORTED and before.state is not S.REPORTED:
            assert what is What.RUNS_IT
        if taken.update.state is S.SUCCEEDED:
            assert (before.state, what) == (S.REPORTED, What.PROVED)
        if taken.update.state in (S.REPORTED, S.SUCCEEDED):
            assert taken.update.reported_at_ms is not None


@given(HAPPENINGS)
def test_what_is_repeated_at_once_is_no_step(happenings):
    for before, what, taken in live(happenings):
        # A thing that fails, comes back and fails again has failed twice, but not from one state.
        if taken is not None:
            again = step(
                replace(taken.update, revision=before.revision + 1),
                what,
                TERMS,
                now_ms=taken.update.changed_at_ms,
                detail=taken.update.reason if what is What.SAID else "1.2",
            )
            assert again is None


@given(HAPPENINGS)
def test_times_belong_to_the_attempt_and_the_state(happenings):
    for _, _, taken in live(happenings):
        if taken is None:
            continue
        update = taken.update
        is_over = update.state in (S.SUCCEEDED, S.FAILED, S.BLOCKED, S.CURRENT)
        assert (update.ended_at_ms is not None) == is_over
        if update.state is S.DOWNLOADED:
            assert update.begun_at_ms is not None
            assert update.downloaded_at_ms is not None
        if update.state in (S.WAITING, S.OFFERED):
            assert (update.begun_at_ms, update.downloaded_at_ms, update.reported_at_ms) == (
                None,
            ) * 3


def test_a_last_byte_that_is_noted_after_the_failure_begins_no_attempt():
    # The end of a download is noted when the thing's system has confirmed it: that may be after
    # the thing has said, on another connection, that the image is no good.
    failed = step(in_state(S.DOWNLOADING), What.FAILS, TERMS, now_ms=5, detail="digest").update

    assert step(failed, What.HAS_ALL, TERMS, now_ms=6) is None


@pytest.mark.parametrize("state", sorted(UNDER_WAY))
def test_what_takes_too_long_has_failed(state):
    taken = step(in_state(state), What.LATE, TERMS, now_ms=5, detail="silent for 86400 s")

    assert taken.update.state is S.FAILED
    assert taken.update.reason == "silent for 86400 s (failure 1 of 3)"


@pytest.mark.parametrize("state", sorted(set(UpdateState) - UNDER_WAY))
def test_what_is_not_under_way_cannot_take_too_long(state):
    assert step(in_state(state), What.LATE, TERMS, now_ms=5, detail="silent") is None


def test_the_last_allowed_failure_blocks_and_the_one_before_does_not():
    allowed = step(in_state(S.DOWNLOADED, failures=1), What.FAILS, TERMS, now_ms=5)
    last = step(in_state(S.DOWNLOADED, failures=2), What.FAILS, TERMS, now_ms=5)

    assert allowed.update.state is S.FAILED
    assert last.update.state is S.BLOCKED
    assert "failure 3 of 3" in last.update.reason
    assert "until an operator releases it" in last.update.reason


@pytest.mark.parametrize("state", [S.FAILED, S.BLOCKED])
def test_a_released_update_begins_anew(state):
    taken = step(
        in_state(state, failures=3, offered_at_ms=1, ended_at_ms=2), What.RELEASED, TERMS, now_ms=5
    )

    assert (taken.update.state, taken.update.failures) == (S.WAITING, 0)
    assert taken.update.offered_at_ms is taken.update.ended_at_ms is None
    assert [event.kind for event in taken.events] == ["released"]
    assert "after 3 failures" in taken.update.reason


def test_what_failed_too_often_by_a_stricter_campaign_is_not_offered():
    update = in_state(S.FAILED, failures=2)
    strict = replace(TERMS, attempts=2)

    assert is_blocked(update, strict)
    assert not is_blocked(update, TERMS)
    assert step(update, What.OFFERED, strict, now_ms=5) is None


def test_what_works_counts_as_no_block_whatever_it_took():
    assert not is_blocked(in_state(S.SUCCEEDED, failures=3), TERMS)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (S.DOWNLOADED, "reports 1.2 after the download of 1.3"),
        (S.INSTALLING, "rolled back or never started"),
        (S.REPORTED, "reports 1.2 after 1.3 had run"),
        (S.SUCCEEDED, "the update was rolled back"),
    ],
)
def test_an_old_version_after_the_download_has_failed_and_says_so(state, words):
    taken = step(in_state(state), What.RUNS_ANOTHER, TERMS, now_ms=5, detail="1.2")

    assert taken.update.state is S.FAILED
    assert words in taken.update.reason


@pytest.mark.parametrize("state", [S.WAITING, S.OFFERED, S.DOWNLOADING, S.FAILED, S.BLOCKED])
def test_an_old_version_before_the_download_is_no_news(state):
    assert step(in_state(state), What.RUNS_ANOTHER, TERMS, now_ms=5, detail="1.2") is None


def test_a_thing_that_leaves_an_image_for_another_one_does_not_fail():
    taken = step(in_state(S.DOWNLOADED), What.LEFT_IT, TERMS, now_ms=5)

    assert (taken.update.state, taken.update.failures) == (S.FAILED, 0)


def test_a_blocked_thing_that_runs_the_version_after_all_may_prove_it():
    taken = step(in_state(S.BLOCKED, failures=3), What.RUNS_IT, TERMS, now_ms=5)

    assert (taken.update.state, taken.update.failures) == (S.REPORTED, 3)


@pytest.mark.parametrize(
    ("write_after_ms", "contact_after_ms", "wanted"),
    [
        (0, None, "; a write has to prove"),
        (9_000, None, "; a write, 9 s later or more, has to prove"),
        (9_000, 9_000, "; a contact, 9 s later or more, has to prove"),
        (0, 60_000, "; a write or a contact, 60 s later or more, has to prove"),
    ],
)
def test_a_report_tells_which_proof_is_waited_for(write_after_ms, contact_after_ms, wanted):
    terms = replace(TERMS, write_after_ms=write_after_ms, contact_after_ms=contact_after_ms)

    taken = step(in_state(S.DOWNLOADED), What.RUNS_IT, terms, now_ms=5)

    assert wanted in taken.update.reason


def test_the_same_words_twice_are_stored_once():
    first = step(in_state(S.DOWNLOADING), What.SAID, TERMS, now_ms=5, detail="says download, 10 %")
    again = step(first.update, What.SAID, TERMS, now_ms=9, detail="says download, 10 %")
    other = step(first.update, What.SAID, TERMS, now_ms=9, detail="says download, 20 %")

    assert again is None
    assert (other.update.state, other.update.changed_at_ms) == (S.DOWNLOADING, 9)
    assert [event.kind for event in other.events] == ["said"]
