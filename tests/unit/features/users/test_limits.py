"""The figures that `security.md` and `rulings.md` name."""

import pytest

from thingstead.features.mail.model import LINK_LIFETIMES, Occasion
from thingstead.features.users.limits import UserLimits

LIMITS = UserLimits()
DAY_S = 86_400


@pytest.mark.parametrize(
    ("rate", "count", "seconds"),
    [
        (LIMITS.guesses.of_pair, 5, 60),
        (LIMITS.guesses.of_address, 100, 60),
        (LIMITS.guesses.of_account, 100, 3_600),
        (LIMITS.registrations, 300, 3_600),
        (LIMITS.resets_of_address, 10, 3_600),
        (LIMITS.confirm_letters, 5, DAY_S),
        (LIMITS.reset_letters, 3, DAY_S),
        (LIMITS.registered_again_letters, 1, DAY_S),
    ],
)
def test_a_rate_allows_its_count_at_once_and_in_its_time(rate, count, seconds):
    assert rate.burst == count
    assert rate.per_second * seconds == pytest.approx(count)


def test_sessions_last_30_days_unused_and_180_at_most():
    assert LIMITS.session_idle_ms == 30 * DAY_S * 1_000
    assert LIMITS.session_life_ms == 180 * DAY_S * 1_000


def test_links_last_a_day_or_half_an_hour():
    assert LIMITS.confirm_link_ms == DAY_S * 1_000
    assert LIMITS.reset_link_ms == 30 * 60 * 1_000


def test_users_have_50_sessions_and_50_calls_a_second():
    assert LIMITS.max_sessions == 50
    assert (LIMITS.calls.per_second, LIMITS.calls.burst) == (50, 500)


def test_settings_have_100_members_and_16_kib():
    assert (LIMITS.settings_members, LIMITS.settings_bytes) == (100, 16_384)


def test_links_work_as_long_as_their_letters_say():
    confirming = LINK_LIFETIMES[Occasion.CONFIRM_ADDRESS].total_seconds()
    resetting = LINK_LIFETIMES[Occasion.RESET_PASSWORD].total_seconds()

    assert LIMITS.confirm_link_ms == confirming * 1_000
    assert LIMITS.reset_link_ms == resetting * 1_000
