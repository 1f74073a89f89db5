"""How much users may try, keep and be sent.

The figures are those of `security.md`, sections 4, 6 and 7, and of `rulings.md`, Limits.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import NoReturn

from thingstead.features.mail.model import LINK_LIFETIMES, Occasion
from thingstead.kernel.budget import Rate
from thingstead.kernel.errors import TooManyRequestsError
from thingstead.kernel.known_tokens import TokenLimits

_HOUR_S = 3_600
_DAY_S = 24 * _HOUR_S
_DAY_MS = 1_000 * _DAY_S


def _in_a_day(count: int) -> Rate:
    return Rate(per_second=count / _DAY_S, burst=count)


def _lasting_ms(occasion: Occasion) -> int:
    return LINK_LIFETIMES[occasion] // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class GuessLimits:
    """How many wrong passwords may be tried, and what happens beyond."""

    of_pair: Rate = field(default=Rate(per_second=5 / 60, burst=5))
    """For one account from one address."""
    of_address: Rate = field(default=Rate(per_second=100 / 60, burst=100))
    of_account: Rate = field(default=Rate(per_second=100 / _HOUR_S, burst=100))
    """For one account from everywhere; beyond, strange addresses are slowed down."""
    shortest_delay_s: float = 0.25
    longest_delay_s: float = 5.0
    waiting: int = 100
    """Log-ins that are slowed down at the same time."""
    familiar: int = 100_000
    """Pairs of account and address that are not slowed down."""
    familiar_s: float = 30 * _DAY_S


@dataclass(frozen=True, slots=True)
class UserLimits:
    """How much users may try, keep and be sent."""

    tokens: TokenLimits = field(default=TokenLimits())
    guesses: GuessLimits = field(default=GuessLimits())
    calls: Rate = field(default=Rate(per_second=50, burst=500))
    registrations: Rate = field(default=Rate(per_second=300 / _HOUR_S, burst=300))
    """For one address."""
    resets_of_address: Rate = field(default=Rate(per_second=10 / _HOUR_S, burst=10))
    max_sessions: int = 50
    session_idle_ms: int = 30 * _DAY_MS
    session_life_ms: int = 180 * _DAY_MS
    confirm_link_ms: int = _lasting_ms(Occasion.CONFIRM_ADDRESS)
    reset_link_ms: int = _lasting_ms(Occasion.RESET_PASSWORD)
    confirm_letters: Rate = field(default=_in_a_day(5))
    """For one address of one app, as all letters."""
    reset_letters: Rate = field(default=_in_a_day(3))
    password_letters: Rate = field(default=_in_a_day(10))
    registered_again_letters: Rate = field(default=_in_a_day(1))
    settings_bytes: int = 16 * 1024
    settings_members: int = 100
    hiding_s: float = 0.25
    """How long answers take at least that must not tell whether an account exists."""


def refuse(what: str, wait_s: float) -> NoReturn:
    """Raise that a limit is exhausted; `what` names it."""
    raise TooManyRequestsError(what, retry_after_s=int(wait_s) + 1)
