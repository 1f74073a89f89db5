"""What a plan may hold: everything in it has a range, and every refusal names it."""

import unicodedata
from dataclasses import replace
from itertools import pairwise

from thingstead.features.campaigns.errors import InvalidCampaignError
from thingstead.features.campaigns.model import CampaignPlan, Target
from thingstead.kernel.names import MAX_NAME_CHARACTERS, name_problem

MAX_RINGS = 10
MAX_TAGS = 20
MAX_VERSIONS = 20
MAX_VERSION_CHARACTERS = 64
MAX_TAG_CHARACTERS = 64
MAX_SOAK_S = 30 * 86_400
MIN_PATIENCE_S = 60
MAX_PATIENCE_S = 90 * 86_400
MAX_ATTEMPTS = 100
MAX_THINGS = 1_000_000_000
"""More things than a product can have; numbers of things in a plan end here."""


def check_plan(plan: CampaignPlan) -> CampaignPlan:
    """Return the plan as it is kept: names composed (NFC), without blanks around and doubles.

    Raises:
        InvalidCampaignError: something in it is out of its range.
    """
    name = unicodedata.normalize("NFC", plan.name.strip())
    _check_name("name", name, MAX_NAME_CHARACTERS)
    _check_rings(plan.rings)
    _check_gate_and_stop(plan)
    _check_range("attempts", plan.attempts, 1, MAX_ATTEMPTS)
    _check_range("patience in seconds", plan.patience_s, MIN_PATIENCE_S, MAX_PATIENCE_S)
    if plan.patience_s <= plan.gate.soak_s:
        raise InvalidCampaignError(
            f"patience: {plan.patience_s} s must be longer than the soak time,"
            f" {plan.gate.soak_s} s, or no thing could prove itself in time"
        )
    return replace(plan, name=name, target=_checked_target(plan.target))


def _check_rings(rings: tuple[int, ...]) -> None:
    if not 1 <= len(rings) <= MAX_RINGS:
        raise InvalidCampaignError(f"rings: expected 1 to {MAX_RINGS}, got {len(rings)}")
    for percent in rings:
        _check_range("rings, per cent", percent, 1, 100)
    if any(outer <= inner for inner, outer in pairwise(rings)):
        raise InvalidCampaignError("rings: each must reach more per cent than the one before")
    if rings[-1] != 100:
        raise InvalidCampaignError(f"rings: the last one must be 100, not {rings[-1]}")


def _check_gate_and_stop(plan: CampaignPlan) -> None:
    gate, stop = plan.gate, plan.stop
    _check_range("gate, per cent", gate.success_percent, 1, 100)
    _check_range("soak time in seconds", gate.soak_s, 0, MAX_SOAK_S)
    if stop.failures is not None:
        _check_range("stop, failures", stop.failures, 1, MAX_THINGS)
    if stop.percent is not None:
        _check_range("stop, per cent", stop.percent, 1, 100)
    _check_range("stop, at least", stop.at_least, 1, MAX_THINGS)


def _checked_target(target: Target) -> Target:
    tags = _distinct(target.tags)
    versions = _distinct(target.versions)
    if len(tags) > MAX_TAGS:
        raise InvalidCampaignError(f"tags: expected at most {MAX_TAGS}, got {len(tags)}")
    if len(versions) > MAX_VERSIONS:
        raise InvalidCampaignError(
            f"versions: expected at most {MAX_VERSIONS}, got {len(versions)}"
        )
    for tag in tags:
        _check_name("tag", tag, MAX_TAG_CHARACTERS)
    for version in versions:
        _check_name("version", version, MAX_VERSION_CHARACTERS)
    return Target(tags=tags, versions=versions)


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(unicodedata.normalize("NFC", name.strip()) for name in names))


def _check_name(what: str, name: str, max_characters: int) -> None:
    problem = name_problem(name, max_characters)
    if problem is not None:
        raise InvalidCampaignError(f"{what}: {problem}")


def _check_range(what: str, number: int, least: int, most: int) -> None:
    if not least <= number <= most:
        raise InvalidCampaignError(f"{what}: expected {least:,} to {most:,}, got {number:,}")
